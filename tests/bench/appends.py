"""How fast the log takes events from 64 callers that each wait for theirs, beside bare batched inserts."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

from eventsourcing.persistence import StoredEvent

from schema.codec import encode
from schema.log import Log, Meta
from tests.bench.ground import Ground, Pool
from tests.helpers import requested

CALLERS = 64
STATE = encode(requested())
BARE = (
    "insert into event (position, stream, version, topic, data, actor, correlation) "
    "select * from unnest($1::bigint[], $2::uuid[], $3::int[], $4::text[], $5::json[], $6::text[], $7::uuid[])"
)


async def measure(ground: Ground) -> None:
    """append_per_s, append_limit_per_s and their ratio, in alternation on one database each."""
    ours, bare, ratios = [], [], []
    async with ground.pool() as pool, ground.pool() as other:
        log = Log(pool)
        for number in range(ground.sizes.rounds):
            ours.append(await append_rate(log, ground.sizes.appends))
            bare.append(await insert_rate(other, ground.sizes.appends, number))
            ratios.append(ours[-1] / bare[-1])
        await log.close()
    ground.figures.add("append_per_s", "events/s", ours)
    ground.figures.add("append_limit_per_s", "events/s", bare)
    ground.figures.add("append_ratio", "of bare batched inserts", ratios)


async def append_rate(log: Log, events: int) -> float:
    each = events // CALLERS

    async def caller() -> None:
        for _ in range(each):
            event = StoredEvent(uuid4(), 1, "ReviewRequested", STATE)
            await log.append((event,), Meta(actor="bench", correlation=event.originator_id, installation=1))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return each * CALLERS / (time.perf_counter() - began)


async def insert_rate(pool: Pool, events: int, number: int) -> float:
    """The same rows in batches of as many, one durable commit each, without order, judge or queue."""
    began = time.perf_counter()
    async with pool.acquire() as connection:
        for batch in range(events // CALLERS):
            start = number * events + batch * CALLERS
            streams = [uuid4() for _ in range(CALLERS)]
            columns = ([1] * CALLERS, ["ReviewRequested"] * CALLERS, [STATE] * CALLERS, ["bench"] * CALLERS)
            await connection.execute(BARE, range(start, start + CALLERS), streams, *columns, streams)
    return events // CALLERS * CALLERS / (time.perf_counter() - began)
