"""The life of a review: commands and what they become, given what has happened. Pure.

The stream of a job is named by what makes two requests the same, so the log itself refuses a second one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, Self
from uuid import UUID, uuid5

import msgspec
from eventsourcing.domain import BaseAggregate

from schema import events as e
from schema.codec import Happened, Recorded

NAMESPACE = UUID("0b1d5b0e-6d43-5d4a-9a53-6a1f2c7e90d1")
PUSH = "push"  # the key of every automatic trigger: one review per head, however it came to be the head

State = Literal["new", "queued", "running", "completed", "failed", "superseded", "cancelled", "skipped"]


def job_id(installation: int, repository_id: int, pull_request: int, head_sha: str | None, key: str = PUSH) -> UUID:
    """The stream of a job. `key` tells deliberate requests apart, e.g. "comment:17"; replays have the same one."""
    return uuid5(NAMESPACE, f"job/{installation}/{repository_id}/{pull_request}/{head_sha or ''}/{key}")


def check_stream(job: UUID) -> UUID:
    """The stream of a job's Check Runs."""
    return uuid5(job, "check")


def delivery_stream(delivery: UUID) -> UUID:
    """The stream of what a delivery told besides requests."""
    return uuid5(NAMESPACE, f"delivery/{delivery}")


class RetryPolicy(msgspec.Struct, frozen=True):
    """When a failed attempt is tried again. Times in seconds."""

    max_attempts: int = 3
    base_seconds: float = 10.0
    cap_seconds: float = 900.0
    longest_wait_seconds: float = 3_600.0  # whatever the other side asks for: limits end within the hour
    max_releases: int = 10  # how many hand-backs do not count as an attempt

    def delay(self, attempt: int, jitter: float, retry_after: float | None) -> timedelta:
        """Full-jitter exponential backoff, never less than what the other side asked for. `jitter` is in [0, 1)."""
        backoff = jitter * min(self.cap_seconds, self.base_seconds * 2.0 ** (attempt - 1))
        return timedelta(seconds=min(max(retry_after or 0.0, backoff), self.longest_wait_seconds))


class AlreadyRequested(Exception):
    """The same review was asked for before; `state` says what has become of it."""

    def __init__(self, job: UUID, state: State) -> None:
        super().__init__(f"job {job} is {state}")
        self.job = job
        self.state = state


class ReviewJob(BaseAggregate[UUID]):
    """One review job, as its stream tells it. Methods are commands; `when` folds."""

    class Event(Happened, frozen=True, kw_only=True):
        """The base event class that `eventsourcing` asks for; every event is a `Happened` with its fact."""

    state: State
    request: e.ReviewRequested | None
    attempt: int
    releases: int
    claim_no: int
    head_sha: str | None
    base_sha: str | None
    answers: dict[str, e.AnswerReceived]  # by prompt digest: what is paid for is not asked again
    calls: int
    prepared: e.ReviewPrepared | None
    posted: e.ReviewPosted | None

    @classmethod
    def unborn(cls, job: UUID) -> Self:
        """A job of which nothing has happened yet."""
        self = cls.__new__(cls)
        self.__base_init__(job, 0, Happened.create_timestamp())
        self.state, self.claim_no = "new", 0
        self._forget()
        return self

    @classmethod
    def replay(cls, job: UUID, events: Iterable[Recorded]) -> Self:
        """The job after `events`, its whole stream in order."""
        self = cls.unborn(job)
        for event in events:
            Happened(
                originator_id=job, originator_version=event.version, timestamp=event.recorded_at, fact=event.fact
            ).mutate(self)
        return self

    def _forget(self) -> None:
        self.request = None
        self.attempt = self.releases = self.calls = 0
        self.head_sha = self.base_sha = None
        self.answers = {}
        self.prepared = self.posted = None

    # --- commands -----------------------------------------------------------------------------------------------

    def ask(self, request: e.ReviewRequested) -> None:
        """Ask for the review. Raises AlreadyRequested for a replay, and for a head that has its review already.

        A request that is newer by GitHub's clock than the last one opens an ended job again, and tells a waiting or
        running one that it is still wanted, should a close or a push in between have marked it.
        """
        if self.request is not None and (self.state == "completed" or request.asked_at <= self.request.asked_at):
            raise AlreadyRequested(self.id, self.state)
        self.record(request)

    def record(self, fact: e.Fact) -> None:
        """Something happened in the course of the review."""
        self.trigger_event(Happened, fact=fact)

    def fail(
        self,
        code: str,
        reason: str,
        *,
        policy: RetryPolicy,
        now: datetime,
        jitter: float,
        retryable: bool,
        retry_after: float | None = None,
    ) -> None:
        """This attempt failed: try again later, or give up when it is final or was the last one."""
        again = retryable and self.attempt < policy.max_attempts
        retry_at = now + policy.delay(self.attempt, jitter, retry_after) if again else None
        self.record(e.ReviewFailed(code=code, reason=reason, retry_at=retry_at))

    def release(
        self,
        reason: str,
        *,
        policy: RetryPolicy,
        now: datetime,
        after: timedelta = timedelta(),
        pause: e.Pause | None = None,
        provider: str | None = None,
    ) -> None:
        """Hand the job back unfinished, through no fault of its own. The attempt does not count.

        That is bounded too: after `max_releases` the attempts count, and the last one fails the job.
        """
        refunded = self.releases < policy.max_releases
        if not refunded and self.attempt >= policy.max_attempts:
            self.record(e.ReviewFailed(code="gave_up", reason=f"put back {self.releases} times; lastly: {reason}"))
            return
        fact = e.ReviewReleased(reason=reason, retry_at=now + after, refunded=refunded, pause=pause, provider=provider)
        self.record(fact)

    def hold(self, reason: str, budget: e.Budget, until: datetime) -> None:
        """Hand the job back before it costs anything more, because a budget is used up; however often that happens."""
        self.record(e.ReviewReleased(reason=reason, retry_at=until, refunded=True, pause="installation", budget=budget))

    # --- fold ---------------------------------------------------------------------------------------------------

    def when(self, fact: e.Fact) -> None:
        """What a fact changes."""
        match fact:
            case e.ReviewRequested():
                if self.state not in ("queued", "running"):
                    self._forget()
                    self.state, self.head_sha = "queued", fact.head_sha
                self.request = fact
            case e.ReviewStarted():
                self.state, self.attempt, self.claim_no = "running", fact.attempt, fact.claim_no
            case e.HeadResolved():
                if self.head_sha not in (None, fact.head_sha):
                    self.prepared = self.posted = None
                self.head_sha, self.base_sha = fact.head_sha, fact.base_sha
            case e.ModelAsked():
                self.calls += 1
            case e.AnswerReceived():
                self.answers[fact.prompt] = fact
            case e.ReviewPrepared():
                self.prepared = fact
            case e.ReviewPosted():
                self.posted = fact
            case e.ReviewFailed():
                self.state = "failed" if fact.retry_at is None else "queued"
            case e.ReviewReleased():
                self.state = "queued"
                self.attempt -= fact.refunded
                self.releases += fact.budget is None
            case e.ReviewCompleted():
                self.state = "completed"
            case e.ReviewSuperseded():
                self.state = "superseded"
            case e.ReviewCancelled():
                self.state = "cancelled"
            case e.ReviewSkipped():
                self.state = "skipped"
