"""Projection tables made anew from the log while the live ones go on: prepare, replay, finish, catch up, go live."""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg
import msgspec
import structlog

from projections.base import FoldError, Projection
from projections.build import HERE, Build, Position, before, building, checking, drop, hold, holder, state
from projections.projector import Lag, lag
from projections.replay import Progress, unseen
from projections.swap import go_live
from schema.database import connect
from schema.sql import load

logger = structlog.get_logger(__name__)


class NewerTables(Exception):
    """The live tables were made by a newer version of ReviewBot."""


class NothingKept(Exception):
    """There are no old tables that this version could take back."""


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild did."""

    events: int  # folded by this run
    position: int  # of the tables that went live
    pause_seconds: float  # for which the live tables could not be used


class Standing(msgspec.Struct, frozen=True):
    """A projection's live tables, and what else there is of it; None where there is nothing."""

    projection: str
    live: Lag | None
    build: Position | None
    holder: str | None  # who is at work on a build
    kept: Position | None  # the tables before the last rebuild


async def prepare(url: str, projections: Iterable[Projection]) -> list[str]:
    """Build the projections that have no tables yet or whose version has risen; returns the names of what went live.

    Processes that start at the same time wait for the one that builds. At a poison event the tables of the version
    before stay as they are; where there are none, tables go live that show what precedes it.

    Raises NewerTables or Blocked.
    """
    made = []
    connection = await connect(url)
    try:
        for projection in projections:
            if await _is_old(connection, projection):
                async with hold(url, projection, building(projection), wait=True) as build:
                    if await _is_old(connection, projection) and await _make(build, connection):
                        made.append(projection.name)
    finally:
        await connection.close()
    return made


async def rebuild(url: str, projection: Projection, progress: Progress = unseen, *, keep: bool = False) -> Rebuilt:
    """Make a projection's tables anew beside the live ones, and put them in their place.

    It goes on where an earlier run was cut short. Raises Busy, Blocked, or FoldError at a poison event: the live tables
    stay as they are. With `keep`, `roll_back` can have the old ones again.
    """
    async with hold(url, projection, building(projection)) as build:
        return await _rebuild(build, progress, keep=keep)


async def roll_back(url: str, projection: Projection, progress: Progress = unseen) -> Rebuilt:
    """Bring the kept tables up to date and put them in the place of the live ones, which are kept in turn.

    Raises NothingKept, and what `rebuild` raises.
    """
    async with hold(url, projection, building(projection)) as build:
        kept = await state(build.writer, before(projection))
        if kept is None or kept.version != projection.version:
            found = "there are none" if kept is None else f"they are of version {kept.version}"
            raise NothingKept(
                f"There are no old tables of {projection.name} of version {projection.version} to go back to: {found}."
            )
        await build.take_over(before(projection))
        return await _rebuild(build, progress, keep=True)


async def abort(url: str, projection: Projection) -> list[str]:
    """Remove what is unfinished, and kept tables; returns what there was. Raises Busy."""
    schemas = {
        "an unfinished build": building(projection),
        "an unfinished comparison": checking(projection),
        "the tables before the last rebuild": before(projection),
    }
    async with hold(url, projection, building(projection)) as build:
        found = [what for what, schema in schemas.items() if await state(build.writer, schema)]
        for schema in schemas.values():
            await drop(build.writer, schema)
    return found


async def status(url: str, projection: Projection) -> Standing:
    """How a projection stands."""
    connection = await connect(url)
    try:
        return Standing(
            projection.name,
            next((each for each in await lag(connection) if each.projection == projection.name), None),
            await state(connection, building(projection)),
            await holder(connection, projection),
            await state(connection, before(projection)),
        )
    finally:
        await connection.close()


async def _is_old(connection: asyncpg.Connection[asyncpg.Record], projection: Projection) -> bool:
    """Whether this version must build the tables. Raises NewerTables."""
    live = await _version(connection, projection)
    if live is not None and live > projection.version:
        raise NewerTables(
            f"The tables of {projection.name} are of version {live}, and this ReviewBot's are of version "
            f"{projection.version}: run the newer one, or go back with `reviewbot rebuild {projection.name}`."
        )
    return live != projection.version


async def _version(connection: asyncpg.Connection[asyncpg.Record], projection: Projection) -> int | None:
    version: int | None = await connection.fetchval(load(HERE, "live_version"), projection.name)
    return version


async def _make(build: Build, connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    try:
        await _rebuild(build, unseen)
    except FoldError as poison:
        logger.error("projection cannot be made", projection=build.projection.name, reason=str(poison))
        if await _version(connection, build.projection) is not None:
            return False
        await _go_live_before(build, poison)
    return True


async def _rebuild(build: Build, progress: Progress, *, keep: bool = False) -> Rebuilt:
    found = await build.state()
    if found is None or found.version != build.projection.version:
        found = await build.begin()
    if not found.finished:
        await build.replay(found.position, progress)
        await build.finish()
    position = await build.catch_up(progress)
    seconds = await go_live(build, before(build.projection), keep=keep)
    return Rebuilt(position - found.position, position, seconds)


async def _go_live_before(build: Build, poison: FoldError) -> None:
    """At least what precedes a poison event can be seen and worked on."""
    found = await build.state()
    if found is not None and not found.finished:
        await build.replay(found.position, unseen, until=poison.position - 1)
        await build.finish()
    await go_live(build, before(build.projection), poison=poison)
