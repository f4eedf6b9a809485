"""Reads git's unified diff, as GitHub serves it, into files, hunks and lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import AnyStr

from reviewbot.diff.model import FileDiff, Hunk, Line, Status
from reviewbot.errors import DiffError

# Extended header lines of git-diff(1), "Generating patch text with -p". The numbers of "similarity" are not kept.
_EXTENDED = re.compile(
    r"(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to"
    r"|similarity index|dissimilarity index|index) (.*)",
    re.DOTALL,
)
_HUNK = re.compile(
    r"@@ -([0-9]{1,10})(?:,([0-9]{1,10}))? \+([0-9]{1,10})(?:,([0-9]{1,10}))? @@(?: (.*))?",
    re.DOTALL,
)
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_SUBMODULE_MODE = "160000"
_SUBMODULE_LINE = re.compile(r"Subproject commit [0-9a-f]{40}(?:[0-9a-f]{24})?")
_PREFIX_HINT = "call git with --src-prefix=a/ --dst-prefix=b/ when the diff is a local one"

# GitHub's words for one entry of "List pull requests files"; "changed" is a change of mode or type.
_GITHUB_STATUS: Mapping[str, Status] = {
    "added": "added",
    "removed": "removed",
    "modified": "modified",
    "changed": "modified",
    "renamed": "renamed",
    "copied": "copied",
    "unchanged": "unchanged",
}


def parse(text: str | bytes) -> tuple[FileDiff, ...]:
    """The files of a git diff, in its order. An empty text has none.

    Bytes are read as UTF-8, and what is not UTF-8 becomes U+FFFD, because every reader behind (prompts, JSON,
    Postgres) would refuse lone surrogates. A str is kept as it is. Lines end at "\\n" only. A change of type (a file
    that becomes a symbolic link) is two entries with one path, removed and added, as git tells it.

    Raises DiffError for anything else than a git diff with the prefixes a/ and b/ against one parent.
    """
    lines = _Lines(text)
    files: list[FileDiff] = []
    while lines.current is not None:
        files.append(_file(lines))
    return tuple(files)


def parse_patch(*, filename: str, previous_filename: str | None, status: str, patch: str | None) -> FileDiff:
    """One entry of GitHub's list of a pull request's files; without `patch`, `patch_missing` is set.

    GitHub leaves the patch out of files that are large, binary, or renamed or created without a changed line, and
    does not say which. Raises DiffError when the patch is not whole hunks or the status is unknown.
    """
    known = _GITHUB_STATUS.get(status)
    if known is None:
        raise DiffError(f"{filename}: GitHub's file status {status!r} is not known")
    hunks: tuple[Hunk, ...] = ()
    if patch:
        lines = _Lines(patch)
        hunks = _hunks(lines)
        if lines.current is not None:
            raise lines.error(f"expected a hunk of {filename}")
    additions, deletions = _count(hunks)
    return FileDiff(
        old_path=None if known == "added" else previous_filename or filename,
        new_path=None if known == "removed" else filename,
        status=known,
        hunks=hunks,
        submodule=_is_submodule(hunks),
        additions=additions,
        deletions=deletions,
        patch_missing=not patch,
    )


class _Lines:
    """The lines of a text, one at a time: `current` is None behind the last one, `number` is its 1-based number."""

    __slots__ = ("_rest", "current", "number")

    def __init__(self, text: str | bytes) -> None:
        # Line by line, because a whole str takes four times the bytes as soon as it holds a single emoji.
        self._rest: Iterator[str] = (
            _split(text, "\n")
            if isinstance(text, str)
            else (line.decode("utf-8", "replace") for line in _split(text, b"\n"))
        )
        self.number = 0
        self.current: str | None = None
        self.advance()

    def advance(self) -> None:
        self.number += 1
        self.current = next(self._rest, None)

    def starts(self, prefix: str) -> bool:
        return self.current is not None and self.current.startswith(prefix)

    def error(self, expected: str) -> DiffError:
        found = "the end of the diff" if self.current is None else repr(self.current[:80])
        return DiffError(f"line {self.number} of the diff: {expected}, found {found}", line=self.number)


def _split(text: AnyStr, newline: AnyStr) -> Iterator[AnyStr]:
    start, end = 0, text.find(newline)
    while end >= 0:
        yield text[start:end]
        start = end + 1
        end = text.find(newline, start)
    if start < len(text):
        yield text[start:]


def _file(lines: _Lines) -> FileDiff:
    """One file from its "diff --git" line to the line before the next one."""
    if lines.starts("diff --cc ") or lines.starts("diff --combined "):
        raise lines.error("a combined diff of a merge has no single old side; ask for the diff against one parent")
    if not lines.starts("diff --git "):
        raise lines.error('expected "diff --git" (a file begins here, or a hunk has more lines than its header says)')
    start, names = lines.number, (lines.current or "").removeprefix("diff --git ")
    lines.advance()
    head = _extended_header(lines)
    binary = _skip_binary(lines)
    labels = None if binary else _labels(lines)
    hunks = _hunks(lines) if labels else ()
    try:
        old_path, new_path = _paths(names, head, labels)
    except ValueError as error:
        raise DiffError(f"line {start} of the diff: {error}", line=start) from None
    old_mode, new_mode = _modes(head)
    additions, deletions = _count(hunks)
    return FileDiff(
        old_path=old_path,
        new_path=new_path,
        status=_status(old_path, new_path, head),
        hunks=hunks,
        binary=binary,
        submodule=_SUBMODULE_MODE in (old_mode, new_mode),
        old_mode=old_mode,
        new_mode=new_mode,
        additions=additions,
        deletions=deletions,
    )


def _extended_header(lines: _Lines) -> dict[str, str]:
    head: dict[str, str] = {}
    while lines.current is not None and (match := _EXTENDED.fullmatch(lines.current)):
        head[match[1]] = match[2]
        lines.advance()
    return head


def _skip_binary(lines: _Lines) -> bool:
    """Passes over the note or the data of a binary file; False when there is none."""
    if lines.starts("Binary files "):
        lines.advance()
        return True
    if not lines.starts("GIT binary patch"):
        return False
    # Base 85 has no blank, so no line of the data looks like the next file.
    while lines.current is not None and not lines.starts("diff --git "):
        lines.advance()
    return True


def _labels(lines: _Lines) -> tuple[str, str] | None:
    """What stands behind --- and +++, or None when the file has no changed lines."""
    if not lines.starts("--- "):
        return None
    old = (lines.current or "").removeprefix("--- ")
    lines.advance()
    if not lines.starts("+++ "):
        raise lines.error('expected "+++" behind "---"')
    new = (lines.current or "").removeprefix("+++ ")
    lines.advance()
    if not lines.starts("@@ "):
        raise lines.error('expected a hunk ("@@ -1,2 +1,2 @@")')
    return old, new


def _hunks(lines: _Lines) -> tuple[Hunk, ...]:
    hunks: list[Hunk] = []
    old_end = new_end = 0
    while lines.starts("@@"):
        at = lines.number
        hunk = _hunk(lines)
        if hunk.old_start < old_end or hunk.new_start < new_end:
            raise DiffError(f"line {at} of the diff: this hunk overlaps the one before it", line=at)
        old_end, new_end = hunk.old_start + hunk.old_count, hunk.new_start + hunk.new_count
        hunks.append(hunk)
    return tuple(hunks)


def _hunk(lines: _Lines) -> Hunk:
    match = _HUNK.fullmatch(lines.current or "")
    if match is None:
        raise lines.error("expected a hunk header such as @@ -1,2 +1,2 @@ (combined diffs, @@@, are not read)")
    old_start, new_start = int(match[1]), int(match[3])
    old_count = 1 if match[2] is None else int(match[2])
    new_count = 1 if match[4] is None else int(match[4])
    lines.advance()
    body, bare = _body(lines, range(old_start, old_start + old_count), range(new_start, new_start + new_count))
    return Hunk(
        old_start=old_start,
        old_count=old_count,
        new_start=new_start,
        new_count=new_count,
        section=match[5] or "",
        lines=tuple(body),
        old_bare_end="-" in bare or " " in bare,
        new_bare_end="+" in bare or " " in bare,
    )


def _body(lines: _Lines, olds: range, news: range) -> tuple[list[Line], set[str]]:
    """The lines of a hunk, and the kinds of those that a "\\ No newline at end of file" follows."""
    body: list[Line] = []
    bare: set[str] = set()
    old, new, old_end, new_end = olds.start, news.start, olds.stop, news.stop
    while True:
        text = lines.current
        if text is not None and text.startswith("\\"):
            kind = body[-1].kind if body else ""
            if not body or (kind != "+" and old < old_end) or (kind != "-" and new < new_end):
                raise lines.error("only the last line of a side can be without a line end")
            bare.add(kind)
        elif old >= old_end and new >= new_end:
            return body, bare
        elif text is None:
            raise lines.error(f"expected {old_end - old} old and {new_end - new} new lines more of the hunk")
        # Mail programs and editors trim the blank of an empty context line; git apply reads that, and so do we.
        elif (not text or text[0] == " ") and old < old_end and new < new_end:
            body.append(Line(" ", text[1:], old, new))
            old, new = old + 1, new + 1
        elif text and text[0] == "+" and new < new_end:
            body.append(Line("+", text[1:], None, new))
            new += 1
        elif text and text[0] == "-" and old < old_end:
            body.append(Line("-", text[1:], old, None))
            old += 1
        else:
            raise lines.error(f"expected {old_end - old} old and {new_end - new} new lines more of the hunk")
        lines.advance()


def _count(hunks: tuple[Hunk, ...]) -> tuple[int, int]:
    """(additions, deletions): what is not on the old side was added, what is not on the new side was removed."""
    total = sum(len(hunk.lines) for hunk in hunks)
    return total - sum(hunk.old_count for hunk in hunks), total - sum(hunk.new_count for hunk in hunks)


def _modes(head: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The modes of both sides; the index line carries one for both when it did not change."""
    _, _, both = head.get("index", "").partition(" ")
    old = head.get("old mode") or head.get("deleted file mode") or both or None
    new = head.get("new mode") or head.get("new file mode") or both or None
    return old, new


