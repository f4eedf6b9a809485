"""How much was reviewed: by day and repository, with how long it took and what it cost."""

from __future__ import annotations

from datetime import date

import msgspec

from projections.trail.fold import BLOCK
from reviewbot.audit.filters import Filter
from reviewbot.audit.select import HERE, Pool, reading, repositories, span_of
from schema.sql import load


class Day(msgspec.Struct, frozen=True):
    """The reviews of one repository that ended on one day (UTC). Times are from the last request to the end."""

    day: date
    repository: str
    reviews: int
    findings: int
    failed: int
    median_seconds: float | None
    p95_seconds: float | None
    input_tokens: int
    output_tokens: int


async def stats(pool: Pool, asked: Filter) -> list[Day]:
    """The days within the filter's `since` and `until`, the newest first, of its repository or of all."""
    async with reading(pool) as connection:
        span = await span_of(connection, asked)
        ids = None if asked.repository is None else await repositories(connection, asked.repository)
        rows = await connection.fetch(load(HERE, "stats"), span.first, span.last, BLOCK, ids)
    return [Day(*row) for row in rows]
