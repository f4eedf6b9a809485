"""What failed lately: by the code of the failure, with the newest example and what to do about it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from projections.trail.fold import BLOCK
from reviewbot.audit.filters import Filter
from reviewbot.audit.remedies import remedy
from reviewbot.audit.select import HERE, Pool, reading, span_of
from schema.sql import load


class Failure(msgspec.Struct, frozen=True):
    """All failures with one code."""

    code: str
    failed: int  # for good
    tried_again: int  # attempts that another one followed
    repositories: int
    first_at: datetime
    last_at: datetime
    job: UUID  # of the newest one
    reason: str  # of the newest one
    what_to_do: str


async def failures(pool: Pool, asked: Filter) -> list[Failure]:
    """The failures within the filter's `since` and `until`, the most frequent first."""
    async with reading(pool) as connection:
        span = await span_of(connection, asked)
        rows = await connection.fetch(load(HERE, "failures"), span.first, span.last, BLOCK)
    return [Failure(**row, what_to_do=remedy(row["code"])) for row in rows]
