"""A projection's tables in the making: beside the live ones, in a schema of their own, until they take their place.

Names inside a projection's SQL are bare, so the search path alone decides which tables it works on. A build's schema
holds its own `checkpoint`; with it everything that is known of a build comes into being and goes away.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator

import asyncpg
import msgspec

from projections.base import FoldError, Projection
from projections.projector import step
from projections.replay import PAGE, Progress, pages, without_collector
from schema.database import connect
from schema.sql import load

HERE = "projections.queries"
LOCK = 0x72627264  # advisory: one process at a time makes or removes builds of a projection
SETTINGS = {"synchronous_commit": "off", "maintenance_work_mem": "128MB"}  # what is lost in a crash is folded again
CAUGHT_UP = 200  # events; so few are folded within the pause


class Busy(Exception):
    """Somebody else is building; the message says who."""


class Position(msgspec.Struct, frozen=True):
    """How far a build is, and of which version of the projection."""

    version: int
    position: int
    finished: bool  # ready for use: indexes, counters, triggers


def building(projection: Projection) -> str:
    """The schema in which a projection is built."""
    return f"reviewbot_build_{projection.name}"


def checking(projection: Projection) -> str:
    """The schema in which it is built only to be compared."""
    return f"reviewbot_check_{projection.name}"


def before(projection: Projection) -> str:
    """The schema that keeps the tables before the last rebuild."""
    return f"reviewbot_before_{projection.name}"


class Build:
    """The build of one projection, held by this process alone."""

    def __init__(
        self,
        projection: Projection,
        schema: str,
        writer: asyncpg.Connection[asyncpg.Record],
        reader: asyncpg.Connection[asyncpg.Record],
        home: str,
    ) -> None:
        self.projection, self.schema = projection, schema
        self.writer, self.reader = writer, reader
        self.home = home  # the search path of whoever uses the live tables

    @contextlib.asynccontextmanager
    async def inside(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A transaction in which bare names mean the tables of the build."""
        async with self.writer.transaction():
            await self.look_at_build()
            yield self.writer

    async def look_at_build(self) -> None:
        """From here to the end of the transaction bare names mean the build."""
        await self._set_path(f"{self.schema}, {self.home}")

    async def look_at_home(self) -> None:
        """From here to the end of the transaction bare names mean the live tables."""
        await self._set_path(self.home)

    async def _set_path(self, path: str) -> None:
        await self.writer.execute("select set_config('search_path', $1, true)", path)

    async def state(self) -> Position | None:
        """How far it is; None: it is not begun."""
        return await state(self.writer, self.schema)

    async def begin(self) -> Position:
        """Make the tables, bare, in place of any that stand there unfinished."""
        async with self.writer.transaction():
            await drop(self.writer, self.schema)
            await self.writer.execute(f"create schema {self.schema}")
            await self.look_at_build()
            await self.writer.execute(self.projection.script)
            await self.writer.execute(load(HERE, "begin_build"))
            await self.writer.execute(load(HERE, "start_build"), self.projection.name, self.projection.version)
        return Position(self.projection.version, 0, finished=False)

    async def take_over(self, schema: str) -> None:
        """Go on with what stands in another schema."""
        async with self.writer.transaction():
            await drop(self.writer, self.schema)
            await self.writer.execute(f"alter schema {schema} rename to {self.schema}")

    async def replay(self, position: int, progress: Progress, until: int | None = None) -> None:
        """Fold the log after `position` into bare tables, page after page, each for good. Raises FoldError.

        Without `until`, to its end, but for what little comes while the last pages are folded.
        """
        end = await self._head() if until is None else until
        with without_collector():
            while position < end:
                await self._replay(position, end, progress)
                position = end
                if until is None and (head := await self._head()) - end > PAGE:
                    end = head

    async def _replay(self, position: int, end: int, progress: Progress) -> None:
        async with contextlib.aclosing(pages(self.reader, position, end)) as coming:
            async for events in coming:
                async with self.inside() as connection:
                    await self.projection.replay(connection, events)
                    await connection.execute(load(HERE, "move_build"), events[-1].position)
                progress(events[-1].position, end)

    async def _head(self) -> int:
        head: int = await self.writer.fetchval("select position from log_head")
        return head

    async def finish(self) -> None:
        """Make the tables ready for use."""
        async with self.inside() as connection:
            await connection.execute("set local enable_seqscan = on")  # nearly every row is read
            await connection.execute(self.projection.finish)
            await connection.execute(load(HERE, "finish_build"))
            for table in self.projection.tables:
                await connection.execute(f"analyze {table}")

    async def catch_up(self, progress: Progress) -> int:
        """Fold what has come since, until hardly anything is missing; gives the position. Raises FoldError."""
        while True:
            poison = None
            async with self.inside() as connection:
                try:
                    await step(connection, self.projection)
                except FoldError as error:  # what precedes it is folded, and stays so
                    poison = error
                position: int = await connection.fetchval("select position from checkpoint")
            if poison is not None:
                raise poison
            head = await self._head()
            progress(position, head)
            if head - position < CAUGHT_UP:
                return position


async def state(connection: asyncpg.Connection[asyncpg.Record], schema: str) -> Position | None:
    """How far the build in a schema is; None: there is none."""
    if not await connection.fetchval(load(HERE, "build_exists"), schema):
        return None
    row = await connection.fetchrow(f"select version, position, finished from {schema}.checkpoint")
    return Position(*row) if row else None


async def drop(connection: asyncpg.Connection[asyncpg.Record], schema: str) -> None:
    """Remove a schema of ours with all that is in it.

    Table by table: a statement that was about to read what was live a moment ago may wait for one while it holds
    another, and so for us while we wait for it.
    """
    for row in await connection.fetch("select tablename from pg_tables where schemaname = $1", schema):
        await connection.execute(f"drop table {schema}.{row['tablename']} cascade")
    await connection.execute(f"drop schema if exists {schema} cascade")


@contextlib.asynccontextmanager
async def hold(url: str, projection: Projection, schema: str, *, wait: bool = False) -> AsyncIterator[Build]:
    """The builds of a projection, for this process alone. Raises Busy, unless it may `wait` for its turn."""
    name = f"reviewbot build on {socket.gethostname()[:24]}, process {os.getpid()}"
    writer = await connect(url, application_name=name, **SETTINGS)
    try:
        if wait:
            await writer.execute(load(HERE, "await_build"), LOCK, projection.name)
        elif not await writer.fetchval(load(HERE, "hold_build"), LOCK, projection.name):
            raise Busy(f"Another process is at the tables of {projection.name}: {await holder(writer, projection)}.")
        reader = await connect(url, application_name=name)
        try:
            yield Build(projection, schema, writer, reader, await writer.fetchval("show search_path"))
        finally:
            await reader.close(timeout=10)
    finally:
        await writer.close(timeout=10)


async def holder(connection: asyncpg.Connection[asyncpg.Record], projection: Projection) -> str | None:
    """Who builds, and since when; None: nobody does."""
    row = await connection.fetchrow(load(HERE, "build_holder"), LOCK, projection.name)
    return f"{row['name']}, since {row['since']:%Y-%m-%d %H:%M:%S} UTC" if row else None
