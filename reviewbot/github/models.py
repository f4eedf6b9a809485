"""GitHub's objects, with only the fields that ReviewBot uses; whatever else an answer carries is ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

# --- pull requests ----------------------------------------------------------------------------------------------


class User(msgspec.Struct, frozen=True):
    """Who did something. `type` is "User", "Bot" or "Organization"."""

    login: str
    id: int
    type: str = "User"


class RepositoryRef(msgspec.Struct, frozen=True):
    """The repository that a branch lies in."""

    id: int
    full_name: str  # "owner/name"


class Branch(msgspec.Struct, frozen=True):
    """One end of a pull request. `repo` is None when the fork was deleted."""

    ref: str
    sha: str
    repo: RepositoryRef | None = None


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """A pull request. `additions`, `deletions` and `changed_files` count what the whole pull request changes."""

    number: int
    title: str
    state: Literal["open", "closed"]
    head: Branch
    base: Branch
    html_url: str
    updated_at: datetime
    body: str | None = None
    draft: bool = False
    merged: bool = False
    user: User | None = None
    changed_files: int = 0
    additions: int = 0
    deletions: int = 0


class OpenPull(msgspec.Struct, frozen=True, kw_only=True):
    """An open pull request as lists show it."""

    number: int
    head: Branch
    created_at: datetime
    updated_at: datetime  # of the newest change of any kind: no push is younger
    draft: bool = False
    user: User | None = None  # None: the account was deleted


class PullFile(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file of the files list. `patch` is None for binary files and where GitHub finds it too large."""

    filename: str
    status: str  # "added", "removed", "modified", "renamed", "copied", "changed" or "unchanged"
    additions: int
    deletions: int
    changes: int
    sha: str | None = None  # of the blob
    patch: str | None = None  # the hunks only, without a file header
    previous_filename: str | None = None


class Commit(msgspec.Struct, frozen=True):
    """A commit, by its sha."""

    sha: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What lies between two commits. GitHub gives at most 300 files."""

    status: Literal["ahead", "behind", "diverged", "identical"]
    ahead_by: int
    behind_by: int
    total_commits: int
    merge_base_commit: Commit
    files: tuple[PullFile, ...] = ()

    @property
    def may_lack_files(self) -> bool:
        """True when the list of files is as long as GitHub makes it, so that there may be more."""
        return len(self.files) >= 300


class Permission(msgspec.Struct, frozen=True):
    """What somebody may do in a repository. `permission` is "admin", "write", "read" or "none"."""

    permission: str

    @property
    def may_write(self) -> bool:
        return self.permission in ("admin", "write")


# --- reviews ----------------------------------------------------------------------------------------------------

Side = Literal["LEFT", "RIGHT"]
Verdict = Literal["COMMENT", "REQUEST_CHANGES", "APPROVE"]
Emoji = Literal["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"]


class DraftComment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An inline comment to be made. Lines are 1-based, and the range has to lie within one hunk of the diff."""

    path: str
    body: str
    line: int  # the last line of the range
    side: str  # "LEFT" or "RIGHT"
    start_line: int | None = None  # smaller than `line`; None: a single line
    start_side: str | None = None


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A review. `state` is "PENDING" until it is submitted."""

    id: int
    body: str
    state: str
    html_url: str
    user: User | None = None  # None: the account was deleted
    commit_id: str | None = None
    submitted_at: datetime | None = None


class ReviewComment(msgspec.Struct, frozen=True, kw_only=True):
    """An inline comment that exists. Lines are None where GitHub leaves them out, and for outdated comments."""

    id: int
    path: str
    body: str
    html_url: str
    user: User | None = None
    commit_id: str | None = None
    pull_request_review_id: int | None = None
    in_reply_to_id: int | None = None
    side: str | None = None
    line: int | None = None
    start_line: int | None = None
    original_line: int | None = None


class IssueComment(msgspec.Struct, frozen=True):
    """A comment in the conversation of a pull request or issue."""

    id: int
    html_url: str
    body: str = ""
    user: User | None = None


class Reaction(msgspec.Struct, frozen=True):
    """An emoji on a comment."""

    id: int
    content: str


# --- checks -----------------------------------------------------------------------------------------------------

OpenStatus = Literal["queued", "in_progress"]
Conclusion = Literal["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"]


class AppRef(msgspec.Struct, frozen=True):
    """A GitHub App. Its comments come from the user `<slug>[bot]`."""

    id: int
    slug: str = ""


class CheckOutput(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a check run shows: a title, and Markdown."""

    title: str
    summary: str
    text: str | None = None


class CheckRun(msgspec.Struct, frozen=True, kw_only=True):
    """A check run. `status` may also be one that only GitHub's own Actions set."""

    id: int
    name: str
    head_sha: str
    status: str
    conclusion: str | None = None
    external_id: str | None = None
    html_url: str | None = None
    app: AppRef | None = None


# --- installations ----------------------------------------------------------------------------------------------


class Installation(msgspec.Struct, frozen=True):
    """The App on one account."""

    id: int
    created_at: datetime
    suspended_at: datetime | None = None


class InstalledRepository(msgspec.Struct, frozen=True):
    """A repository that an installation opens. Nothing can be written to an archived or disabled one."""

    id: int
    full_name: str  # "owner/name"
    archived: bool = False
    disabled: bool = False


# --- webhook deliveries -----------------------------------------------------------------------------------------


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to deliver a webhook. A redelivery keeps the `guid` and gets an `id` of its own."""

    id: int
    guid: str
    delivered_at: datetime
    redelivery: bool
    status: str  # "OK", or a reason; a connection that failed has a reason too
    status_code: int  # 0 where there was no answer
    event: str
    action: str | None = None
    installation_id: int | None = None
    repository_id: int | None = None

    @property
    def succeeded(self) -> bool:
        return self.status == "OK"


class DeliveryRequest(msgspec.Struct, frozen=True):
    """What was sent. `payload` is the JSON as GitHub gives it back, not byte for byte what was signed."""

    headers: dict[str, str]
    payload: msgspec.Raw


class DeliveryDetail(Delivery, frozen=True, kw_only=True):
    """A delivery with what was sent."""

    request: DeliveryRequest
