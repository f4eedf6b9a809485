"""The hunks of one file's patch, read independently of the bot's own parser so that the two can disagree."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_HEADER = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class PatchLine(msgspec.Struct, frozen=True):
    """One line of a hunk. `position` counts from the line below the file's first `@@`, later headers included."""

    kind: str  # " ", "+", "-" or "\\" (no newline at end of file)
    text: str
    old: int | None
    new: int | None
    position: int

    def number(self, side: str) -> int | None:
        """The 1-based line number on `side` ("LEFT" or "RIGHT")."""
        return self.old if side == "LEFT" else self.new


class PatchHunk(msgspec.Struct, frozen=True):
    """One `@@` block."""

    header: str
    lines: tuple[PatchLine, ...]

    def index_of(self, side: str, number: int) -> int | None:
        """Where line `number` of `side` stands in this hunk, None when it is not part of it."""
        return next((i for i, line in enumerate(self.lines) if line.number(side) == number), None)

    def text_up_to(self, index: int) -> str:
        """The header and the lines up to `index`: what GitHub calls `diff_hunk`."""
        return "\n".join([self.header, *(line.kind + line.text for line in self.lines[: index + 1])])


def parse_patch(patch: str) -> tuple[PatchHunk, ...]:
    """Read the hunks of a patch that starts at its first `@@` line, as in `patch` of the pull request's files."""
    hunks: list[PatchHunk] = []
    header, lines, old, new = "", list[PatchLine](), 0, 0
    for position, row in enumerate(patch.split("\n") if patch else ()):
        if start := _HEADER.match(row):
            if header:
                hunks.append(PatchHunk(header, tuple(lines)))
            header, lines, old, new = row, [], int(start[1]), int(start[2])
            continue
        kind, text = row[:1] or " ", row[1:]
        lines.append(PatchLine(kind, text, old if kind in " -" else None, new if kind in " +" else None, position))
        old += kind in " -"
        new += kind in " +"
    if header:
        hunks.append(PatchHunk(header, tuple(lines)))
    return tuple(hunks)


def locate(hunks: Sequence[PatchHunk], side: str, number: int) -> tuple[PatchHunk, int] | None:
    """The hunk that shows line `number` of `side`, and the line's index there."""
    for hunk in hunks:
        index = hunk.index_of(side, number)
        if index is not None:
            return hunk, index
    return None


def at_position(hunks: Sequence[PatchHunk], position: int) -> tuple[PatchHunk, int] | None:
    """The hunk and index of a line given by GitHub's older way of counting."""
    for hunk in hunks:
        for index, line in enumerate(hunk.lines):
            if line.position == position:
                return hunk, index
    return None


def carry(hunks: Sequence[PatchHunk], number: int) -> int | None:
    """Where line `number` of the old side went, given the hunks from old to new; None when it was changed."""
    shift = 0
    for hunk in hunks:
        olds = [line.old for line in hunk.lines if line.old is not None]
        if olds and number < olds[0]:
            break
        index = hunk.index_of("LEFT", number)
        if index is not None:
            return hunk.lines[index].new
        shift += sum(line.kind == "+" for line in hunk.lines) - sum(line.kind == "-" for line in hunk.lines)
    return number + shift
