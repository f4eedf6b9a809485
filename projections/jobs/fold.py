"""How facts become jobs. Pure: rows in memory are changed, nothing is read or written.

Only the order of the log counts, never the clock or the division into pages, so a replay gives the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from projections.base import FoldError
from projections.jobs.rows import OPEN, Job, ProviderPause, Rows, State
from schema import events as e
from schema.codec import Recorded


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
        kind = type(fact)
        if kind in STEPS:
            wanted.jobs.add(event.stream)
        if kind in NEEDS:
            NEEDS[kind](wanted, event, fact)
    return wanted


def _needs_pull(
    wanted: Needs, event: Recorded, fact: e.ReviewRequested | e.PullRequestClosed | e.PullRequestDrafted
) -> None:
    wanted.pulls.add((fact.repository_id, fact.pull_request))
    if type(fact) is e.ReviewRequested and event.version > 1:
        wanted.jobs.add(event.stream)


def _needs_paused(wanted: Needs, event: Recorded, fact: e.ReviewReleased) -> None:
    if fact.pause == "installation" and event.installation is not None:
        wanted.installations.add(event.installation)
    elif fact.pause == "provider" and fact.provider is not None:
        wanted.providers.add(fact.provider)


def _needs_job(wanted: Needs, event: Recorded, fact: e.CheckRunCreated | e.CheckRunConcluded) -> None:
    wanted.jobs.add(fact.job)


def _needs_installation(
    wanted: Needs,
    event: Recorded,
    fact: e.InstallationCreated
    | e.InstallationUnsuspended
    | e.InstallationSuspended
    | e.InstallationDeleted
    | e.InstallationResumed,
) -> None:
    wanted.installations.add(fact.installation)


def fold(rows: Rows, event: Recorded, fact: e.Fact) -> None:
    """Take one event in. Raises FoldError when the rows cannot be what the log says."""
    kind = type(fact)
    if kind in STEPS:
        job = _job(rows, event, event.stream)
        if _is_next(job, event):
            STEPS[kind](rows, job, event, fact)
            job.version, job.position = event.version, event.position
            rows.changed.add(job.job)
    elif kind in TURNS:
        TURNS[kind](rows, event, fact)


def _job(rows: Rows, event: Recorded, job: UUID) -> Job:
    row = rows.jobs.get(job)
    if row is None:
        raise FoldError(event, f"there is no job {job}")
    return row


def _is_next(job: Job, event: Recorded) -> bool:
    """Whether an event of a job's own stream is its next one; False: the claim has folded it in already."""
    if event.version > job.version + 1:
        raise FoldError(event, f"the job stands at version {job.version}")
    return event.version > job.version


def _requested(rows: Rows, event: Recorded, fact: e.ReviewRequested) -> None:
    before = rows.jobs.get(event.stream)
    if before is not None and not _is_next(before, event):
        return
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
    pull = rows.pull(job.pull)
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


def _closed(rows: Rows, event: Recorded, fact: e.PullRequestClosed) -> None:
    _stop(rows, (fact.repository_id, fact.pull_request), fact.at, "merged" if fact.merged else "closed")


def _drafted(rows: Rows, event: Recorded, fact: e.PullRequestDrafted) -> None:
    _stop(rows, (fact.repository_id, fact.pull_request), fact.at, "draft")


def _stop(rows: Rows, key: tuple[int, int], at: datetime, reason: str) -> None:
    pull = rows.pull(key)
    if pull.stopped_at is None or at >= pull.stopped_at:
        pull.stopped_at, pull.stop_reason = at, reason
    for job in rows.open.get(key, set()):
        if rows.jobs[job].asked_at <= at:
            _end(rows, rows.jobs[job], cancel_reason=reason)


def _end(rows: Rows, job: Job, *, superseded_by: UUID | None = None, cancel_reason: str | None = None) -> None:
    """Mark a job that is no longer wanted. Its worker, or any worker if it has none, writes the ending to the log."""
    job.superseded_by = superseded_by or job.superseded_by
    job.cancel_reason = cancel_reason or job.cancel_reason
    if job.state == "queued":
        job.state = "ending"
    rows.changed.add(job.job)


