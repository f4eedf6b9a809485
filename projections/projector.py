"""The projector: a page after the checkpoint, folded, checkpoint moved, in one transaction.

Several nodes may run one each; the checkpoint's row lock lets one of them work at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import asyncpg
import msgspec
import structlog

from projections.base import Connection, FoldError, Projection
from projections.catalog import ALL
from schema.log import recorded
from schema.sql import load
from schema.waiting import wait

HERE = "projections.queries"
logger = structlog.get_logger(__name__)


class Lag(msgspec.Struct, frozen=True):
    """How far a projection is behind the log, in events; `fault` says why it stands still."""

    projection: str
    version: int
    position: int
    behind: int
    fault: str | None


async def lag(database: Connection | asyncpg.Pool[asyncpg.Record], known: Sequence[Projection] = ALL) -> list[Lag]:
    """One entry per projection that has a checkpoint. Tables of another version than is known here stand still."""
    versions = {projection.name: projection.version for projection in known}
    found = [Lag(*row) for row in await database.fetch(load(HERE, "lag"))]
    return [
        msgspec.structs.replace(each, fault=f"its tables are of version {each.version}, this process works on {ours}")
        if (ours := versions.get(each.projection, each.version)) != each.version
        else each
        for each in found
    ]


async def step(connection: Connection, projection: Projection, page: int = 1_000) -> int:
    """Fold one page; returns how many events it took in.

    0: nothing to do, another projector is at it, or the tables are of another version than `projection`. A poison event
    stops the projection before it: what precedes it is folded, the reason is kept in the checkpoint, and FoldError is
    raised at this and every later step until the projection is rebuilt.
    """
    try:
        return await _step(connection, projection, page)
    except FoldError as poison:
        with contextlib.suppress(FoldError):
            await _step(connection, projection, page, before=poison.position, fault=str(poison))
        raise


async def _step(
    connection: Connection, projection: Projection, page: int, before: int | None = None, fault: str | None = None
) -> int:
    async with connection.transaction():
        query, name, version = load(HERE, "take_page"), projection.name, projection.version
        events = recorded(await connection.fetch(query, name, version, page, before, fault))
        if events:
            await projection.apply(connection, events)
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
