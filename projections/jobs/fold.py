"""How facts become jobs. Pure: rows in memory are changed, nothing is read or written.

Only the order of the log counts, never the clock or the division into pages, so a replay gives the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from projections.base import FoldError
from schema import events as e
from schema.codec import Recorded

State = Literal["queued", "ending", "running", "completed", "failed", "superseded", "cancelled", "skipped"]
OPEN: frozenset[State] = frozenset({"queued", "ending", "running"})
JOB_FACTS: frozenset[type[e.Fact]] = frozenset(  # the facts of a job's own stream
    (
        e.ReviewRequested,
        e.ReviewStarted,
        e.HeadResolved,
        e.ChangesGathered,
        e.ModelAsked,
        e.AnswerReceived,
        e.ModelCallFailed,
        e.ReviewPrepared,
        e.ReviewPosted,
        e.ReviewCompleted,
        e.ReviewFailed,
        e.ReviewReleased,
        e.ReviewSuperseded,
        e.ReviewCancelled,
        e.ReviewSkipped,
    )
)


class Job(msgspec.Struct, gc=False):
    """A row of `jobs`, its fields in the order of the columns; table.sql says what they mean."""

    job: UUID
    version: int
    position: int
    state: State
    installation: int
    repository_id: int
    repository: str
    pull_request: int
    head_sha: str | None
    base_sha: str | None
    trigger: str
    requested_by: int | None
    comment_id: int | None
    correlation: UUID
    request_version: int
    request_position: int
    first_position: int
    asked_at: datetime
    requested_at: datetime
    run_at: datetime
    attempt: int = 0
    releases: int = 0
    claim_no: int = 0
    started_position: int = 0
    started_at: datetime | None = None
    worker: UUID | None = None
    deadline: datetime | None = None
    superseded_by: UUID | None = None
    cancel_reason: str | None = None
    reason: str | None = None
    files: int | None = None
    files_left_out: int | None = None
    provider: str | None = None
    model: str | None = None
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    plan: str | None = None
    findings: int | None = None
    conclusion: str | None = None
    review_id: int | None = None
    review_url: str | None = None
    check_run_id: int | None = None
    check_version: int | None = None
    check_concluded: bool = False
    finished_at: datetime | None = None

    @property
    def pull(self) -> tuple[int, int]:
        return self.repository_id, self.pull_request


class PullRequest(msgspec.Struct, kw_only=True):
    """A row of `pull_requests`: what orders the requests of one pull request."""

    repository_id: int
    pull_request: int
    asked_at: datetime | None = None
    job: UUID | None = None
    stopped_at: datetime | None = None
    stop_reason: str | None = None


class Installation(msgspec.Struct, kw_only=True):
    """The part of a row of `installations` that facts decide; the counters follow the jobs."""

    installation: int
    state: Literal["active", "suspended", "deleted"] = "active"
    changed_at: datetime | None = None
    paused_until: datetime | None = None
    pause_reason: str | None = None


class ProviderPause(msgspec.Struct, kw_only=True):
    """A row of `providers`: until when nobody may ask it."""

    provider: str
    paused_until: datetime
    pause_reason: str


class Rows:
    """The rows that a page of events touches, as loaded and then folded."""

    def __init__(
        self,
        jobs: Iterable[Job] = (),
        pulls: Iterable[PullRequest] = (),
        installations: Iterable[Installation] = (),
        providers: Iterable[ProviderPause] = (),
    ) -> None:
        self.jobs = {row.job: row for row in jobs}
        self.pulls = {(row.repository_id, row.pull_request): row for row in pulls}
        self.installations = {row.installation: row for row in installations}
        self.providers = {row.provider: row for row in providers}
        self.stored_jobs, self.stored_pulls = frozenset(self.jobs), frozenset(self.pulls)
        self.changed: set[UUID] = set()  # jobs to write back
        self.open: dict[tuple[int, int], set[UUID]] = {}
        for job in self.jobs.values():
            if job.state in OPEN:
                self.open.setdefault(job.pull, set()).add(job.job)

    def pull(self, repository_id: int, number: int) -> PullRequest:
        key = (repository_id, number)
        if key not in self.pulls:
            self.pulls[key] = PullRequest(repository_id=repository_id, pull_request=number)
        return self.pulls[key]

    def installation(self, installation: int) -> Installation:
        if installation not in self.installations:
            self.installations[installation] = Installation(installation=installation)
        return self.installations[installation]


class Needs(msgspec.Struct, frozen=True):
    """Which rows must be loaded before a page can be folded."""

    jobs: set[UUID]
    pulls: set[tuple[int, int]]
    installations: set[int]
    providers: set[str]

    @property
    def nothing(self) -> bool:
        return not (self.jobs or self.pulls or self.installations or self.providers)


def needs(events: Iterable[Recorded], facts: Iterable[e.Fact]) -> Needs:
    """The rows that a page may touch; the facts are those of its events."""
    wanted = Needs(set(), set(), set(), set())
    for event, fact in zip(events, facts, strict=True):
        if type(fact) in JOB_FACTS:
            wanted.jobs.add(event.stream)
        match fact:
            case e.ReviewRequested() | e.PullRequestClosed() | e.PullRequestDrafted():
                wanted.pulls.add((fact.repository_id, fact.pull_request))
            case e.ReviewReleased(pause="installation") if event.installation is not None:
                wanted.installations.add(event.installation)
            case e.ReviewReleased(pause="provider", provider=provider) if provider is not None:
                wanted.providers.add(provider)
            case e.CheckRunCreated() | e.CheckRunConcluded():
                wanted.jobs.add(fact.job)
            case e.InstallationCreated() | e.InstallationUnsuspended():
                wanted.installations.add(fact.installation)
            case e.InstallationSuspended() | e.InstallationDeleted():
                wanted.installations.add(fact.installation)
    return wanted


def fold(rows: Rows, event: Recorded, fact: e.Fact) -> None:
    """Take one event in. Raises FoldError when the rows cannot be what the log says."""
    if type(fact) in JOB_FACTS:
        _fold_job(rows, event, fact)
        return
    match fact:
        case e.CheckRunCreated():
            _check_created(rows, event, fact)
        case e.CheckRunConcluded():
            job = _job(rows, event, fact.job)
            job.check_version, job.check_concluded = fact.request_version, True
            rows.changed.add(job.job)
        case e.PullRequestClosed():
            _stop(rows, fact.repository_id, fact.pull_request, fact.at, "merged" if fact.merged else "closed")
        case e.PullRequestDrafted():
            _stop(rows, fact.repository_id, fact.pull_request, fact.at, "draft")
        case e.InstallationCreated() | e.InstallationUnsuspended():
            _set_installation(rows, fact.installation, "active", fact.at)
        case e.InstallationSuspended():
            _set_installation(rows, fact.installation, "suspended", fact.at)
        case e.InstallationDeleted():
            _set_installation(rows, fact.installation, "deleted", fact.at)


def _job(rows: Rows, event: Recorded, job: UUID) -> Job:
    row = rows.jobs.get(job)
    if row is None:
        raise FoldError(event, f"there is no job {job}")
    return row


def _fold_job(rows: Rows, event: Recorded, fact: e.Fact) -> None:
    """An event of a job's own stream: exactly the next version, or one that the claim has folded in already."""
    job = rows.jobs.get(event.stream)
    if isinstance(fact, e.ReviewRequested) and (job is None or event.version == job.version + 1):
        _requested(rows, job, event, fact)
        return
    job = _job(rows, event, event.stream)
    if event.version <= job.version:
        return
    if event.version != job.version + 1:
        raise FoldError(event, f"the job stands at version {job.version}")
    _step(rows, job, event, fact)
    job.version, job.position = event.version, event.position
    rows.changed.add(job.job)
    if job.state not in OPEN:
        rows.open.get(job.pull, set()).discard(job.job)


