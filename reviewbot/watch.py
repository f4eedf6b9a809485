"""How the service is doing: looked up once a second, whoever asks, so that asking costs the database nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import asyncpg
import msgspec
from eventsourcing.persistence import PersistenceError

from projections.catalog import ALL
from projections.jobs import read
from projections.jobs.read import QueueStats
from projections.projector import Lag, lag
from schema.log import as_persistence_errors
from schema.sql import load

REFRESH_SECONDS = 1.0
LOOK_SECONDS = 5.0  # a look that takes longer counts as no answer
LATE_EVENTS = 50_000  # a projection further behind than this does not show what is going on


class Queue(msgspec.Struct, frozen=True):
    """Review jobs by state; `failed` counts the last 24 hours."""

    pending: int
    processing: int
    failed: int


class Seal(msgspec.Struct, frozen=True):
    """How far the log is sealed. Each checkpoint is written outside the database before it counts as sealed here."""

    sealed_events: int
    unsealed_events: int
    sealed_at: datetime | None  # when the newest checkpoint was made; None before the first
    fault: str | None = None  # why this process refuses to seal, or cannot write outside


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /health. `queue` and `seal` are what was last known, None before anything was."""

    status: Literal["ok", "degraded"]
    database: Literal["ok", "unavailable"]
    problems: list[str]
    queue: Queue | None
    seal: Seal | None
    uptime_seconds: int
    timestamp: datetime
    version: str
    provider: str


class Watch:
    """Keeps the newest look at queue and projections."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        *,
        queue_max: int,
        version: str,
        provider: str,
        seal_fault: Callable[[], str | None] = lambda: None,
        late: int = LATE_EVENTS,
    ) -> None:
        self._pool, self._queue_max, self._version, self._provider = pool, queue_max, version, provider
        self._seal_fault, self._late = seal_fault, late
        self._started = time.monotonic()
        self._stats: QueueStats | None = None
        self._lags: list[Lag] = []
        self._seal: Seal | None = None
        self._failure: str | None = "the database has not been asked yet"

    @property
    def queue_is_full(self) -> bool:
        return self._stats is not None and self._stats.pending >= self._queue_max

    def problems(self) -> list[str]:
        """What keeps the service from being ready; empty when it is."""
        if self._failure is not None:
            return [self._failure]
        found = []
        by_name = {each.projection: each for each in self._lags}
        for projection in (each for each in ALL if each.prompt):  # what nobody waits for has its metrics and alerts
            have = by_name.get(projection.name)
            if have is None or have.version != projection.version:
                found.append(f"projection {projection.name} has yet to be made by the migrations")
            elif have.fault is not None:
                found.append(f"projection {projection.name} stands still: {have.fault}")
            elif have.behind > self._late:
                found.append(f"projection {projection.name} is {have.behind} events behind")
        return found

    def health(self) -> Health:
        problems, fault = self.problems(), self._seal_fault()
        if fault is not None:  # not of readiness: deliveries and reviews go on
            problems = [*problems, f"the log is not being sealed: {fault}"]
        stats = self._stats
        return Health(
            status="degraded" if problems else "ok",
            database="unavailable" if self._failure else "ok",
            problems=problems,
            queue=Queue(stats.pending, stats.processing, stats.failed) if stats else None,
            seal=msgspec.structs.replace(self._seal, fault=fault) if self._seal else None,
            uptime_seconds=int(time.monotonic() - self._started),
            timestamp=datetime.now(UTC),
            version=self._version,
            provider=self._provider,
        )

    async def refresh(self) -> None:
        """Look once. A database that does not answer is a result, not an error."""
        try:
            with as_persistence_errors():
                async with asyncio.timeout(LOOK_SECONDS):
                    self._lags = await lag(self._pool)
                    self._stats = await read.stats(self._pool)
                    self._seal = await _seal(self._pool)
        except PersistenceError as error:
            self._failure = f"the database does not answer: {type(error.__cause__).__name__}"
        else:
            self._failure = None

    async def run(self) -> None:
        """Look once a second, for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)


async def _seal(pool: asyncpg.Pool[asyncpg.Record]) -> Seal:
    position = await pool.fetchval(load("schema.queries", "read_head_position"))
    newest = await pool.fetchrow(load("schema.queries", "newest_tree_head"))
    size, sealed_at = (newest["size"], newest["sealed_at"]) if newest else (0, None)
    return Seal(size, max(0, position - size), sealed_at)
