"""The vocabulary: one frozen struct for each kind of fact, named in the past tense.

A `TOPIC` is the name that is stored, for ever. A struct holds only the facts; the ids, the time and the
metadata of an event are columns of its row (see `schema.log.Recorded`). To change a struct's shape, raise its
`VERSION` and add the step to `schema.upcasts`; a new field with a default needs neither.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

Trigger = Literal[
    "opened",
    "synchronize",
    "reopened",
    "ready_for_review",
    "base_changed",
    "check_run_rerequested",
    "check_suite_rerequested",
    "comment",
    "sweep",
]
Conclusion = Literal["success", "neutral", "failure", "cancelled", "skipped"]
Pause = Literal["installation", "provider"]
Budget = Literal["day", "week", "month"]


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of every fact."""

    TOPIC: ClassVar[str]
    VERSION: ClassVar[int] = 1


# --- the life of a review; the stream is the job ---------------------------------------------------------------


class ReviewRequested(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody or something asked for a review. On an ended job it opens the job again."""

    TOPIC = "ReviewRequested"
    installation: int
    repository_id: int
    repository: str  # owner/name as it was then; the id is what identifies it
    pull_request: int
    head_sha: str | None  # None: a comment asked, and comments do not say which head they saw
    trigger: Trigger
    asked_at: datetime  # GitHub's time of the change: orders the requests of one pull request
    requested_by: int | None = None  # GitHub user id
    comment_id: int | None = None


class ReviewStarted(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A worker took the job. `claim_no` rises with every start and is the fence."""

    TOPIC = "ReviewStarted"
    attempt: int
    claim_no: int
    worker: UUID
    deadline: datetime


class HeadResolved(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """GitHub said which commits this review is about."""

    TOPIC = "HeadResolved"
    head_sha: str
    base_sha: str


class SettingsRead(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The repository's settings file was read at the base commit. What stands for this review is in `settings`.

    Of a repository that never had a file there is none.
    """

    TOPIC = "SettingsRead"
    repository_id: int
    base_sha: str
    blob_sha: str | None = None  # of the file; None: it is there no more
    settings: str  # artifact digest of the settings in force, with what is said of them
    faults: int = 0  # when there are any, the file says nothing, and something else stands
    instead: int | None = None  # position of the SettingsRead whose settings stand then; None: the defaults
    drafts: bool = False  # whether drafts are reviewed: asked when a delivery comes, before there is a review


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The settings and limits under which a change is reviewed: with the stored bytes, all that decides the review."""

    provider: str
    model: str  # as configured
    context_tokens: int
    whole_files: bool  # whether the provider reads whole files, and so more of a diff at a time
    max_files: int
    max_findings: int
    max_output_tokens: int


class ChangesGathered(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The diff was read and divided into what is reviewed and what is left out; `coverage` names every file."""

    TOPIC = "ChangesGathered"
    files: int
    reviewed: int
    left_out: int
    coverage: str  # artifact digest
    changes: str  # artifact digest of the diff, or of the list of files, as GitHub sent it
    terms: Terms | None = None  # None: recorded by a version that did not keep them
    settings: str | None = None  # artifact digest, as in SettingsRead; None: the defaults stood


class ModelAsked(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt is about to leave for a provider."""

    TOPIC = "ModelAsked"
    call: int  # 1-based within the attempt
    provider: str
    model: str
    prompt: str  # artifact digest
    prompt_version: str


class AnswerReceived(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The provider's raw answer, stored before anything reads it."""

    TOPIC = "AnswerReceived"
    call: int
    provider: str
    model: str
    prompt: str  # artifact digest of the prompt it answers
    answer: str  # artifact digest
    finish: Literal["complete", "truncated", "refused"]
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    latency_ms: int = 0
    request_id: str | None = None
    structured: bool = True  # False: the endpoint refused the schema and was asked in words
    cost_usd: Decimal | None = None  # None: no price of the model was known
    price_table: str | None = None  # by which it was priced; None: it was not, which is made good when it is read


class ModelCallFailed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The provider gave no answer to a prompt that was sent."""

    TOPIC = "ModelCallFailed"
    call: int
    provider: str
    model: str
    prompt: str
    code: str
    latency_ms: int = 0


class ReviewPrepared(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """What will be posted is fixed: from here on a restart posts exactly this."""

    TOPIC = "ReviewPrepared"
    head_sha: str
    findings: int
    inline: int
    plan: str  # artifact digest
    conclusion: Conclusion
    # With the terms, what it takes to make the plan again from the stored bytes:
    prompts: tuple[str, ...] = ()  # artifact digests; the newest answer to each was read, in this order
    last_attempt: bool = False  # what could not be read was named, since nothing would be tried again
    withheld: tuple[int, ...] = ()  # findings, by their rank from 0, that repeated a credential of the service
    summary_withheld: bool = False
    version: str = ""  # of ReviewBot


class ReviewPosted(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The review stands on GitHub."""

    TOPIC = "ReviewPosted"
    review_id: int
    url: str
    comments: int
    found: bool = False  # True: it was already there, posted by an attempt that could not say so


class ReviewCompleted(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The review of exactly this head is done."""

    TOPIC = "ReviewCompleted"
    head_sha: str
    findings: int
    conclusion: Conclusion
    review_id: int | None = None


class ReviewFailed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An attempt failed. `retry_at` None: that was the last one."""

    TOPIC = "ReviewFailed"
    code: str
    reason: str  # a sentence a person can act on; no text of the pull request, no secret
    retry_at: datetime | None = None


class ReviewReleased(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A worker handed the job back unfinished, through no fault of the job: it stops, or a limit says wait."""

    TOPIC = "ReviewReleased"
    reason: str
    retry_at: datetime
    refunded: bool  # whether the attempt does not count
    pause: Pause | None = None  # also hold back the whole installation, or everybody who uses the provider
    provider: str | None = None
    budget: Budget | None = None  # the one that is used up: only the installation waits, the job is ready at once


class ReviewSuperseded(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A newer request for the same pull request took this one's place."""

    TOPIC = "ReviewSuperseded"
    by: UUID | None = None  # the newer job


class ReviewCancelled(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The review is no longer wanted."""

    TOPIC = "ReviewCancelled"
    reason: str  # closed, draft, installation deleted, ...


class ReviewSkipped(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The pull request was not reviewed on purpose."""

    TOPIC = "ReviewSkipped"
    reason: str


# --- Check Runs; the stream is uuid5(job, "check"), so that it never competes with the job's own -----------------


class CheckRunCreated(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A Check Run of ours stands on the head."""

    TOPIC = "CheckRunCreated"
    job: UUID
    check_run_id: int
    head_sha: str
    request_version: int  # version of the ReviewRequested it belongs to


class CheckRunConcluded(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The Check Run was completed. `conclusion` None: it could not be, for the reason given, and is left alone."""

    TOPIC = "CheckRunConcluded"
    job: UUID
    check_run_id: int | None
    conclusion: Conclusion | None
    request_version: int
    reason: str | None = None


# --- what deliveries told; the stream is uuid5(delivery) ---------------------------------------------------------


class PullRequestClosed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The pull request was merged or closed."""

    TOPIC = "PullRequestClosed"
    installation: int
    repository_id: int
    repository: str
    pull_request: int
    merged: bool
    at: datetime


class PullRequestDrafted(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The pull request became a draft (or was opened as one): it waits until it is ready."""

    TOPIC = "PullRequestDrafted"
    installation: int
    repository_id: int
    repository: str
    pull_request: int
    head_sha: str
    at: datetime


class RepositoryRenamed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The repository has a new name or owner."""

    TOPIC = "RepositoryRenamed"
    installation: int
    repository_id: int
    repository: str
    before: str | None = None


class InstallationCreated(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An account installed the App."""

    TOPIC = "InstallationCreated"
    installation: int
    account_id: int
    account: str
    at: datetime


class InstallationDeleted(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An account removed the App."""

    TOPIC = "InstallationDeleted"
    installation: int
    at: datetime


class InstallationSuspended(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An account suspended the App: GitHub gives no access until it is unsuspended."""

    TOPIC = "InstallationSuspended"
    installation: int
    at: datetime


class InstallationUnsuspended(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An account gave the App access again."""

    TOPIC = "InstallationUnsuspended"
    installation: int
    at: datetime


class PermissionsAccepted(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An account accepted new permissions of the App."""

    TOPIC = "PermissionsAccepted"
    installation: int
    at: datetime


class InstallationResumed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A budget that held an installation back is not used up any more, before its time is over."""

    TOPIC = "InstallationResumed"
    installation: int


class RepositoriesChanged(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Repositories were added to or removed from an installation."""

    TOPIC = "RepositoriesChanged"
    installation: int
    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()


class DeliveryIgnored(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A delivery asked for nothing; `reason` says why."""

    TOPIC = "DeliveryIgnored"
    event: str
    reason: str
    action: str | None = None
    installation: int | None = None
    repository_id: int | None = None
    repository: str | None = None
    pull_request: int | None = None
    head_sha: str | None = None
    job: UUID | None = None  # the job that already answers it


class DeliveryParked(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A signed delivery could not be understood. Its bytes are kept in the inbox."""

    TOPIC = "DeliveryParked"
    event: str
    reason: str


# --- intake without gaps; the streams are uuid5 of what each is about, so that nothing is said twice --------------


class DeliveryMissed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """GitHub has our OK for a delivery that the inbox does not hold: a promise was broken."""

    TOPIC = "DeliveryMissed"
    event: str
    action: str | None = None
    delivered_at: datetime  # by GitHub's clock


class DeliveryLost(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A delivery never arrived, and GitHub does not send it any more."""

    TOPIC = "DeliveryLost"
    event: str
    action: str | None = None
    delivered_at: datetime  # by GitHub's clock
    status: str  # what GitHub says of the newest attempt
    asked: int  # how often it was asked for again


class IntakeGap(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody compared the deliveries of this time with the inbox while GitHub still kept them."""

    TOPIC = "IntakeGap"
    since: datetime
    until: datetime


class HeadLeftOut(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A sweep met a head that nothing was known of, and did not ask for its review; `reason` says why."""

    TOPIC = "HeadLeftOut"
    installation: int
    repository_id: int
    repository: str
    pull_request: int
    head_sha: str
    reason: str


# --- who may read over HTTP; the stream is the token's id ----------------------------------------------------------


class InstallationErased(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The data key of an installation was destroyed: nobody can read its texts any more."""

    TOPIC = "InstallationErased"
    installation: int
    key: UUID


class TokenCreated(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An operator made a token for the HTTP API."""

    TOPIC = "TokenCreated"
    name: str
    expires_at: datetime | None = None


class TokenRevoked(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An operator took a token back: it opens nothing any more."""

    TOPIC = "TokenRevoked"
    name: str


FACTS: tuple[type[Fact], ...] = (
    ReviewRequested,
    ReviewStarted,
    HeadResolved,
    SettingsRead,
    ChangesGathered,
    ModelAsked,
    AnswerReceived,
    ModelCallFailed,
    ReviewPrepared,
    ReviewPosted,
    ReviewCompleted,
    ReviewFailed,
    ReviewReleased,
    ReviewSuperseded,
    ReviewCancelled,
    ReviewSkipped,
    CheckRunCreated,
    CheckRunConcluded,
    PullRequestClosed,
    PullRequestDrafted,
    RepositoryRenamed,
    InstallationCreated,
    InstallationDeleted,
    InstallationSuspended,
    InstallationUnsuspended,
    PermissionsAccepted,
    RepositoriesChanged,
    DeliveryIgnored,
    DeliveryParked,
    DeliveryMissed,
    DeliveryLost,
    IntakeGap,
    HeadLeftOut,
    TokenCreated,
    TokenRevoked,
    InstallationErased,
    InstallationResumed,
)
BY_TOPIC: dict[str, type[Fact]] = {fact.TOPIC: fact for fact in FACTS}
