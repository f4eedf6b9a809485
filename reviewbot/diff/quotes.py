"""Finds the lines of a diff that a model quoted, however loosely it copied them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from reviewbot.diff.model import FileDiff, Hunk, Side
from reviewbot.invisible import show_invisible

_MAX_QUOTE_LINES = 40  # of a longer quote the beginning is enough to know the place
_MAX_QUOTE_CHARACTERS = 10_000
_MIN_PART = 4  # characters of a line that say enough to look for them inside of lines
_FENCE = re.compile(r"\s*(?:```|~~~)")
_ELLIPSIS = re.compile(r"\.{3,}|…")
_CLOSING = re.compile(r"(?<!\.)(?:\.{3,}|…)$")
# What stands before the code when it was copied from a diff or from the prompt: "R12 + ", "12: ", "+".
_COPIED = re.compile(r"\s*(?:[LR]?[0-9]{1,7}(?:[:|]|(?= [ +-])))?\s*([+-]?)(.*)", re.DOTALL)
_WRITTEN_OUT = re.compile(r"<U\+[0-9A-F]{4,6}>")
_OTHER: dict[Side, Side] = {"LEFT": "RIGHT", "RIGHT": "LEFT"}
_FOREIGN = {"LEFT": "+", "RIGHT": "-"}  # the sign of lines that the side does not have


class Place(NamedTuple):
    """Consecutive lines of one side; both ends are 1-based and inclusive."""

    side: Side
    start: int
    end: int


class _Pattern(NamedTuple):
    """One quoted line in its normal form; at an open end any text may stand."""

    text: str
    open_start: bool = False
    open_end: bool = False

    def matches(self, line: str) -> bool:
        if self.open_start:
            return self.text in line if self.open_end else line.endswith(self.text)
        return line.startswith(self.text) if self.open_end else line == self.text


_Segment = list[_Pattern]  # lines that follow each other; an ellipsis lies between two segments


def find(file: FileDiff, side: Side, quote: str) -> tuple[Place, ...]:
    """Every place that the quote may mean, of the closest kind of likeness that has one.

    Whole lines come before parts of lines, and the claimed side before the other one. Blanks and blank lines do not
    count, nor do Markdown fences; an ellipsis stands for any lines or any rest of a line; a leading "+" or "-" and
    the line numbers of a rendered diff are seen through when the quote is not found as it is.
    """
    lines = [line for line in quote[:_MAX_QUOTE_CHARACTERS].split("\n")[:_MAX_QUOTE_LINES] if not _FENCE.match(line)]
    texts = {at: _texts(file, at) for at in _OTHER}
    for parts in (False, True):
        for at in (side, _OTHER[side]):
            for copied in (False, True):
                segments = _segments(_uncopied(lines, at) if copied else lines)
                if parts:
                    segments = _opened(segments)
                places = tuple(_places(texts[at], segments, at)) if segments else ()
                if places:
                    return places
    return ()


def _normal(text: str) -> str:
    """The text without blanks and invisible characters, whether they are themselves or written out as we show them."""
    return _WRITTEN_OUT.sub("", show_invisible("".join(text.split())))


def _texts(file: FileDiff, side: Side) -> list[list[tuple[int, str]]]:
    """(number, normal form) of the lines with something on them, hunk by hunk."""
    return [[pair for pair in _numbered(hunk, side) if pair[1]] for hunk in file.hunks]


def _numbered(hunk: Hunk, side: Side) -> Iterator[tuple[int, str]]:
    for line in hunk.lines:
        number = line.new if side == "RIGHT" else line.old
        if number is not None:
            yield number, _normal(line.text)


def _uncopied(lines: list[str], side: Side) -> list[str]:
    """The quote without diff signs and line numbers, and without the lines that are on the other side only."""
    matches = [match for line in lines if (match := _COPIED.fullmatch(line))]
    return [match[2] for match in matches if match[1] != _FOREIGN[side]]


def _segments(lines: list[str]) -> list[_Segment]:
    segments: list[_Segment] = [[]]
    for text in filter(None, map(_normal, lines)):
        if _ELLIPSIS.fullmatch(text):
            segments.append([])
        else:
            segments[-1].append(_pattern(text))
    return [segment for segment in segments if segment]


def _pattern(text: str) -> _Pattern:
    # Only the end: "..." at the start of a line is JavaScript's spread or Python's relative import.
    end = _CLOSING.search(text)
    return _Pattern(text[: end.start()], open_end=True) if end else _Pattern(text)


def _opened(segments: list[_Segment]) -> list[_Segment]:
    """The same quote, but begun and ended in the middle of a line; none when too little is left to look for."""
    if not segments or sum(len(pattern.text) for segment in segments for pattern in segment) < _MIN_PART:
        return []
    opened = [list(segment) for segment in segments]
    opened[0][0] = opened[0][0]._replace(open_start=True)
    opened[-1][-1] = opened[-1][-1]._replace(open_end=True)
    return opened


def _places(hunks: list[list[tuple[int, str]]], segments: list[_Segment], side: Side) -> Iterator[Place]:
    for lines in hunks:
        for first, last in _chains(lines, segments):
            yield Place(side, lines[first][0], lines[last][0])


def _chains(lines: list[tuple[int, str]], segments: list[_Segment]) -> list[tuple[int, int]]:
    """(first, last) index of every way to meet all segments in their order; of those with one end, the shortest."""
    ends = [(at, at + len(segments[0]) - 1) for at in _starts(lines, segments[0])]
    for segment in segments[1:]:
        starts = _starts(lines, segment)
        following = ((first, bisect_left(starts, last + 1)) for first, last in ends)
        ends = [(first, starts[at] + len(segment) - 1) for first, at in following if at < len(starts)]
    return [(first, last) for last, first in {last: first for first, last in ends}.items()]


def _starts(lines: list[tuple[int, str]], segment: _Segment) -> list[int]:
    return [
        at
        for at in range(len(lines) - len(segment) + 1)
        if all(pattern.matches(lines[at + offset][1]) for offset, pattern in enumerate(segment))
    ]
