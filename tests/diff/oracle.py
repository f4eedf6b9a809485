"""What git says of a change in forms that need no diff parser, and hunks applied to what they were made from."""

from __future__ import annotations

from reviewbot.diff.model import FileDiff, Line

from .conftest import Repository

Row = tuple[str, str | None, str | None, str | None, str | None, int, int]  # status, paths, modes, counts

_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied"}
_NO_MODE = "000000"


def rows_by_git(repository: Repository, *options: str) -> list[Row]:
    """`git diff --raw -z` joined with `--numstat -z`; a change of type is two rows, as in the diff. Binary counts 0."""
    # These only shape the patch, and ask for it.
    options = tuple(option for option in options if not option.startswith(("-U", "--binary")))
    counts = _numstat(repository.diff("--numstat", "-z", *options))
    fields = repository.diff("--raw", "-z", *options).decode("utf-8", "replace").split("\0")[:-1]
    rows: list[Row] = []
    while fields:
        old_mode, new_mode, _, _, letter = fields.pop(0).removeprefix(":").split(" ")
        old = fields.pop(0)
        new = fields.pop(0) if letter[0] in "RC" else old
        added, deleted = counts[new]
        if letter[0] == "T":
            rows.append(("removed", old, None, old_mode, None, 0, deleted))
            rows.append(("added", None, new, None, new_mode, added, 0))
            continue
        status = _STATUS[letter[0]]
        rows.append(
            (
                status,
                None if status == "added" else old,
                None if status == "removed" else new,
                None if old_mode == _NO_MODE else old_mode,
                None if new_mode == _NO_MODE else new_mode,
                added,
                deleted,
            )
        )
    return rows


def rows_by_us(files: tuple[FileDiff, ...]) -> list[Row]:
    return [(f.status, f.old_path, f.new_path, *_modes(f), f.additions, f.deletions) for f in files]


def _modes(file: FileDiff) -> tuple[str | None, str | None]:
    # The diff of a file that was only moved has no mode in it.
    unsaid = file.status in ("renamed", "copied") and not file.hunks and file.old_mode is None
    return ("100644", "100644") if unsaid else (file.old_mode, file.new_mode)


def _numstat(output: bytes) -> dict[str, tuple[int, int]]:
    fields = output.decode("utf-8", "replace").split("\0")[:-1]
    counts: dict[str, tuple[int, int]] = {}
    while fields:
        added, deleted, path = fields.pop(0).split("\t", 2)
        if not path:
            fields.pop(0)
            path = fields.pop(0)
        counts[path] = (0, 0) if added == "-" else (int(added), int(deleted))
    return counts


def apply(file: FileDiff, old: bytes) -> bytes:
    """The new side, made from the old side and the hunks; asserts that the old side is what the hunks say."""
    source = _lines(old)
    result: list[str] = []
    taken = 0
    for hunk in file.hunks:
        start = hunk.old_start - 1 if hunk.old_count else hunk.old_start
        result += source[taken:start]
        olds = [line for line in hunk.lines if line.old is not None]
        news = [line for line in hunk.lines if line.new is not None]
        assert _with_ends(olds, bare=hunk.old_bare_end) == source[start : start + hunk.old_count]
        assert [line.old for line in olds] == list(range(start + 1, start + 1 + hunk.old_count))
        assert not news or news[0].new == len(result) + 1
        result += _with_ends(news, bare=hunk.new_bare_end)
        taken = start + hunk.old_count
    result += source[taken:]
    return "".join(result).encode("utf-8", "surrogateescape")


def _lines(content: bytes) -> list[str]:
    pieces = content.decode("utf-8", "surrogateescape").split("\n")
    return [piece + "\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _with_ends(lines: list[Line], *, bare: bool) -> list[str]:
    texts = [line.text + "\n" for line in lines]
    if bare:
        texts[-1] = texts[-1][:-1]
    return texts
