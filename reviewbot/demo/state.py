"""What the stand-in knows: accounts, installations, repositories, pull requests and all that hangs on them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, TypeVar

import msgspec

from reviewbot.demo.git import GitError, GitRepository

Side = Literal["LEFT", "RIGHT"]
ReviewState = Literal["PENDING", "COMMENTED", "APPROVED", "CHANGES_REQUESTED", "DISMISSED"]
CheckStatus = Literal["queued", "in_progress", "completed"]

APP_PERMISSIONS = {
    "checks": "write",
    "contents": "read",
    "issues": "read",
    "merge_queues": "read",
    "metadata": "read",
    "pull_requests": "write",
}
# What an App of those permissions may subscribe to; installation events come unasked.
APP_EVENTS: tuple[str, ...] = (
    "check_run",
    "check_suite",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "repository",
)


class Account(msgspec.Struct):
    """A person, an organization or a bot."""

    id: int
    login: str
    type: Literal["User", "Organization", "Bot"] = "User"


class Installation(msgspec.Struct):
    """The App on one account. Times are epoch seconds."""

    id: int
    account: Account
    permissions: dict[str, str]
    created_at: float
    suspended_at: float | None = None
    deleted: bool = False


class Repository(msgspec.Struct):
    """One repository on the platform and the local git repository behind it."""

    id: int
    name: str
    owner: Account
    git: GitRepository
    installation: Installation
    private: bool
    default_branch: str
    created_at: float
    former_names: set[str] = msgspec.field(default_factory=set)  # "owner/name" in lower case
    permissions: dict[str, str] = msgspec.field(default_factory=dict)  # login in lower case -> role
    refs: dict[str, str] = msgspec.field(default_factory=dict)  # names that exist on the platform only -> SHA
    pulls: dict[int, PullRequest] = msgspec.field(default_factory=dict)
    checks: list[CheckRun] = msgspec.field(default_factory=list)
    suites: dict[str, int] = msgspec.field(default_factory=dict)  # head SHA -> id of the App's check suite

    @property
    def full_name(self) -> str:
        """owner/name."""
        return f"{self.owner.login}/{self.name}"

    def role_of(self, account: Account) -> str:
        """admin, maintain, write, triage, read or none."""
        if account is self.owner:
            return "admin"
        return self.permissions.get(account.login.lower(), "none" if self.private else "read")

    def point_refs(self, pull: PullRequest) -> None:
        """Let the names of a pull request's head stand for its head of now."""
        self.refs[f"refs/pull/{pull.number}/head"] = pull.head_sha
        if pull.fork is None:
            self.refs[pull.head_ref] = self.refs[f"refs/heads/{pull.head_ref}"] = pull.head_sha

    async def resolve(self, name: str) -> str | None:
        """The commit that a branch, tag, SHA or a name of the platform's own stands for."""
        if name in self.refs:
            return self.refs[name]
        try:
            return await self.git.commit_sha(name)
        except GitError:
            return None


class Fork(msgspec.Struct):
    """Where a pull request from outside comes from. Its objects lie in the same local repository."""

    id: int
    name: str
    owner: Account

    @property
    def full_name(self) -> str:
        """owner/name."""
        return f"{self.owner.login}/{self.name}"


class PullRequest(msgspec.Struct):
    """One pull request with everything on it."""

    id: int
    number: int
    title: str
    body: str | None
    author: Account
    base_ref: str
    base_sha: str
    head_ref: str
    head_sha: str
    created_at: float
    updated_at: float
    draft: bool = False
    fork: Fork | None = None
    closed_at: float | None = None
    merged: bool = False
    reviews: list[Review] = msgspec.field(default_factory=list)
    comments: list[ReviewComment] = msgspec.field(default_factory=list)
    issue_comments: list[IssueComment] = msgspec.field(default_factory=list)

    @property
    def state(self) -> Literal["open", "closed"]:
        """open or closed."""
        return "open" if self.closed_at is None else "closed"

    def comments_of(self, review: Review) -> list[ReviewComment]:
        """The comments that came with `review`."""
        return [comment for comment in self.comments if comment.review is review]

    def reply(self, world: World, first: ReviewComment, author: Account, body: str) -> ReviewComment:
        """Add a reply to the thread that `first` begins; it stands where `first` stands, in a review of its own."""
        now = world.now()
        review = Review(world.next_id(), author, "COMMENTED", "", first.commit_id, now)
        comment = ReviewComment(
            id=world.next_id(), review=review, author=author, path=first.path, body=body, commit_id=first.commit_id,
            created_at=now, updated_at=now, side=first.side, line=first.line, start_line=first.start_line,
            start_side=first.start_side, position=first.position, diff_hunk=first.diff_hunk, in_reply_to=first.id,
        )  # fmt: skip
        self.reviews.append(review)
        self.comments.append(comment)
        return comment

    def thread(self, first: ReviewComment) -> list[ReviewComment]:
        """The comments of the thread that `first` begins, itself included."""
        return [first, *(comment for comment in self.submitted_comments() if comment.in_reply_to == first.id)]

    def submitted_comments(self) -> list[ReviewComment]:
        """The comments that everybody sees."""
        return [comment for comment in self.comments if comment.review.state != "PENDING"]


class Hidden(msgspec.Struct):
    """Delayed visibility: something that exists already but that lists do not show yet."""

    requests: int = 0  # so many more lists leave it out
    until: float = 0.0  # and so does every list before this time


