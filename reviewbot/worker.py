"""The worker: claims jobs, reviews them, and writes every ending down.

The log decides, the table suggests: what the claim hands out is fenced by the claim number, and a worker that lost its
claim finds its next append refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog
from eventsourcing.persistence import OperationalError

from projections.jobs import read
from projections.jobs.rows import Job
from reviewbot.errors import FinalError, GitHubRateLimited, ProviderRateLimited, RetryableError, ReviewBotError
from reviewbot.metrics import Metrics
from reviewbot.review import RetryPolicy
from reviewbot.story import Ended, FenceLost, Story, end_unclaimed, unwanted
from schema import events as e
from schema.log import Log, as_persistence_errors
from schema.processes import Processes
from schema.waiting import wait

HAND_BACK_SECONDS = 10.0  # for a review to stop and be written back; the lease is there for those that do not
LATE = ("deadline", "The review took longer than it may.")
GONE = ("worker_lost", "The worker that had the review stopped working.")

logger = structlog.get_logger(__name__)


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker works. Times in seconds."""

    concurrency: int = 3
    per_installation: int = 1
    review_timeout: float = 900.0
    lease: float = 30.0
    heartbeat: float = 5.0
    poll: float = 1.0
    stop_grace: float = 25.0
    policy: RetryPolicy = RetryPolicy()


Review = Callable[[Story], Awaitable[None]]
Ending = Callable[[], Awaitable[None]]


