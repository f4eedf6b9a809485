"""Make projection tables, and make them again from the log. While stopped: nobody else may be at work meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import asyncpg

from projections.base import FoldError, Projection
from projections.projector import step
from schema.sql import load

HERE = "projections.queries"
REPLAY_PAGE = 20_000  # events; what one page holds in memory


async def prepare(connection: asyncpg.Connection[asyncpg.Record], projections: Iterable[Projection]) -> list[str]:
    """Make and replay the projections that have no tables yet or whose version has changed; returns their names.

    The caller holds the migration lock.
    """
    made = []
    for projection in projections:
        version = await connection.fetchval("select version from checkpoint where projection = $1", projection.name)
        if version != projection.version:
            await rebuild(connection, projection)
            made.append(projection.name)
    return made


async def rebuild(
    connection: asyncpg.Connection[asyncpg.Record],
    projection: Projection,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Drop a projection's tables, make them again and replay the whole log into them; returns the events folded.

    `progress` gets (events folded, events in all) after each page. Raises FoldError at a poison event; the tables then
    show what precedes it. A rebuild that does not come to its end leaves no version behind, and so begins again at the
    next start.
    """
    await _make(connection, projection)
    poison: FoldError | None = None
    try:
        done = await _replay(connection, projection, progress)
    except FoldError as error:
        poison = error
    async with connection.transaction():
        await connection.execute(projection.finish)
        await connection.execute(load(HERE, "finish_rebuild"), projection.name, projection.version)
    for table in projection.tables:
        await connection.execute(f"analyze {table}")
    if poison is not None:
        raise poison
    return done


async def _make(connection: asyncpg.Connection[asyncpg.Record], projection: Projection) -> None:
    async with connection.transaction():
        for table in projection.tables:
            await connection.execute(f"drop table if exists {table} cascade")
        for function in projection.functions:
            await connection.execute(f"drop function if exists {function} cascade")
        await connection.execute(projection.script)
        await connection.execute(load(HERE, "begin_rebuild"), projection.name)


async def _replay(
    connection: asyncpg.Connection[asyncpg.Record], projection: Projection, progress: Callable[[int, int], None]
) -> int:
    total = await connection.fetchval("select position from log_head")
    done = 0
    while folded := await step(connection, projection, REPLAY_PAGE, projection.replay):
        done += folded
        progress(done, max(total, done))
    return done
