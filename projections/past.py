"""Time travel: a projection's tables as they were after any event, folded anew from the log for one reader.

The tables are temporary ones, made by the projection's own script and filled by its own `replay`, so every query of the
projection reads the past as it reads the present. All of it happens in one transaction that is rolled back.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from projections.base import Connection, Projection
from schema.codec import Recorded
from schema.log import recorded
from schema.sql import load

PAGE = 5_000  # events
HERE = "projections.queries"


class NoSuchMoment(ValueError):
    """The log does not reach there; the message says how far it does."""


class TooFar(Exception):
    """More events would have to be folded than is allowed."""


class NoRoom(Exception):
    """The past is folded in temporary tables, which the service may not make in this database."""

    def __init__(self) -> None:
        super().__init__("let the database's owner run: grant temporary on database <its name> to reviewbot_app;")


class Moment(msgspec.Struct, frozen=True):
    """A place in the log: after the event at this position."""

    position: int  # 0: before the first event
    recorded_at: datetime | None  # of that event


async def find(connection: Connection, at: int | datetime) -> Moment:
    """The moment of a position, or the last one at or before a time. Raises NoSuchMoment.

    Times are the database's. Where its clock was set back, a time that came twice may mean either place.
    """
    row = await connection.fetchrow("select position, clock_timestamp() as now from log_head")
    assert row is not None
    if isinstance(at, datetime):
        if at > row["now"]:
            raise NoSuchMoment(f"{at.isoformat()} is yet to come; it is {row['now']:%Y-%m-%dT%H:%M:%SZ} now.")
        position = int(await connection.fetchval(load(HERE, "position_at"), at))
    else:
        position = at
        if not 0 <= position <= row["position"]:
            raise NoSuchMoment(f"There is no position {position}: the log ends at {row['position']}.")
    return Moment(position, await connection.fetchval("select recorded_at from event where position = $1", position))


@contextlib.asynccontextmanager
async def as_it_was(
    connection: Connection,
    projection: Projection,
    moment: Moment,
    *,
    streams: list[UUID] | None = None,
    most: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AsyncIterator[None]:
    """Within this block the connection reads the projection's tables as they were; whatever it writes is undone.

    With `streams` only those are folded: then the rows that follow from them alone are right, such as the jobs of a
    pull request from all that is said about it. `progress` gets (position reached, position of the moment) after each
    page. Raises TooFar when more than `most` events would have to be folded, FoldError at an event that cannot be taken
    in, and NoRoom.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(load(HERE, "look_back"))
        try:
            await connection.execute(projection.script)
        except asyncpg.InsufficientPrivilegeError as error:
            raise NoRoom from error
        done = 0
        async with contextlib.aclosing(_pages(connection, moment.position, streams)) as pages:
            async for page in pages:
                done += len(page)
                if most is not None and done > most:
                    raise TooFar
                await projection.replay(connection, page)
                progress(page[-1].position, moment.position)
        yield
    finally:
        await transaction.rollback()


async def _pages(
    connection: Connection, until: int, streams: list[UUID] | None
) -> AsyncGenerator[list[Recorded], None]:
    if streams is None:
        events = await connection.cursor(load(HERE, "up_to"), until)
    else:
        events = await connection.cursor(load(HERE, "of_streams"), until, streams)
    while rows := await events.fetch(PAGE):
        yield recorded(rows)
