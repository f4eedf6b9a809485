"""Writes a file's diff the way a model reads it: every line with its side and number, nothing invisible left."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, takewhile

from reviewbot.diff.model import FileDiff, Hunk, Line
from reviewbot.invisible import show_invisible

MAX_LINE_CHARACTERS = 2_000  # the rest of a longer line is counted, not shown
_MAX_NAME_CHARACTERS = 500
_MAX_SECTION_CHARACTERS = 200


def render(file: FileDiff) -> str:
    """The diff of one file, each line ended by a line feed::

        File: src/app.py (renamed from app.py)
        @@ L10-12 R10-12 @@ def main():
        R10   unchanged
        L11 - removed
        R11 + added

    R is the new side, L the old one. Code cannot imitate these heads, since every line of it stands behind a number.
    A line end of CRLF is named once in the head when all lines have it, else shown as `<U+000D>` where it is.
    """
    crlf = has_crlf(file)
    hunks = (text for hunk in file.hunks for text in (render_head(hunk), *render_lines(hunk, crlf=crlf)))
    return "".join((render_file_head(file, crlf=crlf), *hunks))


def render_file_head(file: FileDiff, *, crlf: bool) -> str:
    notes: list[str] = [file.status]
    if file.status in ("renamed", "copied") and file.old_path is not None:
        notes = [f"{file.status} from {_cut(file.old_path, _MAX_NAME_CHARACTERS)}"]
    if file.old_mode and file.new_mode and file.old_mode != file.new_mode:
        notes.append(f"mode {file.old_mode} is now {file.new_mode}")
    if sum(line.kind != " " for hunk in file.hunks for line in hunk.lines) < file.additions + file.deletions:
        notes.append("one part of its changes")
    if crlf:
        notes.append("lines end in CRLF")
    return f"File: {_cut(file.path, _MAX_NAME_CHARACTERS)} ({', '.join(notes)})\n"


def render_head(hunk: Hunk) -> str:
    section = f" {_cut(hunk.section, _MAX_SECTION_CHARACTERS)}" if hunk.section else ""
    return f"@@ {_span('L', hunk.old_start, hunk.old_count)} {_span('R', hunk.new_start, hunk.new_count)} @@{section}\n"


def render_lines(hunk: Hunk, *, crlf: bool) -> Iterator[str]:
    """One text for each line of the hunk, in its order; `crlf` leaves the "\\r" at their ends away."""
    olds, news = hunk.old_start + hunk.old_count - 1, hunk.new_start + hunk.new_count - 1
    for line in hunk.lines:
        text = _cut(line.text.removesuffix("\r") if crlf else line.text, MAX_LINE_CHARACTERS)
        bare = (hunk.old_bare_end and line.old == olds) or (hunk.new_bare_end and line.new == news)
        yield f"{_gutter(line)}{text}\n" + ("\\ no line feed at the end of the file\n" if bare else "")


def has_crlf(file: FileDiff) -> bool:
    """Whether every line of the diff ends in CRLF, and there is one."""
    return bool(file.hunks) and all(line.text.endswith("\r") for hunk in file.hunks for line in hunk.lines)


def _gutter(line: Line) -> str:
    return f"L{line.old} - " if line.new is None else f"R{line.new} {line.kind} "


def _span(side: str, start: int, count: int) -> str:
    return f"{side}{start}-{start + count - 1}" if count else f"{side}none"


def on_one_line(text: str) -> str:
    """The text with its invisible characters and line ends written out, so that it cannot begin a line of its own."""
    return show_invisible(text.replace("\r", "<U+000D>").replace("\n", "<U+000A>"))


def is_cut(line: Line) -> bool:
    """Whether only the beginning of the line is shown."""
    # A character written out has nine at most.
    return len(line.text) * 9 > MAX_LINE_CHARACTERS and len(on_one_line(line.text)) > MAX_LINE_CHARACTERS


def _cut(text: str, limit: int) -> str:
    """The beginning of the text, of at most `limit` characters as shown, and a count of what is left away."""
    head = on_one_line(text[:limit])
    if len(text) <= limit and len(head) <= limit:
        return head
    shown = limit
    if len(head) > limit:
        sizes = accumulate(len(on_one_line(character)) for character in text)
        shown = sum(1 for _ in takewhile(lambda size: size <= limit, sizes))
    return f"{on_one_line(text[:shown])}<... {len(text) - shown} more characters>"
