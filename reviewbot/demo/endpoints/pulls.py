"""Pull requests: the list, one of them as JSON or as a diff, its files and its commits."""

from __future__ import annotations

from functools import partial

from reviewbot.demo.answers import Answer, ApiError
from reviewbot.demo.api import Call, Endpoint
from reviewbot.demo.changes import Changes, changes_of
from reviewbot.demo.shapes import pulls
from reviewbot.demo.state import PullRequest, Repository

# docs.github.com: Repository limits, "Diff limits".
MAX_DIFF_FILES = 300
MAX_DIFF_LINES = 20_000
MAX_DIFF_BYTES = 1024 * 1024
MAX_LISTED_FILES = 3000
READ = ("pull_requests=read",)


async def list_pulls(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls."""
    state = call.query.get("state", "open")
    if state not in ("open", "closed", "all"):
        raise ApiError(422, "Validation Failed: state must be open, closed or all")
    found = [pull for pull in call.repo.pulls.values() if state in (pull.state, "all") and _asked_for(call, pull)]
    newest_first = call.query.get("direction", "desc" if call.query.get("sort", "created") == "created" else "asc")
    by_update = call.query.get("sort") == "updated"
    found.sort(
        key=lambda pull: (pull.updated_at if by_update else pull.created_at, pull.number),
        reverse=newest_first == "desc",
    )
    return call.paged(found, partial(pulls.simple_pull, call.world, call.repo))


async def get_pull(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}; Accept chooses between JSON and the diff."""
    pull = call.pull()
    changes = await changes_of(call.repo, pull)
    if call.wants("diff"):
        return await diff_answer(call.repo, changes)
    return Answer(pulls.full_pull(call.world, call.repo, pull, changes))


async def list_files(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}/files: 3,000 at most."""
    changes = await changes_of(call.repo, call.pull())
    return call.paged(changes.files[:MAX_LISTED_FILES], partial(pulls.file, call.world, call.repo, changes.head))


async def list_commits(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}/commits: oldest first, 250 at most."""
    changes = await changes_of(call.repo, call.pull())
    return call.paged(changes.commits, partial(pulls.commit, call.world, call.repo))


async def diff_answer(repo: Repository, changes: Changes) -> Answer:
    """The diff as text, bytes of any encoding kept. Raises 406 when it is larger than GitHub shows."""
    diff = await repo.git.diff(changes.start, changes.head)
    if len(changes.files) > MAX_DIFF_FILES:
        raise _too_large(f"maximum number of files ({MAX_DIFF_FILES})")
    if diff.count(b"\n") > MAX_DIFF_LINES:
        raise _too_large(f"maximum number of lines ({MAX_DIFF_LINES})")
    if len(diff) > MAX_DIFF_BYTES:
        raise _too_large("maximum size (1 MB)")
    return Answer(diff, content_type="application/vnd.github.v3.diff; charset=utf-8")


def _too_large(limit: str) -> ApiError:
    advice = "Consider using 'List pull requests files' API or locally cloning the repository instead."
    error = {"resource": "PullRequest", "field": "diff", "code": "too_large"}
    return ApiError(406, f"Sorry, the diff exceeded the {limit}. {advice}", (error,))


def _asked_for(call: Call, pull: PullRequest) -> bool:
    head = call.query.get("head", "")
    owner = pull.fork.owner if pull.fork else call.repo.owner
    # GitHub ignores a `head` that does not read user:branch.
    named = ":" not in head or head.lower() == f"{owner.login}:{pull.head_ref}".lower()
    return named and call.query.get("base") in (None, pull.base_ref)


ENDPOINTS = (
    Endpoint("GET", "/repos/{owner}/{repo}/pulls", list_pulls, READ),
    Endpoint("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", get_pull, READ),
    Endpoint("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files", list_files, READ),
    Endpoint("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits", list_commits, READ),
)