def _requested(rows: Rows, before: Job | None, event: Recorded, fact: e.ReviewRequested) -> None:
    rows.changed.add(event.stream)
    if before is not None and before.state in OPEN:  # asked again while it waits or runs: it is wanted after all
        before.version, before.position, before.asked_at = event.version, event.position, fact.asked_at
        before.superseded_by = before.cancel_reason = None
        before.state = "queued" if before.state == "ending" else before.state
        _order(rows, before)
        return
    job = Job(
        job=event.stream,
        version=event.version,
        position=event.position,
        state="queued",
        installation=fact.installation,
        repository_id=fact.repository_id,
        repository=fact.repository,
        pull_request=fact.pull_request,
        head_sha=fact.head_sha,
        base_sha=None,
        trigger=fact.trigger,
        requested_by=fact.requested_by,
        comment_id=fact.comment_id,
        correlation=event.correlation,
        request_version=event.version,
        request_position=event.position,
        first_position=before.first_position if before else event.position,
        asked_at=fact.asked_at,
        requested_at=event.recorded_at,
        run_at=event.recorded_at,
    )
    if before is not None:  # opened again: what fences and what is on GitHub stays
        job.claim_no, job.started_position = before.claim_no, before.started_position
        job.check_run_id, job.check_version = before.check_run_id, before.check_version
        job.check_concluded = before.check_concluded
    rows.jobs[job.job] = job
    _order(rows, job)


def _order(rows: Rows, job: Job) -> None:
    """The newest request of a pull request wins, by GitHub's clock; at the same second the later arrival does."""
    pull = rows.pull(*job.pull)
    others = rows.open.setdefault(job.pull, set())
    others.discard(job.job)
    if pull.asked_at is None or job.asked_at >= pull.asked_at:
        for other in others:
            _end(rows, rows.jobs[other], superseded_by=job.job)
        pull.asked_at, pull.job = job.asked_at, job.job
    elif pull.job != job.job:
        _end(rows, job, superseded_by=pull.job)
    if pull.stopped_at is not None and pull.stopped_at > job.asked_at:
        _end(rows, job, cancel_reason=pull.stop_reason)
    others.add(job.job)


