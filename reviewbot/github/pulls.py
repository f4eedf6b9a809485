"""Reading pull requests: the pull itself, what it changes, files at a commit, and who may command."""

from __future__ import annotations

import base64
import binascii

import msgspec
import structlog

from reviewbot.errors import GitHubRefused, GitHubUnavailable
from reviewbot.github.client import Client, in_repository
from reviewbot.github.models import Comparison, Permission, Pull, PullFile
from reviewbot.github.replies import TOO_LARGE

DIFF_LIMIT = 64 * 1024 * 1024  # bytes

_PULL = "/repos/{owner}/{repo}/pulls/{number}"
_CONTENTS = "/repos/{owner}/{repo}/contents/{path}{?ref}"

log = structlog.get_logger(__name__)


async def get_pull(client: Client, repo: str, number: int) -> Pull:
    """The pull request as it stands now; `repo` is "owner/name" here and everywhere."""
    return await client.get(_PULL, in_repository(repo, number=number), Pull)


async def diff(client: Client, repo: str, number: int) -> bytes:
    """The whole unified diff, in whatever encodings its files have.

    GitHubRefused with status 406 beyond GitHub's limits (300 files, 20,000 lines or 1 MB), 413 beyond `DIFF_LIMIT`.
    """
    variables = in_repository(repo, number=number)
    return await client.get_bytes(_PULL, variables, accept="application/vnd.github.diff", limit=DIFF_LIMIT)


async def files(client: Client, repo: str, number: int) -> tuple[PullFile, ...]:
    """The changed files, at most the 3,000 that GitHub lists: compare with `Pull.changed_files`."""
    path = _PULL + "/files{?per_page}"
    variables = in_repository(repo, number=number, per_page=100)
    return tuple([file async for file in client.pages(path, variables, PullFile)])


async def changed_files(client: Client, repo: str, number: int) -> bytes | tuple[PullFile, ...]:
    """What the pull request changes: its diff, or the list of files when GitHub finds the diff too large."""
    try:
        return await diff(client, repo, number)
    except GitHubRefused as refused:
        if refused.status not in (406, TOO_LARGE):
            raise
        log.info("github_diff_too_large", repo=repo, number=number, status=refused.status)
    return await files(client, repo, number)


async def compare(client: Client, repo: str, base: str, head: str) -> Comparison:
    """What `head` has beyond the merge base with `base`; both are commits or branches."""
    path = "/repos/{owner}/{repo}/compare/{base}...{head}"
    return await client.get(path, in_repository(repo, base=base, head=head), Comparison)


async def permission(client: Client, repo: str, login: str) -> Permission:
    """What `login` may do in the repository; "none" also for whom GitHub does not know there."""
    path = "/repos/{owner}/{repo}/collaborators/{login}/permission"
    try:
        return await client.get(path, in_repository(repo, login=login), Permission)
    except GitHubRefused as refused:
        if refused.status != 404:
            raise
        return Permission("none")


class RepositoryFile(msgspec.Struct, frozen=True):
    """What stands at a path in a commit. `content` is None when it is no file, or larger than was asked for."""

    sha: str  # of the blob
    size: int  # bytes
    content: bytes | None


class _Content(msgspec.Struct, frozen=True):
    type: str  # "file", "dir", "symlink" or "submodule"
    sha: str = ""
    size: int = 0
    encoding: str = ""
    content: str = ""
    submodule_git_url: str | None = None


async def repository_file(client: Client, repo: str, path: str, sha: str, *, limit: int) -> RepositoryFile | None:
    """What stands at `path` in the commit `sha`, None when nothing does; `limit` is in bytes, below 1 MB."""
    variables = in_repository(repo, path=path, ref=sha)
    try:
        found = await client.get(_CONTENTS, variables, _Content, accept="application/vnd.github.object+json")
    except GitHubRefused as refused:
        if refused.status != 404:
            raise
        return None
    wanted = _is_file(found) and found.size <= limit and found.encoding == "base64"
    return RepositoryFile(found.sha, found.size, _decoded(found, path) if wanted else None)


async def file_content(client: Client, repo: str, path: str, sha: str, *, limit: int) -> bytes | None:
    """The file at `path` in the commit `sha`, or None when there is none of at most `limit` bytes.

    Directories, submodules and symbolic links that lead out of the repository are no files either.
    """
    variables = in_repository(repo, path=path, ref=sha)
    try:
        found = await client.get(_CONTENTS, variables, _Content, accept="application/vnd.github.object+json")
        if not _is_file(found) or found.size > limit:
            return None
        if found.encoding != "base64":  # beyond 1 MB GitHub sends the content only raw
            return await client.get_bytes(_CONTENTS, variables, accept="application/vnd.github.raw", limit=limit)
    except GitHubRefused as refused:
        if refused.status not in (404, TOO_LARGE):
            raise
        return None
    return _decoded(found, path)


def _is_file(found: _Content) -> bool:
    """A submodule may call itself a file; its address gives it away."""
    return found.type == "file" and found.submodule_git_url is None


def _decoded(found: _Content, path: str) -> bytes:
    try:
        return base64.b64decode(found.content)
    except binascii.Error as error:
        raise GitHubUnavailable(f"GitHub's content of {path!r} is not base64: {error}") from error