class Reaction(msgspec.Struct):
    """One reaction of one account."""

    id: int
    account: Account
    content: str
    created_at: float


class Review(msgspec.Struct):
    """One review. `submitted_at` is None while it is pending."""

    id: int
    author: Account
    state: ReviewState
    body: str
    commit_id: str
    submitted_at: float | None = None
    hidden: Hidden | None = None


class ReviewComment(msgspec.Struct):
    """One comment on the diff. Line numbers are those of `commit_id`; a file-level comment has none."""

    id: int
    review: Review
    author: Account
    path: str
    body: str
    commit_id: str
    created_at: float
    updated_at: float
    side: Side = "RIGHT"
    line: int | None = None
    start_line: int | None = None
    start_side: Side | None = None
    position: int | None = None
    diff_hunk: str = ""
    in_reply_to: int | None = None
    resolved: bool = False  # of the thread; only the first comment's counts
    minimized: str | None = None  # the reason it was folded away for
    reactions: list[Reaction] = msgspec.field(default_factory=list)
    hidden: Hidden | None = None


class IssueComment(msgspec.Struct):
    """One comment in the conversation."""

    id: int
    author: Account
    body: str
    created_at: float
    updated_at: float
    minimized: str | None = None
    reactions: list[Reaction] = msgspec.field(default_factory=list)
    hidden: Hidden | None = None


class CheckOutput(msgspec.Struct):
    """What a check run says."""

    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[Annotation] = msgspec.field(default_factory=list)


class Annotation(msgspec.Struct):
    """One remark of a check run on lines of a file."""

    path: str
    start_line: int
    end_line: int
    annotation_level: Literal["notice", "warning", "failure"]
    message: str
    start_column: int | None = None
    end_column: int | None = None
    title: str | None = None
    raw_details: str | None = None


class CheckRun(msgspec.Struct):
    """One check run. `started_at` and `completed_at` are ISO 8601 as they were given."""

    id: int
    suite_id: int
    name: str
    head_sha: str
    status: CheckStatus
    created_at: float
    conclusion: str | None = None
    external_id: str | None = None
    details_url: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    output: CheckOutput = msgspec.field(default_factory=CheckOutput)
    actions: list[dict[str, str]] = msgspec.field(default_factory=list)


T = TypeVar("T", Review, ReviewComment, IssueComment)


class World:
    """All of the stand-in's memory, with its clock and its counter of ids."""

    def __init__(self, *, app_id: int, app_slug: str, bot_login: str) -> None:
        self.app_id = app_id
        self.app_slug = app_slug
        self.api_url = ""  # both are set once the server knows its port; no slash at the end
        self.html_url = ""
        self.permissions = dict(APP_PERMISSIONS)
        self.events = APP_EVENTS
        self.accounts: dict[str, Account] = {}
        self.installations: dict[int, Installation] = {}
        self.repositories: dict[int, Repository] = {}
        self._ids = itertools.count(1001)
        self._skew_seconds = 0.0
        self.started_at = self.now()
        self.app_owner = self.account("reviewbot-operators", "Organization")
        self.bot = self.account(bot_login, "Bot")

    def now(self) -> float:
        """Epoch seconds on the stand-in's clock."""
        return time.time() + self._skew_seconds

    def advance(self, seconds: float) -> None:
        """Put the stand-in's clock forward: tokens expire and limits reset without waiting."""
        self._skew_seconds += seconds

    def next_id(self) -> int:
        """An id that nothing else has, whatever its kind."""
        return next(self._ids)

    def account(self, login: str, kind: Literal["User", "Organization", "Bot"] = "User") -> Account:
        """The account of that name, made on first use."""
        key = login.lower()
        if key not in self.accounts:
            self.accounts[key] = Account(self.next_id(), login, kind)
        return self.accounts[key]

    def repository(self, full_name: str) -> Repository | None:
        """The repository of that name today; case does not matter."""
        wanted = full_name.lower()
        return next((repo for repo in self.repositories.values() if repo.full_name.lower() == wanted), None)

    def renamed(self, full_name: str) -> Repository | None:
        """The repository that once had that name."""
        wanted = full_name.lower()
        return next((repo for repo in self.repositories.values() if wanted in repo.former_names), None)

    def installation_on(self, account: Account, number: int | None = None) -> Installation:
        """The installation of that id, or else the account's; made when there is none."""
        for known in self.installations.values():
            if known.id == number or (number is None and known.account is account):
                return known
        made = Installation(number or self.next_id(), account, dict(self.permissions), self.now())
        self.installations[made.id] = made
        return made

    def repositories_of(self, installation: Installation) -> list[Repository]:
        """What an installation can see."""
        return [repo for repo in self.repositories.values() if repo.installation is installation]

    def suite_id(self, repo: Repository, head_sha: str) -> int:
        """The id of the App's check suite on a commit, made on first use."""
        if head_sha not in repo.suites:
            repo.suites[head_sha] = self.next_id()
        return repo.suites[head_sha]

    def shown(self, things: Iterable[T]) -> list[T]:
        """What a list shows now; each call counts as one look at whatever is still hidden."""
        return [thing for thing in things if not self._is_hidden(thing.hidden)]

    def _is_hidden(self, hidden: Hidden | None) -> bool:
        if hidden is None:
            return False
        if hidden.requests > 0:
            hidden.requests -= 1
            return True
        return self.now() < hidden.until


def iso(seconds: float) -> str:
    """Epoch seconds as GitHub writes times, e.g. 2026-03-10T12:00:00Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
