"""Plans are made when a service is new and its tables are empty, and kept: they must stay good as the tables grow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from projections.jobs import read
from schema import sql
from schema.database import open_pool
from schema.events import ReviewCompleted
from schema.log import Log
from tests.helpers import HEAD, append, job_of, meta, project, requested

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
ROWS = 5_000
# More of the same, all of one repository, as a busy team's table looks after a year.
GROW = """
    insert into jobs
    select grown.*
    from (select * from jobs where state = 'completed' limit 1) old
    cross join generate_series(1, $1::int) n
    cross join jsonb_populate_record(
        null::jobs, to_jsonb(old) || jsonb_build_object('job', gen_random_uuid(), 'pull_request', 1000 + n)) grown
"""
ENTRIES = "select sum(idx_tup_read)::bigint from pg_stat_user_indexes"


@pytest.fixture
async def session(database: str) -> AsyncIterator[Pool]:
    """One connection, so that whatever is asked meets the plans made before."""
    pool = await open_pool(database, size=1)
    yield pool
    pool.terminate()


async def cycle(pool: Pool, log: Log, number: int) -> None:
    """A job's whole life."""
    request = requested(pull_request=number)
    await append(log, job_of(request), request, about=meta())
    await project(pool)
    [job] = await read.claim(
        pool, read.Worker(uuid4(), "w"), slots=3, limit=timedelta(hours=1), per_installation=1, provider="rules"
    )
    await append(log, job.job, ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"), after=job.version)
    await project(pool)


async def entries(pool: Pool) -> int:
    """How many entries of indexes were looked at until now; tables are never scanned here."""
    await pool.execute("select pg_stat_force_next_flush()")
    return int(await pool.fetchval(ENTRIES))


async def entries_when_grown(pool: Pool) -> int:
    """What one cycle looks at in a large table, by plans that were made and kept while it was small."""
    log = Log(pool)
    for number in range(12):
        await cycle(pool, log, number)
    await pool.execute(GROW, ROWS)
    before = await entries(pool)
    await cycle(pool, log, 500)
    await log.close()
    return await entries(pool) - before


async def test_a_cycle_looks_at_few_entries_however_large_the_tables_have_grown(session: Pool) -> None:
    assert await entries_when_grown(session) < ROWS / 10


async def test_look_ups_that_the_planner_may_turn_into_scans_are_noticed(
    session: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken twin: without its fences, the look-up of open jobs reads the whole table at every page."""

    def unfenced(package: str, name: str) -> str:
        return sql.load(package, name).replace("offset 0", "")

    monkeypatch.setattr("projections.jobs.project.load", unfenced)
    assert await entries_when_grown(session) > ROWS