# --- what one fact of a job's own stream changes in its row --------------------------------------------------------


def _started(rows: Rows, job: Job, event: Recorded, fact: e.ReviewStarted) -> None:
    job.state = "running"
    job.attempt, job.claim_no = fact.attempt, fact.claim_no
    job.worker, job.deadline = fact.worker, fact.deadline
    job.started_at, job.started_position = event.recorded_at, event.position


def _head_resolved(rows: Rows, job: Job, event: Recorded, fact: e.HeadResolved) -> None:
    job.head_sha, job.base_sha = fact.head_sha, fact.base_sha


def _gathered(rows: Rows, job: Job, event: Recorded, fact: e.ChangesGathered) -> None:
    job.files, job.files_left_out = fact.files, fact.left_out


def _asked(rows: Rows, job: Job, event: Recorded, fact: e.ModelAsked) -> None:
    job.provider, job.model, job.calls = fact.provider, fact.model, job.calls + 1


def _answered(rows: Rows, job: Job, event: Recorded, fact: e.AnswerReceived) -> None:
    job.model = fact.model
    job.input_tokens += fact.input_tokens
    job.output_tokens += fact.output_tokens
    job.cost_usd += fact.cost_usd or 0


def _prepared(rows: Rows, job: Job, event: Recorded, fact: e.ReviewPrepared) -> None:
    job.plan, job.findings = fact.plan, fact.findings


def _posted(rows: Rows, job: Job, event: Recorded, fact: e.ReviewPosted) -> None:
    job.review_id, job.review_url = fact.review_id, fact.url


def _released(rows: Rows, job: Job, event: Recorded, fact: e.ReviewReleased) -> None:
    _back_in_queue(job, fact.retry_at if fact.budget is None else event.recorded_at, fact.reason)
    job.attempt -= fact.refunded
    job.releases += fact.budget is None
    _pause(rows, job, fact)


def _failed(rows: Rows, job: Job, event: Recorded, fact: e.ReviewFailed) -> None:
    if fact.retry_at is None:
        _ended(rows, job, event, "failed", fact.reason)
    else:
        _back_in_queue(job, fact.retry_at, fact.reason)


def _completed(rows: Rows, job: Job, event: Recorded, fact: e.ReviewCompleted) -> None:
    _ended(rows, job, event, "completed")
    job.head_sha, job.findings, job.conclusion = fact.head_sha, fact.findings, fact.conclusion
    job.review_id = fact.review_id or job.review_id


def _superseded(rows: Rows, job: Job, event: Recorded, fact: e.ReviewSuperseded) -> None:
    _ended(rows, job, event, "superseded", f"job {fact.by} took its place" if fact.by else None)


def _cancelled(rows: Rows, job: Job, event: Recorded, fact: e.ReviewCancelled) -> None:
    _ended(rows, job, event, "cancelled", fact.reason)


def _skipped(rows: Rows, job: Job, event: Recorded, fact: e.ReviewSkipped) -> None:
    _ended(rows, job, event, "skipped", fact.reason)


def _told(rows: Rows, job: Job, event: Recorded, fact: e.Fact) -> None:
    """For the audit alone."""


def _back_in_queue(job: Job, run_at: datetime, reason: str) -> None:
    job.state = "ending" if job.superseded_by or job.cancel_reason else "queued"
    job.run_at, job.reason = run_at, reason
    job.worker = job.deadline = None


def _ended(rows: Rows, job: Job, event: Recorded, state: State, reason: str | None = None) -> None:
    job.state, job.reason, job.finished_at = state, reason, event.recorded_at
    job.worker = job.deadline = job.superseded_by = job.cancel_reason = None
    rows.open.get(job.pull, set()).discard(job.job)


