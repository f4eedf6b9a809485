"""Bring what is read up to the end of the log before it is asked."""

from __future__ import annotations

import asyncio

import asyncpg

from projections.base import FoldError, Projection
from projections.catalog import ALL
from projections.projector import step

WAIT_SECONDS = 0.1
WAITS = 50  # while a projector of the service is at it


async def catch_up(pool: asyncpg.Pool[asyncpg.Record]) -> list[str]:
    """Fold what the service has not folded yet; it may be stopped. Returns why something may be missing."""
    head = await pool.fetchval("select position from log_head")
    return [why for projection in ALL if (why := await _catch_up(pool, projection, head)) is not None]


async def _catch_up(pool: asyncpg.Pool[asyncpg.Record], projection: Projection, head: int) -> str | None:
    position = waits = 0
    while waits < WAITS:
        try:
            async with pool.acquire() as connection:
                folded = await step(connection, projection)
        except FoldError as error:
            return f"Later events may be missing: the projection {projection.name} stands still before {error}."
        position = await pool.fetchval("select position from checkpoint where projection = $1", projection.name)
        if position >= head:
            return None
        if not folded:
            waits += 1
            await asyncio.sleep(WAIT_SECONDS)
    return f"The newest events may be missing: the projection {projection.name} is {head - position} behind the log."
