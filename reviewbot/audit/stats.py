"""How much was reviewed: by day, repository and installation, with how long it took and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import msgspec

from projections.trail.fold import BLOCK
from reviewbot.audit.filters import Filter
from reviewbot.audit.select import HERE, Pool, reading, repositories, span_of
from reviewbot.prices import Rate, cost
from schema.sql import load


class Day(msgspec.Struct):
    """One day (UTC) of one repository: the reviews that ended, and the calls to models.

    Times are from the last request to the end. What calls cost that no posted review came of, `unused_usd`, is part of
    `cost_usd`; those whose answer never came are counted in `unused_calls` alone.
    """

    day: date
    repository: str
    installation: int
    reviews: int
    findings: int
    failed: int
    median_seconds: float | None
    p95_seconds: float | None
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    unused_usd: Decimal
    unused_calls: int
    unpriced_calls: int  # of models whose price is not known: they count as nothing


class Unrecorded(msgspec.Struct, frozen=True):
    """Answers of one model that were recorded without a price; tokens are those of all together."""

    day: date
    repository_id: int
    installation: int
    provider: str
    model: str
    unused: bool
    calls: int
    asked_at: datetime  # the last of them
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int


class Stats(msgspec.Struct, frozen=True):
    """The days, the newest first, and how many calls were recorded without a price and priced by today's list."""

    days: list[Day]
    priced_now: int


async def stats(pool: Pool, asked: Filter, own: Sequence[Rate] = ()) -> Stats:
    """The days within the filter's `since` and `until`, of its repository or of all; `own`: the operator's prices."""
    async with reading(pool) as connection:
        span = await span_of(connection, asked)
        ids = None if asked.repository is None else await repositories(connection, asked.repository)
        rows = await connection.fetch(load(HERE, "stats"), span.first, span.last, BLOCK, ids)
        older = await connection.fetch(load(HERE, "unrecorded_prices"), span.first, span.last, ids)
    days = {}
    for *columns, repository_id in rows:
        day = Day(*columns)
        days[day.day, repository_id, day.installation] = day
    priced = 0
    for calls in (Unrecorded(*row) for row in older):
        priced += _price_now(days[calls.day, calls.repository_id, calls.installation], calls, own)
    return Stats(list(days.values()), priced)


def _price_now(day: Day, calls: Unrecorded, own: Sequence[Rate]) -> int:
    """Add what these calls cost to their day; returns how many could be priced.

    All count as calls of the average size, which comes to the same: no price in steps has its step among our prompts.
    """
    usd = cost(
        calls.provider,
        (calls.model,),
        input_tokens=round(calls.input_tokens / calls.calls),
        output_tokens=round(calls.output_tokens / calls.calls),
        cached_input_tokens=round(calls.cached_input_tokens / calls.calls),
        at=calls.asked_at,
        own=own,
    ).usd
    if usd is None:
        day.unpriced_calls += calls.calls
        return 0
    day.cost_usd += usd * calls.calls
    day.unused_usd += usd * calls.calls * calls.unused
    return calls.calls
