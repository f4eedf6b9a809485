"""Read-only access to local git repositories through `git` itself: diffs, commits, blobs and trees.

The stand-in plays the part of GitHub's git servers; the bot never runs git.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from reviewbot.errors import FinalError

TIMEOUT_SECONDS = 60.0
MAX_OUTPUT_BYTES = 256 * 1024 * 1024
MAX_CACHED = 128
MAX_CACHED_BYTES = 4 * 1024 * 1024  # a larger answer is read again each time

# Nothing of the machine's or the repository's settings may change what is read or start a program.
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",
}
_SETTINGS = ("core.quotepath=on", "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.bare=true",
             "safe.directory=*", "diff.renameLimit=1000", "diff.noprefix=false", "diff.mnemonicPrefix=false",
             "core.attributesFile=/dev/null")  # fmt: skip
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "-M", "--submodule=short", "--diff-algorithm=myers")
_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

T = TypeVar("T")


class GitError(FinalError):
    """git could not read what was asked for; the message holds its own words."""


class GitFile(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file. `hunks` is the raw patch from its first `@@` on, empty for binary files and pure renames."""

    path: str
    previous_path: str | None
    status: str  # as GitHub names it: added, removed, modified, renamed, copied, changed
    sha: str  # of the blob on the new side, or on the old side of a removed file
    additions: int
    deletions: int
    hunks: bytes


class GitCommit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. Dates are ISO 8601 in UTC."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author_name: str
    author_email: str
    author_date: str
    committer_name: str
    committer_email: str
    committer_date: str
    message: str


class GitEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a tree. `kind` is blob, tree or commit (a submodule); `size` is 0 unless it is a blob."""

    mode: str
    kind: str
    sha: str
    size: int
    path: str


class GitRepository:
    """One local repository. Everything named by a full SHA is remembered, for it can never change."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._cache: OrderedDict[tuple[str, ...], object] = OrderedDict()

    @classmethod
    async def open(cls, path: Path) -> GitRepository:
        """Find the repository at `path` (a work tree or a bare one). Raises GitError when there is none."""
        try:
            out = await _run(("-C", str(path), "rev-parse", "--absolute-git-dir"))
        except GitError as error:
            raise GitError(f"{path} is no git repository ({error})") from error
        return cls(Path(out.decode().strip()))

    async def default_branch(self) -> str:
        """The branch that HEAD names, or "main" when it names none (a detached HEAD)."""
        try:
            return (await self._git("symbolic-ref", "--short", "HEAD")).decode().strip()
        except GitError:
            return "main"

    async def is_branch(self, name: str) -> bool:
        """True when refs/heads has `name`."""
        try:
            await self._git("show-ref", "--verify", "--quiet", f"refs/heads/{name}")
        except GitError:
            return False
        return True

    async def commit_sha(self, revision: str) -> str:
        """The full SHA of the commit that `revision` names. Raises GitError when there is none."""
        if not revision or revision.startswith("-") or "\0" in revision:
            raise GitError(f"{revision!r} names no commit")
        arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if _SHA.fullmatch(revision):
            return (await self._remember(arguments, lambda: self._git(*arguments))).decode().strip()
        return (await self._git(*arguments)).decode().strip()

    async def merge_base(self, base: str, head: str) -> str | None:
        """The commit where `head` left `base`, None when the two share no history."""
        try:
            found = await self._remember(("merge-base", base, head), lambda: self._git("merge-base", base, head))
        except GitError:
            return None
        return found.decode().strip()

    async def diff(self, old: str, new: str) -> bytes:
        """The diff between two trees as git prints it: raw bytes of any encoding, unusual names quoted."""
        return await self._remember(("diff", old, new), lambda: self._git(*_DIFF, old, new, "--"))

    async def files(self, old: str, new: str) -> tuple[GitFile, ...]:
        """The changed files between two trees, in git's order."""
        return await self._remember(("files", old, new), lambda: self._files(old, new))

    async def commits(self, old: str | None, new: str, limit: int) -> tuple[GitCommit, ...]:
        """The commits that `new` has and `old` has not, oldest first; at most the newest `limit`."""
        span = new if old is None else f"{old}..{new}"
        return await self._remember(("commits", span, str(limit)), lambda: self._commits(span, limit))

    async def commit(self, sha: str) -> GitCommit:
        """One commit by its full SHA."""
        return (await self._remember(("commit", sha), lambda: self._commits(sha, 1)))[0]

    async def count(self, old: str, new: str) -> int:
        """How many commits `new` has that `old` has not."""
        return int(await self._git("rev-list", "--count", f"{old}..{new}"))

    async def entry(self, commit: str, path: str) -> GitEntry | None:
        """What stands at `path` in the tree of `commit`; None when nothing does. The root has no entry."""
        found = await self._list(commit, path)
        return found[0] if found else None

    async def children(self, commit: str, path: str) -> tuple[GitEntry, ...]:
        """What a folder holds; `path` is "" for the root."""
        return await self._list(commit, f"{path}/" if path else "")

    async def blob(self, sha: str) -> bytes:
        """The content of a blob."""
        return await self._git("cat-file", "blob", sha)

    async def _list(self, commit: str, path: str) -> tuple[GitEntry, ...]:
        paths = (path,) if path else ()
        out = await self._git("--literal-pathspecs", "ls-tree", "-z", "-l", "--full-tree", commit, "--", *paths)
        return tuple(_entry(row) for row in out.split(b"\0") if row)

    async def _files(self, old: str, new: str) -> tuple[GitFile, ...]:
        raw = await self._git(*_DIFF, "--raw", "-z", "--abbrev=40", old, new, "--")
        sections = re.split(rb"^(?=diff --git )", await self.diff(old, new), flags=re.MULTILINE)
        return tuple(_join(_raw_rows(raw), [section for section in sections if section]))

    async def _commits(self, span: str, limit: int) -> tuple[GitCommit, ...]:
        form = "%x00".join(("%H", "%T", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B")) + "%x00%x00"
        out = await self._git("log", "--topo-order", f"--max-count={limit}", f"--format=tformat:{form}",
                              "--encoding=UTF-8", span, "--")  # fmt: skip
        rows = out.decode("utf-8", "replace").split("\0\0\n")
        return tuple(_commit(row) for row in reversed(rows) if row)

    async def _git(self, *arguments: str) -> bytes:
        return await _run((f"--git-dir={self._git_dir}", *arguments))

    async def _remember(self, key: tuple[str, ...], read: Callable[[], Awaitable[T]]) -> T:
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]  # type: ignore[return-value]  # the key's first word decides the type
        value = await read()
        if not isinstance(value, bytes) or len(value) <= MAX_CACHED_BYTES:
            self._cache[key] = value
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return value


async def _run(arguments: tuple[str, ...]) -> bytes:
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    process = await asyncio.create_subprocess_exec(
        "git", "--no-pager", *settings, *arguments, env=_ENVIRONMENT, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1024 * 1024,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            out, err = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode != 0:
        raise GitError(f"git {' '.join(arguments[1:])}: {err.decode('utf-8', 'replace').strip() or 'nothing found'}")
    if len(out) > MAX_OUTPUT_BYTES:
        raise GitError(f"git {' '.join(arguments[1:3])}: the answer is larger than {MAX_OUTPUT_BYTES} bytes")
    return out


def _raw_rows(raw: bytes) -> list[tuple[str, str, str, str, str | None]]:
    """(status letter, old blob, new blob, path, previous path) of each row of `git diff --raw -z`."""
    fields = iter(raw.split(b"\0"))
    rows = []
    for head in fields:
        if not head:
            break
        _, _, old, new, status = head.decode().split(" ")
        first = next(fields).decode("utf-8", "replace")
        letter = status[0]
        moved = letter in "RC"
        path = next(fields).decode("utf-8", "replace") if moved else first
        rows.append((letter, old, new, path, first if moved else None))
    return rows


def _join(rows: list[tuple[str, str, str, str, str | None]], sections: list[bytes]) -> list[GitFile]:
    """Pair each changed file with its section of the diff: both come in the same order."""
    files, rest = [], iter(sections)
    for letter, old, new, path, previous in rows:
        section = next(rest, b"")
        if letter == "T":
            next(rest, b"")  # a file that became a symlink is printed as a removal and an addition
            section = b""
        start = re.search(rb"^@@ ", section, flags=re.MULTILINE)
        hunks = section[start.start() :].removesuffix(b"\n") if start else b""
        lines = hunks.split(b"\n")
        files.append(
            GitFile(
                path=path,
                previous_path=previous,
                status=_STATUS.get(letter, "changed"),
                sha=old if letter == "D" else new,
                additions=sum(line.startswith(b"+") for line in lines),
                deletions=sum(line.startswith(b"-") for line in lines),
                hunks=hunks,
            )
        )
    return files


def _entry(row: bytes) -> GitEntry:
    head, path = row.split(b"\t", 1)
    mode, kind, sha, size = head.decode().split()
    text = path.decode("utf-8", "replace")
    return GitEntry(mode=mode, kind=kind, sha=sha, size=0 if size == "-" else int(size), path=text)


def _commit(row: str) -> GitCommit:
    sha, tree, parents, *people, message = row.split("\0", 9)
    return GitCommit(
        sha=sha, tree=tree, parents=tuple(parents.split()), author_name=people[0], author_email=people[1],
        author_date=_utc(people[2]), committer_name=people[3], committer_email=people[4],
        committer_date=_utc(people[5]), message=message.rstrip("\n"),
    )  # fmt: skip


def _utc(iso: str) -> str:
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
