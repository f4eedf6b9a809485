"""When the recovery runs: at a start, every few minutes, in one process at a time, and never without an end.

The lease tells the processes apart; the database remembers what is due, so that many processes recover no more often
than one would.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Literal

import asyncpg
import structlog
from eventsourcing.persistence import OperationalError

from projections.projector import lag
from reviewbot.errors import FinalError, GitHubRateLimited, RetryableError
from reviewbot.recovery.deliveries import Bounds, Deliveries, Recovered
from reviewbot.recovery.sweep import Reach, Sweep, Swept
from reviewbot.recovery.work import LeaseLost, Tell, Tools, to_nobody
from schema.log import as_persistence_errors
from schema.processes import Processes

LEASE = "recovery"
LEASE_SECONDS = 180.0  # longer than one request with its repetitions; freed at the end of each run
POLL_SECONDS = 10.0
LONGEST_WAIT = 3_600.0  # whatever GitHub asks for: its limits end within the hour
LATE_EVENTS = 1_000  # a jobs table further behind the log does not show what is reviewed already

Part = Literal["deliveries", "sweep"]
logger = structlog.get_logger(__name__)


class TablesBehind(RetryableError):
    """The jobs table does not show yet what is in the log, so nobody can say which heads lack a review."""


class Recovery:
    """`run` recovers for ever. `recover` and `sweep` are single runs, for who holds the lease."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        tools: Tools,
        processes: Processes,
        *,
        recovery_seconds: float,
        sweep_seconds: float,
        bounds: Bounds | None = None,
        reach: Reach | None = None,
    ) -> None:
        self._pool, self._tools, self._processes = pool, tools, processes
        self._recovery_seconds, self._sweep_seconds = recovery_seconds, sweep_seconds
        self._reach = reach or Reach()
        self._deliveries = Deliveries(tools, bounds or Bounds())
        self._sweep = Sweep(tools, self._reach)

    async def run(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Recover at once, then whenever it is due; survives everything but cancellation."""
        starting = True
        while True:
            try:
                starting = not await self.step(starting=starting) and starting
            except Exception as error:  # noqa: BLE001 - the loop must outlive GitHub and a restart of the database
                logger.warning("the recovery goes on later", error=repr(error))
            await asyncio.sleep(poll_seconds)

    async def step(self, *, starting: bool = False) -> bool:
        """Do what is due. False: another process is at it, and nothing was done."""
        async with self.lease() as held:
            if not held:
                return False
            due = await self._tools.store.due_now(starting=starting, repeat_seconds=self._recovery_seconds)
            if due.recover:
                await self._quietly("deliveries", self.recover(Recovered()))
            if due.sweep:
                await self._quietly("sweep", self.sweep(Swept()))
            return True

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[bool]:
        """Whether we may recover now; nobody else may until the block ends."""
        held = await self._processes.take_lease(LEASE, LEASE_SECONDS)
        try:
            yield held
        finally:
            if held:
                with contextlib.suppress(OperationalError):  # the database is gone: the lease will run out by itself
                    await self._processes.free_lease(LEASE)

    async def recover(self, found: Recovered, tell: Tell = to_nobody) -> None:
        """One run over the deliveries. Raises GitHub's errors, LeaseLost and OperationalError; what was done by then is
        counted in `found`, and the next run goes on from there."""
        wait = self._recovery_seconds
        try:
            await self._deliveries.recover(found, self._hold, tell)
            wait = 0.0 if found.unfinished else wait
        except GitHubRateLimited as limited:
            wait = min(limited.retry_after or wait, LONGEST_WAIT)
            raise
        finally:
            await self._tools.store.plan_recover(wait)
        logger.info("deliveries compared", attempts=found.compared, asked_again=found.asked, lost=found.lost)

    async def sweep(self, swept: Swept, tell: Tell = to_nobody, *, everything: bool = False) -> None:
        """One sweep, of everything or of what is due. Raises as `recover`, and TablesBehind."""
        wait, complete = self._recovery_seconds, False
        fresh = None if everything else self._sweep_seconds / 2 + self._reach.grace.total_seconds()
        try:
            await self._tables_are_up_to_date()
            await self._sweep.sweep(swept, self._hold, tell, fresh_seconds=fresh)
            complete = swept.retry_after is None
            wait = self._sweep_seconds if complete else min(max(swept.retry_after or 0.0, wait), LONGEST_WAIT)
        finally:
            await self._tools.store.plan_sweep(wait, complete=complete)
        if complete:
            self._tools.metrics.swept_at.set_to_current_time()
        logger.info(
            "open pull requests swept",
            repositories=swept.repositories,
            requested=swept.requested,
            left_out=swept.left_out,
            complete=complete,
        )

    async def _tables_are_up_to_date(self) -> None:
        with as_persistence_errors():
            for each in await lag(self._pool):
                if each.projection == "jobs" and (each.fault is not None or each.behind > LATE_EVENTS):
                    raise TablesBehind(each.fault)

    async def _hold(self) -> None:
        if not await self._processes.take_lease(LEASE, LEASE_SECONDS):
            raise LeaseLost

    async def _quietly(self, part: Part, running: Awaitable[None]) -> None:
        """One part's trouble is not the other's."""
        try:
            await running
        except GitHubRateLimited as limited:
            self._tools.metrics.recovery_stops.labels(part, "limited").inc()
            logger.warning("GitHub's limit stops the recovery for a while", part=part, retry_in=limited.retry_after)
        except LeaseLost:
            raise
        except (RetryableError, FinalError) as error:
            self._tools.metrics.recovery_stops.labels(part, "failed").inc()
            logger.error("the recovery failed and is tried again later", part=part, error=str(error))
