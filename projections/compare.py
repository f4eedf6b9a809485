"""Are the live tables what the log says? They are compared with a replay that ends at the same event."""

from __future__ import annotations

import contextlib
from typing import Any, TypeAlias

import asyncpg
import msgspec

from projections.base import Projection
from projections.build import HERE, Build, checking, drop, hold
from projections.replay import Progress, pages, unseen
from schema.log import recorded
from schema.sql import load

PAGE = 1_000  # events
SHOWN = 20  # rows of each table
Digest: TypeAlias = tuple[int, int]  # rows, and a sum over them that their order does not change


class OtherVersion(Exception):
    """The live tables are not of this version, so their rows cannot be compared."""


class Difference(msgspec.Struct, frozen=True):
    """A row that is not what the log says; a side that lacks it is None."""

    table: str
    key: tuple[str, ...]  # the columns of the primary key
    live: dict[str, Any] | None
    replayed: dict[str, Any] | None

    def __str__(self) -> str:
        row = self.live or self.replayed or {}
        name = f"{self.table} {', '.join(f'{column}={row[column]}' for column in self.key)}"
        if self.live is None:
            return f"{name}: the row is missing"
        if self.replayed is None:
            return f"{name}: the log knows no such row"
        return f"{name}: " + "; ".join(
            f"{column} is {self.live[column]!r}, the log says {value!r}"
            for column, value in self.replayed.items()
            if self.live[column] != value
        )


class Comparison(msgspec.Struct, frozen=True):
    """The outcome: up to which event was compared, how many rows, the tables that differ, the first rows that do."""

    position: int
    rows: int
    differing: tuple[str, ...]
    differences: tuple[Difference, ...]  # at most SHOWN of each table


async def compare(url: str, projection: Projection, progress: Progress = unseen) -> Comparison:
    """Replay the log beside the live tables, which go on, and compare. Raises OtherVersion, Busy or FoldError."""
    async with hold(url, projection, checking(projection)) as build:
        live = await build.writer.fetchrow(load(HERE, "live_checkpoint"), projection.name)
        if live is None or live["version"] != projection.version:
            found = f"are of version {live['version']}" if live else "do not exist"
            raise OtherVersion(
                f"The live tables of {projection.name} {found}: only version {projection.version} can be compared."
            )
        try:
            await build.begin()
            await build.replay(0, progress, until=live["position"])
            await build.finish()
            return await _compare(build, live["position"])
        finally:
            await drop(build.writer, build.schema)


async def _compare(build: Build, position: int) -> Comparison:
    """In one snapshot: fold what the live tables have taken in meanwhile, and compare the rows."""
    connection, projection = build.writer, build.projection
    async with connection.transaction(isolation="repeatable_read"):
        home = await connection.fetchval("select current_schema()")
        until: int = await connection.fetchval(load(HERE, "live_position"), projection.name)
        ahead = recorded(await connection.fetch(projection.ahead, until)) if projection.ahead else []
        await build.look_at_build()
        async with contextlib.aclosing(pages(build.reader, position, until, PAGE)) as coming:
            async for events in coming:
                await projection.apply(connection, events)
        await projection.apply(connection, ahead)
        await connection.execute("set local enable_seqscan = on")  # every row is read
        rows, differing, differences = 0, [], []
        for table in projection.tables:
            digests = [await _digest(connection, f"{schema}.{table}") for schema in (home, build.schema)]
            rows += digests[0][0]
            if not same(*digests):
                differing.append(table)
                differences += await _differences(connection, table, home, build.schema)
    return Comparison(until, rows, tuple(differing), tuple(differences))


def same(live: Digest, replayed: Digest) -> bool:
    """Whether two tables hold the same rows."""
    return live == replayed


async def _digest(connection: asyncpg.Connection[asyncpg.Record], table: str) -> Digest:
    row = await connection.fetchrow(f"select count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) from {table} t")
    assert row is not None
    return int(row[0]), int(row[1])


async def _differences(
    connection: asyncpg.Connection[asyncpg.Record], table: str, home: str, schema: str
) -> list[Difference]:
    key = tuple(row[0] for row in await connection.fetch(load(HERE, "key_columns"), f"{schema}.{table}"))
    joined = f"{home}.{table} l full join {schema}.{table} r using ({', '.join(key)})"
    found = await connection.fetch(
        f"select to_json(l), to_json(r) from {joined} where l is distinct from r limit {SHOWN}"
    )
    return [Difference(table, key, *(msgspec.json.decode(side) if side else None for side in row)) for row in found]
