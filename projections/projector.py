"""The projector: a page after the checkpoint, folded, checkpoint moved, in one transaction.

Several nodes may run one each; the checkpoint's row lock lets one of them work at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import asyncpg
import msgspec
import structlog

from projections.base import Connection, FoldError, Projection
from schema.codec import Recorded
from schema.log import recorded
from schema.sql import load
from schema.waiting import wait

HERE = "projections.queries"
Apply: TypeAlias = Callable[[Connection, Sequence[Recorded]], Awaitable[None]]
logger = structlog.get_logger(__name__)


class Lag(msgspec.Struct, frozen=True):
    """How far a projection is behind the log, in events; `fault` says why it stands still."""

    projection: str
    version: int
    position: int
    behind: int
    fault: str | None


async def lag(pool: asyncpg.Pool[asyncpg.Record]) -> list[Lag]:
    """One entry per projection that has a checkpoint."""
    return [Lag(*row) for row in await pool.fetch(load(HERE, "lag"))]


async def step(connection: Connection, projection: Projection, page: int = 1_000, apply: Apply | None = None) -> int:
    """Fold one page; returns how many events it took in. 0: nothing to do, or another projector is at it.

    `apply` takes the place of the projection's own. A poison event stops the projection before it: what precedes it is
    folded, the reason is kept in the checkpoint, and FoldError is raised at this and every later step until the
    projection is rebuilt.
    """
    apply = apply or projection.apply
    try:
        return await _step(connection, projection.name, apply, page)
    except FoldError as poison:
        with contextlib.suppress(FoldError):
            await _step(connection, projection.name, apply, page, before=poison.position, fault=str(poison))
        raise


async def _step(
    connection: Connection, name: str, apply: Apply, page: int, before: int | None = None, fault: str | None = None
) -> int:
    async with connection.transaction():
        events = recorded(await connection.fetch(load(HERE, "take_page"), name, page, before, fault))
        if events:
            await apply(connection, events)
        return len(events)


class Projector:
    """Keeps one projection up to date until it is cancelled. It survives every error but cancellation."""

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        projection: Projection,
        *,
        poll_seconds: float = 1.0,
        page: int = 1_000,
        on_page: Callable[[], None] = lambda: None,
    ) -> None:
        self.projection = projection
        self._pool, self._poll_seconds, self._page, self._on_page = pool, poll_seconds, page, on_page
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something to fold: a hint, never needed for correctness."""
        self._woken.set()

    async def run(self) -> None:
        while True:
            self._woken.clear()
            folded = await self._try_step()
            if folded:
                self._on_page()
            if folded < self._page:
                await wait(self._woken, self._poll_seconds)

    async def _try_step(self) -> int:
        try:
            async with self._pool.acquire() as connection:
                return await step(connection, self.projection, self._page)
        except FoldError as error:
            logger.error("projection stands still", projection=self.projection.name, reason=str(error))
        except Exception as error:  # noqa: BLE001 - the loop must outlive a restart of the database
            logger.warning("projector will try again", projection=self.projection.name, error=repr(error))
        await asyncio.sleep(self._poll_seconds)
        return 0
