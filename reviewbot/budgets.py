"""Budgets: whether an installation may spend more now, and going on as soon as one that was used up is not any more."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from typing import TypeAlias
from uuid import uuid4, uuid5

import asyncpg
import structlog
from eventsourcing.persistence import IntegrityError, StoredEvent

from projections.jobs import read as jobs
from projections.usage import read as usage
from projections.usage.read import Spent
from reviewbot.config import BudgetSettings
from reviewbot.metrics import Metrics
from reviewbot.prices import shown
from reviewbot.review import NAMESPACE, ReviewJob
from reviewbot.story import Ended
from schema import events as e
from schema.codec import encode
from schema.log import Log, Meta, as_persistence_errors

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
LOOK_SECONDS = 60.0  # how soon a process sees that another one, with a higher budget, has spent less than that

logger = structlog.get_logger(__name__)


class OverBudget(Ended):
    """A budget is used up: reviews of the installation wait until its time is over.

    The message says so to whoever reads the pull request, and no amounts: those are the operator's business.
    """

    def __init__(self, budget: e.Budget, until: datetime) -> None:
        super().__init__(
            f"The budget of this installation for the {budget} is used up. Reviews go on by themselves at "
            f"{until:%Y-%m-%d %H:%M} UTC, or when whoever operates ReviewBot raises it."
        )
        self.budget, self.until = budget, until

    def decide(self, job: ReviewJob) -> None:
        job.hold(str(self), self.budget, self.until)


class Budgets:
    """The budgets that are set, held against what the log says was spent."""

    def __init__(self, pool: Pool, log: Log, limits: BudgetSettings, metrics: Metrics, *, actor: str) -> None:
        self._pool, self._log, self._limits, self._metrics, self._actor = pool, log, limits, metrics, actor

    async def check(self, installation: int) -> None:
        """Raises OverBudget when the installation may not spend more now; of several budgets, the last to end.

        What runs at this moment may still exceed it. Raises OperationalError when the database does not answer.
        """
        over = await self._over(installation)
        if over is None:
            return
        self._metrics.budget_holds.labels(over.span).inc()
        logger.warning("a budget is used up", installation=installation, budget=over.span, spent=shown(over.usd))
        raise OverBudget(over.span, over.until)

    async def _over(self, installation: int) -> Spent | None:
        if not self._limits.any:
            return None
        with as_persistence_errors():
            spent = await usage.spent(self._pool, installation)
        over = [each for each in spent if 0 < self._limits.of(each.span) <= each.usd]
        return max(over, key=lambda each: each.until, default=None)

    async def run(self) -> None:
        """Let installations go on that a budget holds back which is not used up any more, because it was raised."""
        while True:
            try:
                await self.resume()
            except Exception as error:  # noqa: BLE001 - the database restarts, and the loop goes on
                logger.warning("budgets will be looked at again", error=repr(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def resume(self) -> None:
        """One round of `run`."""
        for installation in await jobs.held(self._pool):
            if await self._over(installation) is None:
                await self._record_resumed(installation)

    async def _record_resumed(self, installation: int) -> None:
        stream = uuid5(NAMESPACE, f"budget/{installation}")
        fact = e.InstallationResumed(installation=installation)
        version = len(await self._log.read_stream(stream)) + 1
        meta = Meta(actor=self._actor, correlation=uuid4(), installation=installation)
        with contextlib.suppress(IntegrityError):  # another process was quicker
            await self._log.append([StoredEvent(stream, version, fact.TOPIC, encode(fact))], meta)
            logger.info("an installation goes on", installation=installation)
