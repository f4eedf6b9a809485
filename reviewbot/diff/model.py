"""The parts of a unified diff: file, hunk, line."""

from __future__ import annotations

from typing import Literal

import msgspec

Side = Literal["LEFT", "RIGHT"]
Status = Literal["added", "removed", "modified", "renamed", "copied", "unchanged"]


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of a hunk. `kind` is " ", "+" or "-"; `old` and `new` are 1-based, None on the side without it.

    Untracked by the garbage collector: it holds no containers, and a large diff has half a million of them.
    """

    kind: Literal[" ", "+", "-"]
    text: str  # without the kind and without "\n"; a "\r" before it is kept
    old: int | None
    new: int | None


class Hunk(msgspec.Struct, frozen=True):
    """One `@@` block: consecutive lines of both sides."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    section: str  # what git prints behind the second @@
    lines: tuple[Line, ...]
    old_bare_end: bool = False  # the old side ends with the last line of this hunk, without "\n"
    new_bare_end: bool = False  # the same of the new side


class FileDiff(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file. Paths are labels: they are shown and compared, never opened."""

    old_path: str | None  # None: the file is new
    new_path: str | None  # None: the file is removed
    status: Status
    hunks: tuple[Hunk, ...] = ()
    binary: bool = False
    submodule: bool = False
    old_mode: str | None = None
    new_mode: str | None = None
    additions: int = 0
    deletions: int = 0
    patch_missing: bool = False  # GitHub left the patch out (too large, or binary)

    @property
    def path(self) -> str:
        """The new path, or the old one of a removed file: what GitHub calls `filename`."""
        path = self.new_path if self.new_path is not None else self.old_path
        assert path is not None
        return path


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """A place on the diff that GitHub accepts for an inline comment: all in one hunk, on one side."""

    path: str
    side: Side
    line: int  # the last line of the range, 1-based
    start_line: int | None = None  # None: a single line