def _stop(rows: Rows, repository_id: int, number: int, at: datetime, reason: str) -> None:
    pull = rows.pull(repository_id, number)
    if pull.stopped_at is None or at >= pull.stopped_at:
        pull.stopped_at, pull.stop_reason = at, reason
    for job in rows.open.get((repository_id, number), set()):
        if rows.jobs[job].asked_at <= at:
            _end(rows, rows.jobs[job], cancel_reason=reason)


def _end(rows: Rows, job: Job, *, superseded_by: UUID | None = None, cancel_reason: str | None = None) -> None:
    """Mark a job that is no longer wanted. Its worker, or any worker if it has none, writes the ending to the log."""
    job.superseded_by = superseded_by or job.superseded_by
    job.cancel_reason = cancel_reason or job.cancel_reason
    if job.state == "queued":
        job.state = "ending"
    rows.changed.add(job.job)


def _step(rows: Rows, job: Job, event: Recorded, fact: e.Fact) -> None:
    """What one fact of a job's own stream changes in its row; facts for the audit alone change nothing."""
    match fact:
        case e.ReviewStarted():
            job.state = "running"
            job.attempt, job.claim_no = fact.attempt, fact.claim_no
            job.worker, job.deadline = fact.worker, fact.deadline
            job.started_at, job.started_position = event.recorded_at, event.position
        case e.HeadResolved():
            job.head_sha, job.base_sha = fact.head_sha, fact.base_sha
        case e.ChangesGathered():
            job.files, job.files_left_out = fact.files, fact.left_out
        case e.ModelAsked():
            job.provider, job.model, job.calls = fact.provider, fact.model, job.calls + 1
        case e.AnswerReceived():
            job.model = fact.model
            job.input_tokens += fact.input_tokens
            job.output_tokens += fact.output_tokens
        case e.ReviewPrepared():
            job.plan, job.findings = fact.plan, fact.findings
        case e.ReviewPosted():
            job.review_id, job.review_url = fact.review_id, fact.url
        case e.ReviewReleased():
            _back_in_queue(job, fact.retry_at, fact.reason)
            job.attempt -= fact.refunded
            job.releases += 1
            _pause(rows, job, fact)
        case e.ReviewFailed(retry_at=None):
            _ended(job, event, "failed", fact.reason)
        case e.ReviewFailed(retry_at=retry_at) if retry_at is not None:
            _back_in_queue(job, retry_at, fact.reason)
        case e.ReviewCompleted():
            _ended(job, event, "completed")
            job.head_sha, job.findings, job.conclusion = fact.head_sha, fact.findings, fact.conclusion
            job.review_id = fact.review_id or job.review_id
        case e.ReviewSuperseded():
            _ended(job, event, "superseded", f"job {fact.by} took its place" if fact.by else None)
        case e.ReviewCancelled():
            _ended(job, event, "cancelled", fact.reason)
        case e.ReviewSkipped():
            _ended(job, event, "skipped", fact.reason)


def _back_in_queue(job: Job, run_at: datetime, reason: str) -> None:
    job.state = "ending" if job.superseded_by or job.cancel_reason else "queued"
    job.run_at, job.reason = run_at, reason
    job.worker = job.deadline = None


def _ended(job: Job, event: Recorded, state: State, reason: str | None = None) -> None:
    job.state, job.reason, job.finished_at = state, reason, event.recorded_at
    job.worker = job.deadline = job.superseded_by = job.cancel_reason = None


def _pause(rows: Rows, job: Job, fact: e.ReviewReleased) -> None:
    """Hold back more than the job: its installation, or everybody who uses the provider."""
    until = fact.retry_at
    if fact.pause == "installation":
        row = rows.installation(job.installation)
        if row.paused_until is None or row.paused_until < until:
            row.paused_until, row.pause_reason = until, fact.reason
    elif fact.pause == "provider" and fact.provider:
        pause = rows.providers.get(fact.provider)
        if pause is None or pause.paused_until < until:
            rows.providers[fact.provider] = ProviderPause(
                provider=fact.provider, paused_until=until, pause_reason=fact.reason
            )


def _check_created(rows: Rows, event: Recorded, fact: e.CheckRunCreated) -> None:
    job = _job(rows, event, fact.job)
    if job.check_version is None or fact.request_version >= job.check_version:
        job.check_run_id, job.check_version, job.check_concluded = fact.check_run_id, fact.request_version, False
        rows.changed.add(job.job)


def _set_installation(
    rows: Rows, installation: int, state: Literal["active", "suspended", "deleted"], at: datetime
) -> None:
    row = rows.installation(installation)
    if row.changed_at is None or at >= row.changed_at:
        row.state, row.changed_at = state, at
