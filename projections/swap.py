"""The moment at which tables that were built take the place of the live ones: everything moves in one transaction.

What it waits for, it waits for in small portions, as everybody who comes later waits behind it. It holds the checkpoint
first and the tables then, the order of the projector, and never the head of the log: deliveries are taken in meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable

import asyncpg

from projections.base import FoldError
from projections.build import CAUGHT_UP, HERE, Build, drop
from projections.projector import step
from projections.replay import unseen
from schema.sql import load

ATTEMPTS = 100
PAUSE_SECONDS = (0.05, 0.5)  # between attempts
AUTOVACUUM_YIELDS = "set local lock_timeout = '5s'"  # it does after a second, to somebody who holds up nobody else
PATIENCE = "set local lock_timeout = '25ms'"  # for the last lock on each table, which holds up everybody


class Blocked(Exception):
    """Somebody holds on to the live tables; the message says who. What was built stays, and goes live another time."""


class _Outrun(Exception):
    """So much came while we waited for the tables that folding it would hold up everybody."""


async def go_live(build: Build, kept: str, *, keep: bool = False, poison: FoldError | None = None) -> float:
    """Put the build in the place of the live tables; gives the seconds for which these could not be used.

    The old tables go to the schema `kept` and are dropped there unless `keep`. With `poison` the tables stand still
    before it. Raises Blocked, or FoldError when an event that came in the meantime cannot be taken in.
    """
    await drop(build.writer, kept)
    seconds = await _swap_patiently(build, kept, poison)
    if not (keep and await _objects(build, kept)):
        await drop(build.writer, kept)
    return seconds


async def _swap_patiently(build: Build, kept: str, poison: FoldError | None) -> float:
    for _ in range(ATTEMPTS):
        try:
            return await _swap(build, kept, poison)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, _Outrun):
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
            if poison is None:
                await build.catch_up(unseen)
    holders = await build.writer.fetch(load(HERE, "blockers"), build.projection.tables)
    who = "; ".join(f"process {each['pid']} ({each['name']}), since {each['since']:%H:%M:%S} UTC" for each in holders)
    raise Blocked(
        f"The live tables of {build.projection.name} cannot be had for a moment: "
        f"{who or 'they are in use all the time'}. What was built stays: end that and try again."
    )


async def _swap(build: Build, kept: str, poison: FoldError | None) -> float:
    """The commit need not wait for the disk: whatever builds on it comes to the disk behind it."""
    connection, name = build.writer, build.projection.name
    home = await connection.fetchval("select current_schema()")
    old, new = await _objects(build, home), await _objects(build, build.schema)
    tables = ", ".join(name for kind, name in old if kind == "table")
    async with connection.transaction():
        if tables:
            await connection.execute(f"{AUTOVACUUM_YIELDS}; lock table {tables} in share update exclusive mode")
        before = await connection.fetchrow(load(HERE, "live_checkpoint"), name)
        began = time.perf_counter()
        if tables:
            await connection.execute(f"{PATIENCE}; lock table {tables} in access exclusive mode")
        if poison is None:
            await _fold_rest(build)
        await connection.execute(_moves(build, old, new, home, kept))
        position = await connection.fetchval(f"select position from {kept}.checkpoint")
        if before is not None:
            await connection.execute(f"update {kept}.checkpoint set version = $1, position = $2", *before)
        fault = str(poison) if poison else None
        await connection.execute(load(HERE, "live_again"), name, build.projection.version, position, fault)
    return time.perf_counter() - began


async def _fold_rest(build: Build) -> None:
    """Take in what was appended up to here: afterwards no claim that anybody made is unknown to the new tables."""
    head = await build.writer.fetchval("select position from log_head")
    await build.look_at_build()
    while (missing := head - await build.writer.fetchval("select position from checkpoint")) > 0:
        if missing > 2 * CAUGHT_UP:
            raise _Outrun
        await step(build.writer, build.projection)
    await build.look_at_home()


async def _objects(build: Build, schema: str) -> list[tuple[str, str]]:
    """(kind, name) of what the projection has in a schema."""
    projection = build.projection
    rows = await build.writer.fetch(load(HERE, "objects"), schema, projection.tables, projection.functions)
    return [(row["kind"], row["name"]) for row in rows]


def _moves(build: Build, old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]], home: str, kept: str) -> str:
    """All moves as one script, for one round trip."""
    return "; ".join(
        [
            f"create schema {kept}",
            *(f"alter {kind} {name} set schema {kept}" for kind, name in old),
            *(f"alter {kind} {name} set schema {home}" for kind, name in new),
            f"alter table {build.schema}.checkpoint set schema {kept}",
            f"drop schema {build.schema}",
        ]
    )
