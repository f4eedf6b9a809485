"""Erasing an installation: its open reviews end, then its data key goes; by hand, or some time after its end."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID

import asyncpg
import structlog
from eventsourcing.persistence import OperationalError

from projections.base import FoldError
from projections.catalog import ALL
from projections.jobs import read
from projections.jobs.project import Jobs
from projections.projector import lag, step
from reviewbot.config import KeySettings
from reviewbot.metrics import Metrics
from reviewbot.review import ReviewJob
from schema.codec import FactMapper
from schema.erasures import Erasures, erase, erase_again
from schema.events import ReviewCancelled
from schema.log import Log, Meta, VersionConflict, as_persistence_errors
from schema.outside import OutsideError
from schema.processes import Processes

LEASE = "erasure"
LEASE_SECONDS = 300.0
POLL_SECONDS = 60.0
LATE_EVENTS = 1_000  # a table further behind the log may not show yet that an installation came back
CONFLICTS = 10  # appends that may lose against the job's own worker
REASON = "the installation's texts were erased"

logger = structlog.get_logger(__name__)
_mapper = FactMapper()


async def erase_installation(
    pool: asyncpg.Pool[asyncpg.Record], log: Log, erasures: Erasures, installation: int, actor: str
) -> UUID | None:
    """End its open jobs and destroy its data key; returns the key's id, None when there is none.

    A review that is asked for later gets a new key. Raises OutsideError, in which case nothing was destroyed, and
    OperationalError.
    """
    with as_persistence_errors():
        await _catch_up(pool)
        for job in await read.open_jobs(pool, installation):
            await _cancel(log, job, actor)
        async with pool.acquire() as connection:
            key = await erase(connection, erasures, installation, actor)
    if key is not None:
        logger.info("erased", installation=installation, key=str(key))
    return key


async def _catch_up(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    """The jobs that the log knows must stand in the table; a projection that stands still must not stop an erasure."""
    async with pool.acquire() as connection:
        for projection in ALL:
            with contextlib.suppress(FoldError):
                while await step(connection, projection):
                    pass


async def _cancel(log: Log, stream: UUID, actor: str) -> None:
    """Write the end of a job into the log, which fences its worker."""
    for _ in range(CONFLICTS):
        events = await log.read_stream(stream)
        job = ReviewJob.replay(stream, events)
        if job.state not in ("queued", "running"):
            return
        job.record(ReviewCancelled(reason=REASON))
        last = events[-1]
        meta = Meta(actor=actor, correlation=last.correlation, installation=last.installation, causation=last.position)
        with contextlib.suppress(VersionConflict):
            await log.append([_mapper.to_stored_event(event) for event in job.collect_events()], meta)
            return
    raise OperationalError(f"job {stream} changes faster than it can be ended")


class Eraser:
    """`step` erases what is due; `run` does it for ever, in one process at a time."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        log: Log,
        processes: Processes,
        erasures: Erasures,
        metrics: Metrics,
        *,
        after_days: int,
    ) -> None:
        self._pool, self._log, self._processes = pool, log, processes
        self._erasures, self._metrics, self._after_days = erasures, metrics, after_days

    async def run(self) -> None:
        while True:
            try:
                await self.step()
            except (OutsideError, OperationalError) as error:
                logger.error("erasures are late", error=str(error))
            except Exception:  # the loop must outlive whatever one installation brings up
                logger.exception("erasures are late")
            await asyncio.sleep(POLL_SECONDS)

    async def step(self) -> list[int]:
        """Erase the installations whose time is over, and again what a backup brought back; returns the former."""
        if not await self._processes.take_lease(LEASE, LEASE_SECONDS):
            return []
        actor = f"worker:{self._processes.instance}"
        with as_persistence_errors():
            async with self._pool.acquire() as connection:
                await erase_again(connection, self._erasures, actor)
            if await self._table_is_late():
                logger.warning("erasures are late", error="the jobs table is behind the log")
                return []
            due = await read.erasable(self._pool, self._after_days)
        for installation in due:
            if await self._processes.take_lease(LEASE, LEASE_SECONDS):
                await erase_installation(self._pool, self._log, self._erasures, installation, actor)
                self._metrics.installations_erased.inc()
        return due

    async def _table_is_late(self) -> bool:
        standing = next((each for each in await lag(self._pool) if each.projection == Jobs.name), None)
        return standing is None or standing.fault is not None or standing.behind > LATE_EVENTS


def make_eraser(
    settings: KeySettings, pool: asyncpg.Pool[asyncpg.Record], log: Log, processes: Processes, metrics: Metrics
) -> Eraser:
    """The eraser of this process."""
    erasures = Erasures(settings.erasure_file)
    return Eraser(pool, log, processes, erasures, metrics, after_days=settings.erase_after_days)
