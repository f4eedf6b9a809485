"""Keeps the Check Runs on GitHub in step with the jobs: one per request, never green before the log says so.

It compares rather than follows: whatever crash or outage lies behind, the next round sees what is missing. One process
at a time does it, by a lease.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent

from projections.jobs import read
from projections.jobs.rows import OPEN, Job
from reviewbot.errors import FinalError, RetryableError, ReviewBotError
from reviewbot.github import checks
from reviewbot.github.client import Client, GitHub
from reviewbot.github.models import CheckOutput
from reviewbot.publisher import Plan
from reviewbot.render import (
    check_cancelled,
    check_failure,
    check_held,
    check_queued,
    check_running,
    check_sealed,
    check_skipped,
)
from reviewbot.review import check_stream
from schema import events as e
from schema.codec import encode
from schema.log import Log, Meta
from schema.processes import Processes
from schema.vault import Erased, Vault
from schema.waiting import wait

NAME = "ReviewBot"
LEASE = "check-runs"
LEASE_SECONDS = 90.0  # longer than the three requests that one Check Run may take; freed when its holder ends
LOOK_AHEAD = 500  # jobs: those that must wait, or are one installation's, do not hide the others
PAGE = 20  # jobs of one round, so that a new one never waits for a long round to end
AT_ONCE = 4
BACKOFF_SECONDS = (2.0, 300.0)  # first and longest wait after a failure

logger = structlog.get_logger(__name__)


async def _unsealed() -> str | None:
    return None


class Keeper:
    """`step` brings up to a page of Check Runs into step; `run` does it for ever."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        log: Log,
        github: GitHub,
        processes: Processes,
        vault: Vault,
        *,
        app_id: int,
        seal: Callable[[], Awaitable[str | None]] = _unsealed,
    ) -> None:
        """`seal` gives the newest checkpoint of the log as size:root, so that GitHub keeps a copy of it."""
        self._pool, self._log, self._github, self._processes, self._app_id = pool, log, github, processes, app_id
        self._vault, self._seal = vault, seal
        self._waiting: dict[UUID, tuple[float, float]] = {}  # job -> (not before, last wait), monotonic seconds
        self._settled: set[tuple[UUID, int, bool]] = set()  # done, though the table does not show it yet
        self._told_held: dict[UUID, tuple[int, str]] = {}  # job -> installation, why its Check Run says it is held back
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something to do: a hint."""
        self._woken.set()

    async def run(self, poll_seconds: float = 1.0) -> None:
        while True:
            self._woken.clear()
            try:
                busy = await self.step()
            except Exception as error:  # noqa: BLE001 - the loop must outlive a restart of the database
                logger.warning("check runs will be looked at again", error=repr(error))
                busy = False
            if not busy:
                await wait(self._woken, poll_seconds)

    async def step(self) -> bool:
        """One round; True when it changed something, so that another one may be due at once."""
        if not await self._processes.take_lease(LEASE, LEASE_SECONDS):
            return False
        now = time.monotonic()
        self._waiting = {job: wait for job, wait in self._waiting.items() if wait[0] > now - BACKOFF_SECONDS[1]}
        unchecked = await read.unchecked(self._pool, LOOK_AHEAD)
        self._settled &= {_aim(job) for job in unchecked}
        due = [
            job for job in unchecked if _aim(job) not in self._settled and self._waiting.get(job.job, (0.0,))[0] <= now
        ]
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(job: Job) -> bool:
            async with limit:
                return await self._processes.take_lease(LEASE, LEASE_SECONDS) and await self._try(job)

        changed = any(await asyncio.gather(*map(one, _in_turn(due)[:PAGE])))
        return await self._tell_held() or changed

    async def _tell_held(self) -> bool:
        """Say on Check Runs that stand already why their jobs wait longer than for their turn, and until when."""
        held = set(await read.held(self._pool))
        self._told_held = {job: told for job, told in self._told_held.items() if told[0] in held}
        jobs = await read.held_jobs(self._pool, PAGE, self._told_held) if held else []
        for job, reason in jobs:
            assert job.check_run_id is not None
            self._told_held[job.job] = (job.installation, reason)  # once, though it may fail: it is for information
            client, output = self._github.installation(job.installation, job.repository_id), check_held(reason)
            try:
                await checks.update(client, job.repository, job.check_run_id, status="queued", output=output)
            except ReviewBotError as error:
                logger.info("the check run does not say that the job is held back", job=str(job.job), error=str(error))
                break  # the others in the next round
        return bool(jobs)

    async def _try(self, job: Job) -> bool:
        """True when the job's Check Run is in step now. Never raises: one job's trouble is no other's."""
        try:
            try:
                await self._bring_into_step(job)
            except (FinalError, Erased) as error:
                logger.warning("check run is left alone", job=str(job.job), error=str(error))
                await self._leave_alone(job, error.kept if isinstance(error, FinalError) else str(error))
        except Exception as error:  # noqa: BLE001 - GitHub or the database is down, or what was stored is damaged
            self._wait_longer(job, error)
            return False
        self._waiting.pop(job.job, None)
        self._settled.add(_aim(job))
        return True

    def _wait_longer(self, job: Job, error: Exception) -> None:
        shortest = BACKOFF_SECONDS[0] / 2
        # A database that is away is no trouble of this job's, and comes back for all at once.
        last = shortest if isinstance(error, OperationalError) else self._waiting.get(job.job, (0.0, shortest))[1]
        asked = error.retry_after or 0.0 if isinstance(error, RetryableError) else 0.0
        wait = min(max(last * 2, asked), BACKOFF_SECONDS[1])
        self._waiting[job.job] = (time.monotonic() + wait, wait)
        logger.warning("check run is late", job=str(job.job), error=repr(error), retry_in=wait)

    async def _bring_into_step(self, job: Job) -> None:
        client = self._github.installation(job.installation, job.repository_id)
        ended = job.state not in OPEN
        if job.check_version != job.request_version:
            if ended and job.state in ("superseded", "cancelled"):
                await self._leave_alone(job, job.reason or job.state)  # it ended before anybody could see it
                return
            await self._create(client, job)
            if not ended:
                return
        if ended:
            await self._conclude(client, job)

    async def _create(self, client: Client, job: Job) -> None:
        """Make the Check Run, or adopt the one that an earlier try made without learning of it."""
        assert job.head_sha is not None
        external_id, running = str(job.job), job.state == "running"
        found = await checks.list_for_ref(client, job.repository, job.head_sha, name=NAME, app_id=self._app_id)
        # one that is completed belongs to an earlier request of the same review
        run = next((run for run in found if run.external_id == external_id and run.status != "completed"), None)
        if run is None:
            run = await checks.create(
                client,
                job.repository,
                name=NAME,
                head_sha=job.head_sha,
                external_id=external_id,
                status="in_progress" if running else "queued",
                output=check_running(job.attempt) if running else check_queued(),
            )
        await self._record(job, e.CheckRunCreated, check_run_id=run.id, head_sha=job.head_sha)
        job.check_run_id = run.id

    async def _conclude(self, client: Client, job: Job) -> None:
        assert job.check_run_id is not None
        conclusion, output = await self._ending(job)
        output = check_sealed(output, await self._seal())
        await checks.update(client, job.repository, job.check_run_id, conclusion=conclusion, output=output)
        await self._record(job, e.CheckRunConcluded, check_run_id=job.check_run_id, conclusion=conclusion)

    async def _ending(self, job: Job) -> tuple[e.Conclusion, CheckOutput]:
        match job.state:
            case "completed":
                assert job.plan is not None
                plan = msgspec.json.decode(await self._vault.read_artifact(job.installation, job.plan), type=Plan)
                return plan.conclusion, plan.check
            case "failed":
                return "failure", check_failure(job.reason or "The review failed.", str(job.job))
            case "skipped":
                return "skipped", check_skipped(job.reason or "Not reviewed on purpose.")
            case _:
                return "cancelled", check_cancelled(job.reason or "A newer request took its place.")

    async def _leave_alone(self, job: Job, reason: str) -> None:
        await self._record(job, e.CheckRunConcluded, check_run_id=job.check_run_id, conclusion=None, reason=reason)

    async def _record(
        self, job: Job, kind: type[e.CheckRunCreated] | type[e.CheckRunConcluded], **columns: Any
    ) -> None:
        fact = kind(job=job.job, request_version=job.request_version, **columns)
        stream = check_stream(job.job)
        version = len(await self._log.read_stream(stream)) + 1
        meta = Meta(
            actor=f"worker:{self._processes.instance}",
            correlation=job.correlation,
            installation=job.installation,
            causation=job.position,
        )
        try:
            await self._log.append([StoredEvent(stream, version, fact.TOPIC, encode(fact))], meta)
        except IntegrityError:
            logger.info("another process looked after the check run", job=str(job.job))


def _aim(job: Job) -> tuple[UUID, int, bool]:
    """What a Check Run has to show: this request of the job, open or ended."""
    return job.job, job.request_version, job.state not in OPEN


def _in_turn(jobs: Sequence[Job]) -> list[Job]:
    """One job of each installation, then the second of each, and so on."""
    taken: Counter[int] = Counter()
    turns = []
    for job in jobs:
        turns.append(taken[job.installation])
        taken[job.installation] += 1
    return [job for _, job in sorted(zip(turns, jobs, strict=True), key=itemgetter(0))]
