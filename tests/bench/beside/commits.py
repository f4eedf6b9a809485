"""Bare commits: what one row and one durable commit at a time can do at most, over one connection or several."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator

import asyncpg

from tests.bench.beside.comparisons import Measure
from tests.bench.beside.place import Place

ROW = b"%400d" % 0


@contextlib.asynccontextmanager
async def commits(place: Place, connections: int) -> AsyncIterator[Measure]:
    """Rows of an event's size put into a table without an index, one commit for each."""
    async with (
        place.ground.empty() as url,
        asyncpg.create_pool(url, min_size=connections, max_size=connections) as pool,
    ):
        await pool.execute("create table commits (data bytea)")
        count = place.scale.commits * connections

        async def measure() -> float:
            numbers = itertools.count()

            async def caller() -> None:
                async with pool.acquire() as connection:
                    while next(numbers) < count:
                        await connection.execute("insert into commits values ($1)", ROW)

            began = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(connections)))
            return count / (time.perf_counter() - began)

        yield measure
