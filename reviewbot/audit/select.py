"""Events that fit a filter, page by page.

Positions are dense and nothing below one ever changes, so a page needs no open transaction to go on from: a cursor is
a position. What is looked for by its subject is found by way of the `trail` projection, and only as far as that leads.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import asyncpg
import msgspec

from projections.trail.fold import BLOCK, Facet
from reviewbot.audit.filters import Filter
from schema.codec import Recorded
from schema.log import as_persistence_errors, recorded
from schema.sql import load

HERE = "reviewbot.audit"
MOST = 1_000  # events of one page
PAGE = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class Page(msgspec.Struct, frozen=True):
    """Some events in the order asked for."""

    events: list[Recorded]
    next: int | None  # the cursor of the page that follows; None: there is nothing more up to `position`
    position: int  # everything up to this position was looked at; later events are not in the trail yet


class Span(msgspec.Struct, frozen=True):
    """The positions between which events are looked for, both included, and how far the trail leads."""

    first: int
    last: int
    position: int


async def select(
    pool: Pool, asked: Filter, *, after: int | None = None, limit: int = 100, newest_first: bool = False
) -> Page:
    """One page of events that fit a checked filter; `after` is the `next` of the page before.

    Upwards by position, or downwards. `limit` is 1 to 1,000. Raises OperationalError when the database does not answer.
    """
    assert 0 < limit <= MOST
    async with reading(pool) as connection:
        span = await span_of(connection, asked)
        if after is not None:
            first = span.first if newest_first else max(span.first, after + 1)
            last = min(span.last, after - 1) if newest_first else span.last
            span = Span(first, last, span.position)
        events = await _fetch(connection, asked, span, -1 if newest_first else 1, limit + 1)
    more = len(events) > limit
    return Page(events[:limit], events[limit - 1].position if more else None, span.position)


async def stream(pool: Pool, asked: Filter, *, newest_first: bool = False) -> AsyncGenerator[Recorded]:
    """All events that fit a filter and are in the trail now, a page in memory at a time."""
    page = await select(pool, asked, limit=PAGE, newest_first=newest_first)
    position = page.position
    while True:
        for event in page.events:
            if event.position > position:  # it came after the question
                return
            yield event
        if page.next is None:
            return
        page = await select(pool, asked, after=page.next, limit=PAGE, newest_first=newest_first)


async def repositories(connection: Pool | Connection, name: str) -> list[int]:
    """The ids of the repositories that have or had this name."""
    return [row["repository_id"] for row in await connection.fetch(load(HERE, "named"), name.lower())]


@contextlib.asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """A connection that only reads. Raises OperationalError when the database does not answer."""
    with as_persistence_errors():
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            # The queries leave out what is null, which only a plan made for the very values can take advantage of.
            await connection.execute("set local plan_cache_mode = force_custom_plan")
            yield connection


async def span_of(connection: Connection, asked: Filter) -> Span:
    """The part of the log that a filter's `since` and `until` leave."""
    position = await connection.fetchval("select position from checkpoint where projection = 'trail'") or 0
    first, last = 1, position
    if isinstance(asked.since, datetime):
        first = await _position_at(connection, max(asked.since, EPOCH) - timedelta(microseconds=1)) + 1
    elif asked.since is not None:
        first = max(first, asked.since)
    if isinstance(asked.until, datetime):
        last = min(last, await _position_at(connection, asked.until))
    elif asked.until is not None:
        last = min(last, asked.until)
    return Span(first, last, position)


async def _position_at(connection: Connection, moment: datetime) -> int:
    """The last position recorded at or before a time."""
    return int(await connection.fetchval(load("projections.queries", "position_at"), moment))


async def _fetch(connection: Connection, asked: Filter, span: Span, direction: int, limit: int) -> list[Recorded]:
    if span.first > span.last:
        return []
    ids = None if asked.repository is None else await repositories(connection, asked.repository)
    if ids == []:
        return []
    topics = list(asked.topics) or None
    columns = (asked.installation, topics, asked.actor, asked.delivery)
    if asked.pull_request is not None or asked.head is not None or asked.job is not None:
        about = (ids, asked.pull_request, asked.head, asked.job)
        rows = await connection.fetch(
            load(HERE, "by_subject"), span.first, span.last, direction, limit, *about, *columns
        )
        return recorded(rows)
    facets = _facets(asked, ids or [])
    if not facets:  # every position holds an event
        first = span.first if direction > 0 else max(span.first, span.last - limit + 1)
        last = span.last if direction < 0 else min(span.last, span.first + limit - 1)
        return recorded(await connection.fetch(load(HERE, "by_position"), first, last, direction))
    wanted = [facet for facet, _ in facets], [value for _, value in facets]
    rows = await connection.fetch(
        load(HERE, "by_block"), span.first, span.last, direction, limit, BLOCK, *wanted, ids, *columns
    )
    return recorded(rows)


def _facets(asked: Filter, ids: list[int]) -> list[tuple[Facet, str]]:
    """What the trail is asked for: a value of every facet, or any of several."""
    facets: list[tuple[Facet, str]] = [("repository", str(each)) for each in ids]
    facets += [("topic", topic) for topic in asked.topics]
    if asked.installation is not None:
        facets.append(("installation", str(asked.installation)))
    if asked.actor is not None:
        facets.append(("actor", asked.actor))
    if asked.delivery is not None:
        facets.append(("story", str(asked.delivery)))
    return facets
