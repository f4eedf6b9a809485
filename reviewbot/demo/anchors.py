"""Where a review comment may stand: on lines that the diff shows, all in one hunk."""

from __future__ import annotations

import msgspec

from reviewbot.demo.changes import Changes
from reviewbot.demo.hunks import PatchHunk, at_position, locate
from reviewbot.demo.state import Side

MAX_BODY_CHARACTERS = 65_536

_PATH = "Path could not be resolved"
_LINE = "Pull request review thread line must be part of the diff"
_BLANK = "Pull request review thread diff hunk can't be blank"
_START = "Pull request review thread start line must precede the end line."
_SAME_HUNK = "Pull request review thread start line must be part of the same hunk as the line."
_POSITION = "Position could not be resolved"
TOO_LONG = f"body is too long (maximum is {MAX_BODY_CHARACTERS} characters)"


class DraftComment(msgspec.Struct, kw_only=True):
    """A comment as a request describes it."""

    path: str
    body: str
    position: int | None = None
    line: int | None = None
    side: Side | None = None
    start_line: int | None = None
    start_side: Side | None = None


class Placed(msgspec.Struct, frozen=True):
    """A comment's place, found on the diff."""

    side: Side
    line: int
    start_line: int | None
    start_side: Side | None
    position: int
    diff_hunk: str


class Misplaced(Exception):
    """The comment has no place on the diff; the message is GitHub's."""


def place(changes: Changes, draft: DraftComment) -> Placed:
    """Find the comment's lines on the diff. Raises Misplaced; GitHub does not say which comment it meant."""
    hunks = changes.hunks(draft.path)
    if hunks is None:
        raise Misplaced(_PATH)
    if draft.line is None:
        return _by_position(hunks, draft.position)
    side: Side = draft.side or "RIGHT"
    found = locate(hunks, side, draft.line)
    if found is None:
        raise Misplaced(f"{_LINE} and {_BLANK}")
    hunk, index = found
    position, diff_hunk = hunk.lines[index].position, hunk.text_up_to(index)
    if draft.start_line is None:
        return Placed(side, draft.line, None, None, position, diff_hunk)
    start_side: Side = draft.start_side or side
    start = hunk.index_of(start_side, draft.start_line)
    if start is None:
        raise Misplaced(_SAME_HUNK)
    if start >= index:
        raise Misplaced(_START)
    return Placed(side, draft.line, draft.start_line, start_side, position, diff_hunk)


def _by_position(hunks: tuple[PatchHunk, ...], position: int | None) -> Placed:
    if position is None:
        raise Misplaced(f"{_LINE} and {_BLANK}")
    found = at_position(hunks, position)
    if found is None:
        raise Misplaced(_POSITION)
    hunk, index = found
    line = hunk.lines[index]
    side: Side = "LEFT" if line.new is None else "RIGHT"
    number = line.number(side)
    if number is None:
        raise Misplaced(_POSITION)
    return Placed(side, number, None, None, position, hunk.text_up_to(index))
