"""What a pull request changes: its commits, its files, and where its comments stand on the newest diff."""

from __future__ import annotations

import msgspec

from reviewbot.demo.git import GitCommit, GitFile, GitRepository
from reviewbot.demo.hunks import PatchHunk, carry, locate, parse_patch
from reviewbot.demo.state import PullRequest, Repository, ReviewComment

MAX_COMMITS = 250


class Changes(msgspec.Struct, frozen=True):
    """Between the merge base and a head commit. `start` is the merge base, or the base without shared history."""

    start: str
    head: str
    commits: tuple[GitCommit, ...]
    files: tuple[GitFile, ...]

    def hunks(self, path: str) -> tuple[PatchHunk, ...] | None:
        """The hunks of a changed file, None when `path` is not among the changed files."""
        for file in self.files:
            if file.path == path:
                return parse_patch(file.hunks.decode("utf-8", "replace"))
        return None


class Place(msgspec.Struct, frozen=True):
    """Where a comment's lines are on the newest diff; everything None when they are not there any more."""

    line: int | None = None
    start_line: int | None = None
    position: int | None = None
    outdated: bool = False


async def changes_at(repo: Repository, pull: PullRequest, head: str) -> Changes:
    """What the pull request changes as of commit `head` of it."""
    git = repo.git
    start = await git.merge_base(pull.base_sha, head)
    return Changes(
        start=start or pull.base_sha,
        head=head,
        commits=await git.commits(start, head, MAX_COMMITS),
        files=await git.files(start or pull.base_sha, head),
    )


async def changes_of(repo: Repository, pull: PullRequest) -> Changes:
    """What the pull request changes now."""
    return await changes_at(repo, pull, pull.head_sha)


async def place_of(repo: Repository, pull: PullRequest, comment: ReviewComment) -> Place:
    """Find a comment again on the newest diff, as GitHub does after a push."""
    if comment.line is None:
        return Place()
    if comment.commit_id == pull.head_sha:
        return Place(comment.line, comment.start_line, comment.position)
    line: int | None
    line, start = comment.line, comment.start_line
    if comment.side == "RIGHT":  # the left side stands still as long as the merge base does
        line, start = await _carried(repo.git, comment, pull.head_sha)
    hunks = (await changes_of(repo, pull)).hunks(comment.path)
    found = locate(hunks, comment.side, line) if hunks and line is not None else None
    if found is None:
        return Place(outdated=True)
    hunk, index = found
    return Place(line, start, hunk.lines[index].position)


async def _carried(git: GitRepository, comment: ReviewComment, head: str) -> tuple[int | None, int | None]:
    files = {file.path: file for file in await git.files(comment.commit_id, head)}
    file = files.get(comment.path)
    if file is None:
        return comment.line, comment.start_line
    if file.status == "removed" or not file.hunks:
        return None, None
    hunks = parse_patch(file.hunks.decode("utf-8", "replace"))
    line = carry(hunks, comment.line) if comment.line is not None else None
    start = carry(hunks, comment.start_line) if comment.start_line is not None else None
    return line, start
