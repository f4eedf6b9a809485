"""Knows where GitHub accepts an inline comment on a diff, and which of these places a finding means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from reviewbot.diff import quotes
from reviewbot.diff.model import Anchor, FileDiff, Hunk, Side
from reviewbot.diff.quotes import Place

MAX_RANGE_LINES = 100  # beyond it a marked range points at nothing; experts' longest one of 729 has 73 lines

Reach = Literal["exact", "partly", "file"]


class Unplaced(msgspec.Struct, frozen=True):
    """A finding that can only stand in the body of the review, and why."""

    reason: str


def accepted(hunk: Hunk, side: Side) -> range:
    """The line numbers of a hunk that GitHub takes on that side; all lines of a range must be in one hunk.

    Added and unchanged lines RIGHT, removed and unchanged ones LEFT (docs.github.com, REST, "Create a review for a
    pull request").
    """
    if side == "RIGHT":
        return range(hunk.new_start, hunk.new_start + hunk.new_count)
    return range(hunk.old_start, hunk.old_start + hunk.old_count)


def reach(file: FileDiff, *, side: Side, start: int, end: int) -> Reach:
    """How much of a range a comment can mark: all of it in one hunk, at least its last line, or none.

    The last line decides, because GitHub hangs the comment below it.
    """
    lines = _hunk_lines(file, side, end)
    if lines is None:
        return "file"
    return "exact" if start in lines else "partly"


def find_file(files: Iterable[FileDiff], path: str) -> FileDiff | None:
    """The file that a model means by a path: as it is, with a diff's prefix or "./", or by its old name."""
    files = tuple(files)
    by_path = {file.old_path: file for file in files if file.status == "renamed"}
    by_path |= {file.path: file for file in files}
    shorter = (path, path.removeprefix("./"), path.removeprefix("a/"), path.removeprefix("b/"))
    return next((by_path[name] for name in shorter if name in by_path), None)


def locate(
    file: FileDiff, *, line: int | None, end_line: int | None, side: Side, quote: str | None
) -> Anchor | Unplaced:
    """The anchor of a finding at `line` to `end_line` (1-based, inclusive, in either order) that quotes `quote`.

    Numbers and quote are both claims of a model. Where they disagree, a quote that is on the diff once wins, else the
    numbers, else there is no anchor. A range is cut to the hunk of its last line and to MAX_RANGE_LINES; where the
    anchor is not what was claimed, a suggested replacement of the claimed lines no longer fits.
    """
    if not file.hunks:
        return Unplaced(_why_without_hunks(file))
    numbers = sorted(number for number in (line, end_line) if number is not None and number > 0)
    claimed = _claimed(file, side, numbers)
    quoted = quotes.find(file, side, quote) if quote else ()
    place = _choose(numbers, claimed, quoted)
    if place is None:
        return Unplaced(_why_nowhere(numbers, side, quote, len(quoted)))
    return _anchor(file, place)


def _hunk_lines(file: FileDiff, side: Side, line: int) -> range | None:
    return next((lines for hunk in file.hunks if line in (lines := accepted(hunk, side))), None)


def _claimed(file: FileDiff, side: Side, numbers: list[int]) -> Place | None:
    lines = _hunk_lines(file, side, numbers[-1]) if numbers else None
    return None if lines is None else Place(side, max(numbers[0], lines.start), numbers[-1])


def _choose(numbers: list[int], claimed: Place | None, quoted: tuple[Place, ...]) -> Place | None:
    if len(quoted) > 1:
        # Whatever side was claimed: the quote says the side, the number which of its places.
        quoted = tuple(place for place in quoted if numbers and place.start <= numbers[-1] and numbers[0] <= place.end)
    if len(quoted) != 1:
        return claimed
    (place,) = quoted
    # Numbers around the quote, or within it, say the same and more; a claim to half a file does not.
    if claimed is not None and _nested(place, claimed) and claimed.end - claimed.start < MAX_RANGE_LINES:
        return claimed
    return place


def _nested(one: Place, other: Place) -> bool:
    outer = (min(one.start, other.start), max(one.end, other.end))
    return one.side == other.side and outer in ((one.start, one.end), (other.start, other.end))


def _anchor(file: FileDiff, place: Place) -> Anchor:
    side, start, end = _unchanged_on_the_right(file, place)
    end = min(end, start + MAX_RANGE_LINES - 1)
    # "start line must precede the end line": GitHub refuses a range of one line (422).
    return Anchor(path=file.path, side=side, line=end, start_line=start if start < end else None)


def _unchanged_on_the_right(file: FileDiff, place: Place) -> Place:
    """GitHub shows unchanged lines on the right, so a left place without a removed line moves there."""
    if place.side == "RIGHT":
        return place
    lines = [
        line
        for hunk in file.hunks
        for line in hunk.lines
        if line.old is not None and place.start <= line.old <= place.end
    ]
    numbers = [line.new for line in lines if line.new is not None]
    return place if len(numbers) < len(lines) else Place("RIGHT", numbers[0], numbers[-1])


def _why_without_hunks(file: FileDiff) -> str:
    if file.binary:
        return "the file is binary, so it has no lines to comment on"
    if file.patch_missing:
        return "GitHub sent no patch of this file (too large, binary, or only renamed), so no line of it can be marked"
    return "the file has no changed lines (only its name, its mode or its existence changed)"


def _why_nowhere(numbers: list[int], side: Side, quote: str | None, matches: int) -> str:
    if numbers:
        place = f"line {numbers[-1]} of the {'new' if side == 'RIGHT' else 'old'} side is not on the diff"
    else:
        place = "no line was named"
    if not quote:
        return f"{place}, and nothing was quoted"
    return f"{place}, and the quoted code is on the diff {f'{matches} times' if matches else 'nowhere'}"
