"""Fits a pull request's diff into prompts of a bounded size, and names what did not fit."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from reviewbot.diff.files import LeftOut
from reviewbot.diff.model import FileDiff, Hunk, Line
from reviewbot.diff.render import (
    MAX_LINE_CHARACTERS,
    has_crlf,
    is_cut,
    render,
    render_file_head,
    render_head,
    render_lines,
)

MIN_BUDGET_TOKENS = 8_000  # the longest head of a file and of a hunk, and the longest line that is shown
_DIGITS = string.digits.encode()
_MARKS = (string.ascii_uppercase + string.punctuation).encode()
_WIDE = bytes(range(0x80, 0x100))
_SPARE_TOKENS = 25  # notes and longer numbers that only the heads of a part have, and the empty line between files


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """What one prompt holds. A file too large for one prompt is in several chunks, with other hunks in each."""

    files: tuple[FileDiff, ...]
    tokens: int  # never below the estimate for `text()`
    left_out: tuple[LeftOut, ...] = ()  # what of these files the text does not show

    def text(self) -> str:
        return "\n".join(map(render, self.files))


def estimate_tokens(text: str) -> int:
    """How many tokens a text may have, rather too many than too few.

    A token for every digit, for four small letters or blanks, for 1 1/3 capitals or signs, and for two bytes of any
    other character. Against four public encodings (cl100k, o200k, Llama 3, Qwen 3) on 51 rendered files this is 1.24
    times the largest of their counts in the median, and 0.88 at worst (a list of checksums); a token for three
    characters, the usual guess, falls below that count on half of the files.
    """
    raw = text.encode("utf-8", "surrogatepass")
    digits, marks, wide = (len(raw) - len(raw.translate(None, kind)) for kind in (_DIGITS, _MARKS, _WIDE))
    return math.ceil((len(raw) + 3 * digits + 2 * marks + wide) / 4)


def chunk(files: Iterable[FileDiff], *, budget_tokens: int) -> tuple[Chunk, ...]:
    """Packs the files, in their order, into as few chunks as their order allows.

    A file stays whole if it fits into a chunk of its own, else its hunks stay whole, else a hunk is cut between lines,
    rather at an unchanged one than within a change. Lines too long to be shown whole are named in `left_out`. Raises
    ValueError for a budget below MIN_BUDGET_TOKENS, which might not even hold a single line.
    """
    if budget_tokens < MIN_BUDGET_TOKENS:
        raise ValueError(f"a chunk of a diff needs {MIN_BUDGET_TOKENS} tokens at least, not {budget_tokens}")
    packer = _Packer(budget_tokens)
    for file in files:
        packer.add_file(file)
    return packer.close()


class _Packer:
    """Fills one chunk after the other."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._closed: list[Chunk] = []
        self._open: list[tuple[FileDiff, list[Hunk]]] = []
        self._used = 0

    def add_file(self, file: FileDiff) -> None:
        crlf = has_crlf(file)
        head = estimate_tokens(render_file_head(file, crlf=crlf)) + _SPARE_TOKENS
        hunks = [_costs(hunk, crlf=crlf) for hunk in file.hunks]
        if head + sum(map(sum, hunks)) <= self._budget:
            self._add(file, file.hunks, head, sum(map(sum, hunks)))
            return
        for hunk, (hunk_head, *lines) in zip(file.hunks, hunks, strict=True):
            if head + hunk_head + sum(lines) <= self._budget:
                self._add(file, (hunk,), head, hunk_head + sum(lines))
                continue
            hunk_head += _SPARE_TOKENS
            for part, tokens in _split(hunk, lines, room=self._budget - head - hunk_head):
                self._add(file, (part,), head, hunk_head + tokens)

    def close(self) -> tuple[Chunk, ...]:
        """Every chunk, the open one included."""
        if self._open:
            files = tuple(msgspec.structs.replace(file, hunks=tuple(hunks)) for file, hunks in self._open)
            left_out = tuple(note for file in files if (note := _cut_lines(file)) is not None)
            self._closed.append(Chunk(files=files, tokens=self._used, left_out=left_out))
            self._open, self._used = [], 0
        return tuple(self._closed)

    def _add(self, file: FileDiff, hunks: Sequence[Hunk], head: int, tokens: int) -> None:
        goes_on = bool(self._open) and self._open[-1][0] is file
        if self._used + tokens + (0 if goes_on else head) > self._budget:
            self.close()
            goes_on = False
        if goes_on:
            self._open[-1][1].extend(hunks)
        else:
            self._open.append((file, list(hunks)))
        self._used += tokens + (0 if goes_on else head)


def _costs(hunk: Hunk, *, crlf: bool) -> list[int]:
    """The tokens of the hunk's head, then of each of its lines."""
    return [estimate_tokens(text) for text in (render_head(hunk), *render_lines(hunk, crlf=crlf))]


def _split(hunk: Hunk, costs: Sequence[int], *, room: int) -> Iterator[tuple[Hunk, int]]:
    """The hunk in parts of at most `room` tokens without their heads, each with its tokens."""
    # A side without lines starts one line earlier than its next line would (git-diff(1)).
    old, new = hunk.old_start + (hunk.old_count == 0), hunk.new_start + (hunk.new_count == 0)
    old_end, new_end = hunk.old_start + hunk.old_count, hunk.new_start + hunk.new_count
    start = 0
    while start < len(hunk.lines):
        end = _cut_at(hunk.lines, costs, start, room)
        lines = hunk.lines[start:end]
        olds = sum(line.old is not None for line in lines)
        news = sum(line.new is not None for line in lines)
        part = msgspec.structs.replace(
            hunk,
            old_start=old if olds else old - 1,
            old_count=olds,
            new_start=new if news else new - 1,
            new_count=news,
            lines=lines,
            old_bare_end=hunk.old_bare_end and olds > 0 and old + olds == old_end,
            new_bare_end=hunk.new_bare_end and news > 0 and new + news == new_end,
        )
        yield part, sum(costs[start:end])
        start, old, new = end, old + olds, new + news


def _cut_at(lines: Sequence[Line], costs: Sequence[int], start: int, room: int) -> int:
    """Where the part that begins at `start` ends: before the line that is too much, or behind an unchanged one."""
    used, pause = 0, start
    for at in range(start, len(lines)):
        used += costs[at]
        if used > room:
            middle = start + (at - start) // 2
            return pause if pause > middle else max(at, start + 1)
        if lines[at].kind == " ":
            pause = at + 1
    return len(lines)


def _cut_lines(file: FileDiff) -> LeftOut | None:
    count = sum(is_cut(line) for hunk in file.hunks for line in hunk.lines)
    if not count:
        return None
    lines = "a line" if count == 1 else f"{count:,} lines"
    return LeftOut(
        file.path, f"has {lines} of more than {MAX_LINE_CHARACTERS:,} characters: only the beginning was read"
    )