def _pause(rows: Rows, job: Job, fact: e.ReviewReleased) -> None:
    """Hold back more than the job: its installation, or everybody who uses the provider."""
    until = fact.retry_at
    if fact.pause == "installation":
        row = rows.installation(job.installation)
        if row.paused_until is None or row.paused_until < until:
            row.paused_until, row.pause_reason, row.budget = until, fact.reason, fact.budget
    elif fact.pause == "provider" and fact.provider:
        pause = rows.providers.get(fact.provider)
        if pause is None or pause.paused_until < until:
            rows.providers[fact.provider] = ProviderPause(
                provider=fact.provider, paused_until=until, pause_reason=fact.reason
            )


# --- Check Runs and installations ------------------------------------------------------------------------------


def _check_created(rows: Rows, event: Recorded, fact: e.CheckRunCreated) -> None:
    job = _job(rows, event, fact.job)
    if job.check_version is None or fact.request_version >= job.check_version:
        job.check_run_id, job.check_version, job.check_concluded = fact.check_run_id, fact.request_version, False
        rows.changed.add(job.job)


def _check_concluded(rows: Rows, event: Recorded, fact: e.CheckRunConcluded) -> None:
    job = _job(rows, event, fact.job)
    job.check_version, job.check_concluded = fact.request_version, True
    rows.changed.add(job.job)


def _installed(rows: Rows, event: Recorded, fact: e.InstallationCreated | e.InstallationUnsuspended) -> None:
    _set_installation(rows, fact.installation, "active", fact.at)


def _suspended(rows: Rows, event: Recorded, fact: e.InstallationSuspended) -> None:
    _set_installation(rows, fact.installation, "suspended", fact.at)


def _deleted(rows: Rows, event: Recorded, fact: e.InstallationDeleted) -> None:
    _set_installation(rows, fact.installation, "deleted", fact.at)


def _resumed(rows: Rows, event: Recorded, fact: e.InstallationResumed) -> None:
    row = rows.installation(fact.installation)
    if row.budget is not None:
        row.paused_until = row.pause_reason = row.budget = None


def _set_installation(
    rows: Rows, installation: int, state: Literal["active", "suspended", "deleted"], at: datetime
) -> None:
    row = rows.installation(installation)
    if row.changed_at is None or at >= row.changed_at:
        row.state, row.changed_at = state, at


# --- which fact is taken in by what: looked up by the kind, as a million times a minute a chain of questions is dear --

STEPS: Mapping[type[e.Fact], Callable[[Rows, Job, Recorded, Any], None]] = {
    e.ReviewStarted: _started,
    e.HeadResolved: _head_resolved,
    e.SettingsRead: _told,
    e.ChangesGathered: _gathered,
    e.ModelAsked: _asked,
    e.AnswerReceived: _answered,
    e.ModelCallFailed: _told,
    e.ReviewPrepared: _prepared,
    e.ReviewPosted: _posted,
    e.ReviewCompleted: _completed,
    e.ReviewFailed: _failed,
    e.ReviewReleased: _released,
    e.ReviewSuperseded: _superseded,
    e.ReviewCancelled: _cancelled,
    e.ReviewSkipped: _skipped,
}
TURNS: Mapping[type[e.Fact], Callable[[Rows, Recorded, Any], None]] = {
    e.ReviewRequested: _requested,
    e.CheckRunCreated: _check_created,
    e.CheckRunConcluded: _check_concluded,
    e.PullRequestClosed: _closed,
    e.PullRequestDrafted: _drafted,
    e.InstallationCreated: _installed,
    e.InstallationUnsuspended: _installed,
    e.InstallationSuspended: _suspended,
    e.InstallationDeleted: _deleted,
    e.InstallationResumed: _resumed,
}
NEEDS: Mapping[type[e.Fact], Callable[[Needs, Recorded, Any], None]] = {
    e.ReviewRequested: _needs_pull,
    e.PullRequestClosed: _needs_pull,
    e.PullRequestDrafted: _needs_pull,
    e.ReviewReleased: _needs_paused,
    e.CheckRunCreated: _needs_job,
    e.CheckRunConcluded: _needs_job,
    e.InstallationCreated: _needs_installation,
    e.InstallationUnsuspended: _needs_installation,
    e.InstallationSuspended: _needs_installation,
    e.InstallationDeleted: _needs_installation,
    e.InstallationResumed: _needs_installation,
}
