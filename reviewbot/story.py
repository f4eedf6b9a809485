"""A job as the worker that holds it writes it on: every step goes to the log before the next one is taken."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from uuid import UUID

from eventsourcing.persistence import IntegrityError

from projections.jobs.rows import Job
from reviewbot.review import AlreadyRequested, ReviewJob
from schema import events as e
from schema.codec import FactMapper, Recorded
from schema.inbox import Artifact
from schema.log import Log, Meta

CONFLICTS = 5  # appends that may lose against a repeated request before something is wrong

_mapper = FactMapper()


class FenceLost(Exception):
    """Somebody else decides about this job now: nothing of it may be written or posted by us any more."""


class Ended(Exception):
    """The attempt ends here, though nothing failed; `decide` tells the job how."""

    def decide(self, job: ReviewJob) -> None:
        raise NotImplementedError


class NotWanted(Ended):
    """The review ends here without one; `fact` is how."""

    def __init__(self, fact: e.ReviewSuperseded | e.ReviewCancelled | e.ReviewSkipped) -> None:
        super().__init__(fact.TOPIC)
        self.fact = fact

    def decide(self, job: ReviewJob) -> None:
        job.record(self.fact)


class Story:
    """The stream of one job under one claim."""

    def __init__(self, log: Log, row: Job, actor: str) -> None:
        self._log = log
        self.row = row  # as it was claimed
        self.job = ReviewJob.unborn(row.job)
        self._stale = True  # whether the stream must be read before it is written to
        self._meta = Meta(
            actor=actor, correlation=row.correlation, installation=row.installation, causation=row.started_position
        )

    async def load(self) -> None:
        """Read the stream. Raises FenceLost when the claim is not ours any more."""
        self._stale = True  # and so it stays when the claim is lost: nothing is ever written from there
        self.job = ReviewJob.replay(self.row.job, await self._log.read_stream(self.row.job))
        if self.job.state != "running" or self.job.claim_no != self.row.claim_no:
            raise FenceLost(f"job {self.row.job} is {self.job.state}, claim {self.job.claim_no}")
        self._stale = False

    async def fence(self) -> None:
        """Raises FenceLost when the claim is not ours any more."""
        if self._stale or await self._log.read_stream(self.row.job, after=self.job.version):
            await self.load()

    async def decide(self, command: Callable[[ReviewJob], None], artifacts: Sequence[Artifact] = ()) -> None:
        """Give the job a command and append what it brings about.

        Raises FenceLost when the claim is not ours any more, and OperationalError without a database: then it may be
        called again, and finds out whether the first call was carried out after all.
        """
        for _ in range(CONFLICTS):
            if self._stale:
                await self.load()
            command(self.job)
            stored = [_mapper.to_stored_event(event) for event in self.job.collect_events()]
            self._stale = True
            try:
                await self._log.append(stored, self._meta, artifacts=artifacts)
            except IntegrityError:
                continue  # a repeated request changes the version of the stream, but not the claim
            self._stale = False
            return
        raise FenceLost(f"job {self.row.job} changes faster than it can be written")

    async def record(self, fact: e.Fact, artifacts: Sequence[Artifact] = ()) -> None:
        """Append one fact; see `decide`."""
        await self.decide(lambda job: job.record(fact), artifacts)

    async def earlier_settings(self, *, faulty: bool) -> Recorded | None:
        """The newest SettingsRead of the job's repository; `faulty`: also one with faults."""
        return await self._log.newest_settings(self.row.installation, self.row.repository_id, faulty=faulty)

    async def reviews_drafts(self) -> bool:
        """Whether the job's repository wants drafts reviewed."""
        return await reviews_drafts(self._log, self.row.installation, self.row.repository_id)

    async def request(self, fact: e.ReviewRequested, job: UUID) -> None:
        """Ask for another review, of the head that is there now. It is fine when that was asked for already.

        The head may be an old one that came back by force: then its job, which a push had ended, is opened again.
        """
        other = ReviewJob.replay(job, await self._log.read_stream(job))
        with contextlib.suppress(AlreadyRequested, IntegrityError):
            other.ask(fact)
            await self._log.append([_mapper.to_stored_event(event) for event in other.collect_events()], self._meta)


async def reviews_drafts(log: Log, installation: int, repository_id: int) -> bool:
    """Whether the settings that stood for the repository's newest review want drafts reviewed."""
    newest = await log.newest_settings(installation, repository_id, faulty=True)
    return newest is not None and isinstance(newest.fact, e.SettingsRead) and newest.fact.drafts


def unwanted(superseded_by: UUID | None, cancel_reason: str | None) -> e.ReviewSuperseded | e.ReviewCancelled | None:
    """How a job ends that carries these marks; None: it is still wanted."""
    if cancel_reason is not None:
        return e.ReviewCancelled(reason=cancel_reason)
    if superseded_by is not None:
        return e.ReviewSuperseded(by=superseded_by)
    return None


async def end_unclaimed(log: Log, row: Job, fact: e.Fact, actor: str) -> None:
    """Write the ending of a job that waits. It is fine when somebody else was quicker, or it is wanted again."""
    events = await log.read_stream(row.job)
    job = ReviewJob.replay(row.job, events)
    if job.state != "queued" or job.version != row.version:
        return
    job.record(fact)
    meta = Meta(actor=actor, correlation=row.correlation, installation=row.installation, causation=events[-1].position)
    with contextlib.suppress(IntegrityError):
        await log.append([_mapper.to_stored_event(event) for event in job.collect_events()], meta)