class _Running:
    """A job under way in this process, and what is to become of it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.task: asyncio.Task[None] | None = None
        self.ending: e.Fact | None = None  # why it was cancelled; None: because the worker stops, or lost its claim
        self.lost = False
        self.writing = False  # its ending is on the way into the log, and nothing shall stop that

    def cancel(self) -> None:
        if self.task is not None and not self.writing:
            self.task.cancel()

    def drop(self) -> None:
        """The job is in other hands: stop, and write nothing of it."""
        self.lost = True
        self.cancel()


class Worker:
    """One worker process. `review` does the work of one job; everything around it is here."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        log: Log,
        processes: Processes,
        review: Review,
        settings: WorkerSettings,
        metrics: Metrics,
        *,
        provider: str,
    ) -> None:
        self._pool, self._log, self._processes, self._review = pool, log, processes, review
        self._settings, self._metrics, self._provider = settings, metrics, provider
        self._running: dict[UUID, _Running] = {}
        self._woken = asyncio.Event()
        self._draining = False
        self._beaten_at = time.monotonic()

    def wake(self) -> None:
        """There may be a job to claim: a hint."""
        self._woken.set()

    @property
    def _worker(self) -> read.Worker:
        return read.Worker(self._processes.id, self._processes.instance)

    @property
    def busy(self) -> int:
        """Reviews under way."""
        return len(self._running)

    async def run(self) -> None:
        """Work until cancelled; see `stop` for the good order."""
        self._metrics.slots.set(self._settings.concurrency)
        await self._processes.enlist()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self._beat, self._settings.heartbeat))
            group.create_task(self._forever(self._sweep, self._settings.heartbeat))
            group.create_task(self._forever(self._watch, min(2.0, self._settings.heartbeat)))
            group.create_task(self._forever(self._write_endings, self._settings.poll))
            group.create_task(self._claim_forever())

    async def stop(self, grace_seconds: float | None = None) -> None:
        """Claim nothing more, let running reviews finish for the grace time, then hand them back.

        The loops go on until `run` is cancelled: while reviews finish, the worker has to be seen to live.
        """
        self._draining = True
        grace = self._settings.stop_grace if grace_seconds is None else grace_seconds
        if self._running and grace > 0:
            logger.info("waiting for running reviews", reviews=len(self._running), seconds=grace)
            await self._wait_for_reviews(grace)
        for running in self._running.values():
            running.cancel()
        await self._wait_for_reviews(HAND_BACK_SECONDS)

    async def _wait_for_reviews(self, seconds: float) -> None:
        """Also for those that a claim already under way has brought in the meantime."""
        deadline = time.monotonic() + seconds
        while self._running and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait([running.task for running in self._running.values() if running.task], timeout=left)

    # --- the loops ----------------------------------------------------------------------------------------------

    async def _forever(self, step: Callable[[], Coroutine[Any, Any, None]], seconds: float) -> None:
        """A loop survives every error but cancellation."""
        while True:
            try:
                await step()
            except Exception as error:  # noqa: BLE001 - the database restarts, and the loop goes on
                logger.warning("worker loop will try again", step=step.__name__, error=repr(error))
            await asyncio.sleep(seconds)

    async def _claim_forever(self) -> None:
        while True:
            self._woken.clear()
            try:
                claimed = await self._claim()
            except Exception as error:  # noqa: BLE001 - the database restarts, and the loop goes on
                logger.warning("claim will be tried again", error=repr(error))
                claimed = 0
                await asyncio.sleep(self._settings.poll)
            if not claimed:
                await wait(self._woken, self._settings.poll)

    async def _claim(self) -> int:
        slots = self._settings.concurrency - len(self._running)
        if self._draining or slots <= 0 or self._is_silent():
            return 0
        try:
            jobs = await read.claim(
                self._pool,
                self._worker,
                slots=slots,
                limit=timedelta(seconds=self._settings.review_timeout),
                per_installation=self._settings.per_installation,
                provider=self._provider,
            )
        except asyncpg.UniqueViolationError:
            return 0  # the table is behind the log; the projector is on its way
        for job in jobs:
            if job.job in self._running:  # still unwinding here from a claim that was lost
                self._running[job.job].drop()
            running = self._running[job.job] = _Running(job)
            running.task = asyncio.create_task(self._execute(running), name=f"review-{job.job}")
        self._metrics.slots_busy.set(len(self._running))
        return len(jobs)

    async def _beat(self) -> None:
        """Declared dead, or silent for too long: our jobs may be in other hands by now, so drop them and begin anew.

        The new life has a new id. What still stands under the old one is found lost at once and is tried again.
        """
        try:
            alive = await self._processes.beat()
        except OperationalError:
            if self._is_silent():
                self._drop_all()
            raise
        if not alive or self._is_silent():
            self._drop_all()
            await self._processes.begin_anew()
        self._beaten_at = time.monotonic()

    def _drop_all(self) -> None:
        logger.error("dropping all reviews: the lease is lost", reviews=len(self._running))
        for running in self._running.values():
            running.drop()

    def _is_silent(self) -> bool:
        """Whether others may soon take us for dead; by our clock, which goes on while the process is frozen."""
        return time.monotonic() - self._beaten_at > self._settings.lease * 2 / 3

    async def _sweep(self) -> None:
        """Fail the attempts of workers that are gone, and those past their deadline."""
        for lost in await read.lost(self._pool, self._settings.lease):
            ours = self._running.get(lost.job.job)
            if ours is not None and not lost.late:
                continue
            if ours is not None:
                ours.drop()
            story = Story(self._log, lost.job, self._worker.actor)
            code, reason = LATE if lost.late else GONE
            with contextlib.suppress(FenceLost):
                await story.load()
                await self._fail(story, code, reason, retryable=True, at_once=not lost.late)
                self._metrics.rescued.inc()
            self.wake()

    async def _watch(self) -> None:
        """Cancel reviews that are not wanted any more, or not ours any more."""
        if not self._running:
            return
        for standing in await read.standing(self._pool, list(self._running)):
            running = self._running.get(standing.job)
            if running is None or running.ending is not None or running.lost:
                continue
            if standing.claim_no < running.job.claim_no:
                continue  # claimed while we asked
            if standing.claim_no > running.job.claim_no or standing.state != "running":
                running.drop()
            else:
                running.ending = unwanted(standing.superseded_by, standing.cancel_reason)
                if running.ending is not None:
                    running.cancel()

    async def _write_endings(self) -> None:
        """Put into the log what became of jobs that ended before any worker had them."""
        for job in await read.ending(self._pool):
            fact = unwanted(job.superseded_by, job.cancel_reason)
            assert fact is not None
            await end_unclaimed(self._log, job, fact, self._worker.actor)

    # --- one job ------------------------------------------------------------------------------------------------

    async def _execute(self, running: _Running) -> None:
        job = running.job
        structlog.contextvars.bind_contextvars(
            job=str(job.job), installation=job.installation, delivery=str(job.correlation), attempt=job.attempt
        )
        story = Story(self._log, job, self._worker.actor)
        try:
            ending = await self._attempt(story, running)
            if ending is not None:
                running.writing = True
                await self._write(ending)
        finally:
            if self._running.get(job.job) is running:  # not claimed anew meanwhile
                del self._running[job.job]
            self._metrics.slots_busy.set(len(self._running))
            self._count(story)
            self.wake()

    def _count(self, story: Story) -> None:
        """One attempt is over; a state that ends the job says so, anything else is one of the three below."""
        state = story.job.state
        if state in ("new", "running") or story.job.claim_no != story.row.claim_no:
            self._metrics.attempts.labels("fenced").inc()
            return
        if state == "queued":
            outcome = "released" if story.job.attempt < story.row.attempt else "retried"
            self._metrics.attempts.labels(outcome).inc()
            return
        self._metrics.attempts.labels(state).inc()
        self._metrics.jobs_finished.labels(state).inc()
        if state == "completed":
            self._metrics.review_seconds.observe((datetime.now(UTC) - story.row.requested_at).total_seconds())

    async def _attempt(self, story: Story, running: _Running) -> Ending | None:
        """Do the review; returns how to write its ending down, or None when there is nothing to write for us."""
        timeout = self._settings.review_timeout
        try:
            await story.load()
            async with asyncio.timeout(timeout):
                await self._review(story)
        except asyncio.CancelledError:
            return self._after_cancel(story, running)
        except FenceLost as lost:
            logger.warning("the job is in other hands", reason=str(lost))
        except Ended as ending:
            return partial(story.decide, ending.decide)
        except (GitHubRateLimited, ProviderRateLimited) as limited:
            logger.warning("review waits for a limit", error=str(limited))
            return partial(self._pause, story, limited)
        except TimeoutError:
            return partial(self._fail, story, "deadline", f"The review took over {timeout:.0f} s.", retryable=True)
        except ReviewBotError as error:
            logger.warning("review failed", error=str(error), kind=type(error).__name__)
            retry_after = error.retry_after if isinstance(error, RetryableError) else None
            final = isinstance(error, FinalError)
            return partial(self._fail, story, _code(error), error.kept, retryable=not final, retry_after=retry_after)
        except OperationalError as error:
            logger.warning("review failed", error=str(error), kind=type(error).__name__)
            reason = f"The database failed ({type(error.__cause__ or error).__name__})."
            return partial(self._fail, story, "database", reason, retryable=True)
        except Exception as error:  # the job must end, whatever broke
            logger.exception("review broke")
            reason = f"ReviewBot broke on this review ({type(error).__name__}); the operator's log has the details."
            return partial(self._fail, story, "internal", reason, retryable=True)
        return None

    def _after_cancel(self, story: Story, running: _Running) -> Ending | None:
        if running.lost:
            logger.warning("the job is in other hands")
            return None
        if running.ending is not None:
            return partial(story.record, running.ending)
        return partial(self._release, story, "the worker stops")

    async def _write(self, ending: Ending) -> None:
        """An ending must reach the log, or the lease must run out: it is tried while the lease holds."""
        deadline = time.monotonic() + self._settings.lease
        while True:
            try:
                await ending()
            except FenceLost as lost:
                logger.warning("somebody else ended the job", reason=str(lost))
            except OperationalError as error:
                if time.monotonic() < deadline:
                    await asyncio.sleep(0.5)
                    continue
                logger.error("the ending is not written; the job will be found lost", error=str(error))
            return

    async def _fail(
        self,
        story: Story,
        code: str,
        reason: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        at_once: bool = False,
    ) -> None:
        now, jitter = await self._now(), 0.0 if at_once else random.random()
        await story.decide(
            lambda job: job.fail(
                code,
                reason,
                policy=self._settings.policy,
                now=now,
                jitter=jitter,
                retryable=retryable,
                retry_after=retry_after,
            )
        )

    async def _pause(self, story: Story, limited: GitHubRateLimited | ProviderRateLimited) -> None:
        """A limit is nobody's fault: hold back everybody it concerns, and do not count the attempt."""
        policy = self._settings.policy
        after = min(limited.retry_after or policy.base_seconds * (1 + random.random()), policy.longest_wait_seconds)
        await self._release(
            story,
            limited.kept,
            after=timedelta(seconds=after),
            pause="installation" if isinstance(limited, GitHubRateLimited) else "provider",
        )

    async def _release(
        self, story: Story, reason: str, *, after: timedelta = timedelta(), pause: e.Pause | None = None
    ) -> None:
        now, policy = await self._now(), self._settings.policy
        provider = self._provider if pause == "provider" else None
        await story.decide(
            lambda job: job.release(reason, policy=policy, now=now, after=after, pause=pause, provider=provider)
        )

    async def _now(self) -> datetime:
        """The database's clock: ours may be wrong, and all of them must agree."""
        with as_persistence_errors():
            now: datetime = await self._pool.fetchval("select now()", timeout=5)
        return now


def _code(error: ReviewBotError) -> str:
    """The error's name as events keep it: GitHubRefused -> github_refused."""
    name = type(error).__name__.replace("GitHub", "Github")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