def _status(old_path: str | None, new_path: str | None, head: Mapping[str, str]) -> Status:
    if old_path is None:
        return "added"
    if new_path is None:
        return "removed"
    if "rename to" in head:
        return "renamed"
    return "copied" if "copy to" in head else "modified"


def _paths(names: str, head: Mapping[str, str], labels: tuple[str, str] | None) -> tuple[str | None, str | None]:
    """(old, new) from the least ambiguous place there is. Raises ValueError when they cannot be told.

    `a/x b/y` can be cut in more than one way, so git repeats the names of renamed files, and both are the same in
    every other file without hunks.
    """
    for verb in ("rename", "copy"):
        if f"{verb} from" in head and f"{verb} to" in head:
            return _unquote(head[f"{verb} from"]), _unquote(head[f"{verb} to"])
    if labels is not None:
        old, new = _label(labels[0], "a/"), _label(labels[1], "b/")
    else:
        old = new = _common_name(names)
    if "new file mode" in head:
        old = None
    if "deleted file mode" in head:
        new = None
    if old is None and new is None:
        raise ValueError("a file must have an old or a new side")
    return old, new


def _label(label: str, prefix: str) -> str | None:
    if label == "/dev/null":
        return None
    # git puts a tab behind a name with blanks, for the sake of GNU patch.
    path = _unquote(label.removesuffix("\t"))
    if not path.startswith(prefix):
        raise ValueError(f"expected a path that begins with {prefix}, found {path[:80]!r}; {_PREFIX_HINT}")
    return path.removeprefix(prefix)


def _common_name(names: str) -> str:
    """x of `a/x b/x` or `"a/x" "b/x"`: both halves are equally long, whatever blanks x has."""
    middle = len(names) // 2
    old, blank, new = _unquote(names[:middle]), names[middle : middle + 1], _unquote(names[middle + 1 :])
    if blank != " " or not old.startswith("a/") or not new.startswith("b/") or old[2:] != new[2:]:
        raise ValueError(f"expected the same path behind a/ and b/, found {names[:160]!r}; {_PREFIX_HINT}")
    return old[2:]


def _unquote(name: str) -> str:
    """A path as git prints it: in C quotes when it has control characters, quotes or bytes above 127 in it."""
    match = _QUOTED.fullmatch(name)
    if match is None:
        return name
    return _ESCAPE.sub(_unescape, match[1].encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8)]) if len(code) == 3 else _ESCAPES.get(code, code)


def _is_submodule(hunks: tuple[Hunk, ...]) -> bool:
    """The list of files has no modes, so a submodule shows by its one line on each side."""
    lines = [line for hunk in hunks for line in hunk.lines[:3]]
    return 0 < len(lines) <= 2 and all(line.kind != " " and _SUBMODULE_LINE.fullmatch(line.text) for line in lines)
