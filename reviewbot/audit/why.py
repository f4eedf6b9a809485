"""Why a head was or was not reviewed, in sentences, from what the log tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from projections.jobs import read
from projections.jobs.rows import Job
from reviewbot.audit.filters import Filter
from reviewbot.audit.remedies import remedy
from reviewbot.audit.select import HERE, MOST, Pool, reading, repositories, select
from reviewbot.audit.sentences import counted, sentence
from reviewbot.audit.shapes import readable
from schema import events as e
from schema.codec import Recorded
from schema.log import recorded
from schema.sql import load

ABOUT_HEADS = ["pull_request", "check_run", "check_suite", "issue_comment"]  # deliveries that can ask for a review
TROUBLES = 5  # that are named
RECOVER = "`reviewbot deliveries recover` asks GitHub for what is missing and sweeps the open pull requests."


class Limits(msgspec.Struct, frozen=True):
    """The settings that decide how long a job waits."""

    per_installation: int
    lease_seconds: float


class Missing(msgspec.Struct, frozen=True):
    """A delivery about the repository that GitHub lists and the inbox lacks."""

    what: str  # such as pull_request.opened
    delivered_at: datetime
    asked: int  # how often it was asked for again
    lost: bool  # given up


class Known(msgspec.Struct, frozen=True):
    """All that there is about one pull request. Events and jobs in the order of the log."""

    name: str  # as it was asked for: owner/repo#7
    events: list[Recorded]
    jobs: list[Job]
    waiting: dict[UUID, read.Waiting]
    troubles: list[Recorded]  # of the intake in general, the newest first
    missing: list[Missing]  # the newest first


class Answer(msgspec.Struct, frozen=True):
    """Why one head was or was not reviewed. `head` None: nothing at all is known of the pull request."""

    pull_request: str
    head: str | None
    verdict: str  # reviewed, running, waiting, failed, superseded, cancelled, skipped, left out, unknown
    sentences: list[str]


async def known(pool: Pool, repository: str, number: int, limits: Limits) -> Known:
    """Read what there is. Raises OperationalError when the database does not answer."""
    ids = await repositories(pool, repository)
    asked = Filter(repository=repository, pull_request=number)
    newest = (await select(pool, asked, limit=MOST, newest_first=True)).events
    jobs = await read.of_pull_request(pool, ids, number)
    waiting = {}
    for job in jobs:
        if job.state in ("queued", "ending"):
            found = await read.waiting(pool, job.job, limits.lease_seconds)
            if found is not None:
                waiting[job.job] = found
    async with reading(pool) as connection:
        troubles = recorded(await connection.fetch(load(HERE, "trouble"), ABOUT_HEADS, TROUBLES))
        missing = [Missing(*row) for row in await connection.fetch(load(HERE, "missing"), ids, TROUBLES)]
    events, troubles = list(filter(readable, newest[::-1])), list(filter(readable, troubles))
    return Known(f"{repository}#{number}", events, jobs, waiting, troubles, missing)


def why(found: Known, limits: Limits, head: str | None = None) -> list[Answer]:
    """An answer for each known head that begins with `head`, the newest last; without it for the newest one."""
    heads = _heads(found)
    if head is not None:
        heads = [each for each in heads if each.startswith(head)]
        return [_answer(found, each, limits) for each in heads] or [_unknown(found, head)]
    if found.jobs and found.jobs[-1].head_sha is None:
        return [_about(found, found.jobs[-1:], None, limits)]
    return [_answer(found, heads[-1], limits)] if heads else [_unknown(found, None)]


def _heads(found: Known) -> list[str]:
    """Every head that is known, the one that was heard of last at the end."""
    heard: dict[str, int] = {}
    for job in found.jobs:
        if job.head_sha is not None:
            heard[job.head_sha] = max(heard.get(job.head_sha, 0), job.request_position)
    for event in found.events:
        fact = event.fact
        if isinstance(fact, e.PullRequestDrafted | e.HeadLeftOut | e.DeliveryIgnored) and fact.head_sha is not None:
            heard[fact.head_sha] = max(heard.get(fact.head_sha, 0), event.position)
    return sorted(heard, key=lambda each: heard[each])


def _answer(found: Known, head: str, limits: Limits) -> Answer:
    jobs = [job for job in found.jobs if job.head_sha == head]
    return _about(found, jobs, head, limits) if jobs else _told_only(found, head)


def _about(found: Known, jobs: Sequence[Job], head: str | None, limits: Limits) -> Answer:
    """What became of the jobs of a head; None: a comment asked, and GitHub was not asked yet which head it is about."""
    done = [job for job in jobs if job.state == "completed"]
    job = (done or jobs)[-1]
    verdict = {"queued": "waiting", "ending": "waiting", "completed": "reviewed"}.get(job.state, job.state)
    place = head[:12] if head else "its newest commit"
    sentences = [f"{found.name} at {place}: {_opening(job)}", *_details(found, job, limits)]
    later = [other for other in jobs if other is not job and other.request_position > job.request_position]
    sentences += [f"It was asked for once more by job {other.job}, which is {other.state}." for other in later]
    sentences.append(f"The whole story: reviewbot audit history {job.job}")
    return Answer(found.name, head, verdict, sentences)


def _opening(job: Job) -> str:
    match job.state:
        case "completed":
            return (
                f"reviewed on {_moment(job.finished_at)}, {counted(job.findings or 0, 'finding')} ({job.conclusion})."
            )
        case "running":
            return f"being reviewed since {_moment(job.started_at)}, attempt {job.attempt}."
        case "queued":
            return f"waiting since {_moment(job.requested_at)}."
        case "ending" if job.superseded_by is not None:
            return "not reviewed: a newer request took its place; a worker has yet to write that down."
        case "ending":
            return f"not reviewed: the pull request was {job.cancel_reason}; a worker has yet to write that down."
        case "failed":
            return f"the review failed for good on {_moment(job.finished_at)}, after {counted(job.attempt, 'attempt')}."
        case "superseded":
            return f"not reviewed: a newer request took its place on {_moment(job.finished_at)}."
        case "cancelled":
            return f"not reviewed: cancelled on {_moment(job.finished_at)} ({job.reason})."
        case "skipped":
            return f"not reviewed on purpose: {job.reason}"


def _details(found: Known, job: Job, limits: Limits) -> Iterator[str]:
    own = [event for event in found.events if event.stream == job.job]
    match job.state:
        case "completed" if job.review_url:
            yield f"The review: {job.review_url}"
        case "completed":
            yield "Nothing was posted but the Check Run."
        case "failed":
            yield from _failure(job, own)
        case "queued":
            yield from _last_attempt(own)
            yield from _waiting(found.waiting.get(job.job), job, limits)
        case "superseded" | "ending":
            yield from _newer(found, job, own)
    if job.state == "cancelled" and job.reason == "draft":
        yield "It is reviewed when it is marked ready, or at once by the comment `@APP review`."
    if job.state in ("completed", "failed") and job.check_version is not None and not job.check_concluded:
        yield "Its Check Run on GitHub does not say so yet: look for `check run is late` in the service's log."


def _failure(job: Job, own: Sequence[Recorded]) -> Iterator[str]:
    codes = [event.fact.code for event in own if isinstance(event.fact, e.ReviewFailed)]
    code = codes[-1] if codes else "of long ago"  # only the newest events of a pull request are looked at
    yield f"The reason ({code}): {job.reason}"
    yield f"What to do: {remedy(code)}"


def _last_attempt(own: Sequence[Recorded]) -> Iterator[str]:
    ends = [event for event in own if event.topic in (e.ReviewFailed.TOPIC, e.ReviewReleased.TOPIC)]
    if ends:
        match ends[-1].fact:
            case e.ReviewFailed() as failed:
                yield f"The last attempt failed on {_moment(ends[-1].recorded_at)} ({failed.code}): {failed.reason}"
            case e.ReviewReleased() as released:
                yield f"It was put back on {_moment(ends[-1].recorded_at)}: {released.reason}"


def _waiting(at: read.Waiting | None, job: Job, limits: Limits) -> Iterator[str]:
    if at is None:
        return
    allowed = at.max_running if at.max_running is not None else limits.per_installation
    reasons = []
    if at.state == "suspended":
        reasons.append(f"The installation is suspended since {_moment(at.changed_at)}: its owner must unsuspend it.")
    if at.state == "deleted":
        reasons.append("The App was uninstalled; a worker has yet to write the end of it down.")
    if at.paused_until is not None and at.paused_until > at.now:
        reasons.append(f"The installation is paused until {_moment(at.paused_until)}: {at.pause_reason}")
    if at.provider_paused_until is not None:
        reasons.append(f"The model provider is paused until {_moment(at.provider_paused_until)}.")
    if job.run_at > at.now:
        reasons.append(f"It is tried next at {_moment(job.run_at)}.")
    if at.running >= allowed:
        reasons.append(f"Its installation is at its limit: {at.running} of {allowed} reviews run.")
    if at.before:
        reasons.append(
            f"{counted(at.before, 'review')} of the same installation {'comes' if at.before == 1 else 'come'} first."
        )
    if at.turns_before:
        reasons.append(f"Before it comes the turn of {counted(at.turns_before, 'other installation')}.")
    if not at.workers:
        reasons.append("No worker is alive: start a process with the role worker or all.")
    yield from reasons or ["Nothing holds it back: a worker takes it when one of its slots is free."]


def _newer(found: Known, job: Job, own: Sequence[Recorded]) -> Iterator[str]:
    by = job.superseded_by
    for event in own:
        fact = event.fact
        if isinstance(fact, e.ReviewSuperseded):
            by = fact.by
    for other in found.jobs:
        if other.job == by:
            head = other.head_sha[:12] if other.head_sha else "the newest commit"
            yield f"The newer one is job {other.job} for {head}, which is {other.state}."


def _told_only(found: Known, head: str) -> Answer:
    """A head that nobody ever asked a review of."""
    sentences, verdict = [], "unknown"
    for event in found.events:
        match event.fact:
            case e.HeadLeftOut(head_sha=at) as fact if at == head:
                said = f"a sweep of {_moment(event.recorded_at)} left it out: {fact.reason}."
            case e.PullRequestDrafted(head_sha=at) if at == head:
                said = f"the pull request was a draft on {_moment(event.recorded_at)}; it waits until it is ready."
            case e.DeliveryIgnored(head_sha=at) as fact if at == head:
                what = f"{fact.event}.{fact.action}" if fact.action else fact.event
                said = f"the delivery {what} of {_moment(event.recorded_at)} asked for nothing: {fact.reason}."
            case e.PullRequestClosed() as fact:
                said = f"the pull request was {'merged' if fact.merged else 'closed'} on {_moment(event.recorded_at)}."
            case _:
                continue
        verdict = "left out"
        sentences.append(said[0].upper() + said[1:])
    sentences.insert(0, f"{found.name} at {head[:12]}: no review was ever asked for.")
    return Answer(found.name, head, verdict, sentences)


def _unknown(found: Known, head: str | None) -> Answer:
    what = found.name if head is None else f"{found.name} at {head[:12]}"
    sentences = [f"{what}: nothing about it ever arrived."]
    if head is not None and found.events:
        heads = ", ".join(each[:12] for each in _heads(found)[-3:])
        sentences.append(f"The pull request is known{f', with the heads {heads}' if heads else ''}.")
    sentences += [*map(_missing, found.missing), *map(_trouble, found.troubles)]
    if not (found.missing or found.troubles):
        sentences.append("No gap and no lost delivery is known.")
    sentences.append(f"Is the App installed on the repository? {RECOVER}")
    return Answer(found.name, head, "unknown", sentences)


def _missing(delivery: Missing) -> str:
    fate = "was given up" if delivery.lost else f"was asked for again {counted(delivery.asked, 'time')}"
    return f"A delivery of {delivery.what} of {_moment(delivery.delivered_at)} never got here and {fate}."


def _trouble(event: Recorded) -> str:
    match event.fact:
        case e.IntakeGap() as gap:
            return f"It may be lost: nobody knows what GitHub sent from {_moment(gap.since)} to {_moment(gap.until)}."
        case e.DeliveryLost() | e.DeliveryMissed() as lost:
            return f"It may be lost: a delivery of {lost.event} of {_moment(lost.delivered_at)} was."
        case _:
            return f"It may be this one of {_moment(event.recorded_at)}: {sentence(event)}."


def _moment(moment: datetime | None) -> str:
    return "an unknown day" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
