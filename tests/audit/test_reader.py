"""The role and the views for psql: they show what happened, survive a rebuild, use the indexes, and change nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest

from projections.catalog import ALL
from projections.rebuild import rebuild
from schema import events as e
from schema.database import connect
from schema.log import Log
from tests.helpers import HEAD, START, append, job_of, project, requested

OPEN = {
    "audit_events", "audit_jobs", "event", "log_head", "checkpoint", "worker", "lease", "recovery", "missing_delivery",
    "swept_repository", "tile", "tree_head",
} | {table for projection in ALL for table in projection.tables}  # fmt: skip

REFUSED = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # a view that cannot be written to at all
    asyncpg.WrongObjectTypeError,
)


@pytest.fixture
async def job(pool: asyncpg.Pool[asyncpg.Record], log: Log) -> UUID:
    fact = requested()
    stream = job_of(fact)
    started = e.ReviewStarted(attempt=1, claim_no=1, worker=uuid4(), deadline=START)
    await append(log, stream, fact, started, e.ReviewFailed(code="internal", reason="It broke."))
    await project(pool)
    return stream


@pytest.fixture
async def reader(database: str, job: UUID) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await connect(database, role="reviewbot_reader")
    yield connection
    await connection.close()


async def test_the_views_show_the_facts_as_columns(reader: asyncpg.Connection[asyncpg.Record], job: UUID) -> None:
    rows = await reader.fetch("select * from audit_events order by position")
    assert [row["topic"] for row in rows] == ["ReviewRequested", "ReviewStarted", "ReviewFailed"]
    assert {(row["repository_id"], row["pull_request"], row["head_sha"], row["job"]) for row in rows} == {
        (7, 1, HEAD, job)
    }
    assert (rows[2]["code"], rows[2]["reason"], rows[2]["retry_at"]) == ("internal", "It broke.", None)
    (row,) = await reader.fetch("select * from audit_jobs")
    assert (row["job"], row["state"], row["repository"], row["reason"]) == (job, "failed", "octo/hello", "It broke.")
    assert row["took"] == row["finished_at"] - row["requested_at"]


async def test_the_views_survive_a_rebuild(
    database: str, reader: asyncpg.Connection[asyncpg.Record], job: UUID
) -> None:
    views = ("select * from audit_events order by position", "select * from audit_jobs")
    before = [await reader.fetch(view) for view in views]
    for projection in ALL:
        await rebuild(database, projection)
    assert [await reader.fetch(view) for view in views] == before


async def test_a_question_to_a_view_is_answered_by_an_index(reader: asyncpg.Connection[asyncpg.Record]) -> None:
    for question, index in [
        ("select * from audit_events where position = 2", "event_pkey"),
        ("select * from audit_events where stream = '00000000-0000-0000-0000-000000000000'", "event_stream_version"),
        ("select * from audit_jobs where job = '00000000-0000-0000-0000-000000000000'", "jobs_pkey"),
    ]:
        plan = "\n".join(row[0] for row in await reader.fetch(f"explain {question}"))
        assert "Function Scan" not in plan
        assert "Seq Scan" not in plan
        assert index in plan


async def test_the_reader_sees_what_happened_and_nothing_that_is_secret(
    reader: asyncpg.Connection[asyncpg.Record],
) -> None:
    names = await reader.fetch(
        "select relname from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'v')"
    )
    seen = set()
    for name in [row["relname"] for row in names]:
        if await reader.fetchval("select has_table_privilege($1, 'select')", name):
            seen.add(name)
            await reader.fetch(f"select * from {name} limit 1")
    assert seen == OPEN


@pytest.mark.parametrize("statement", ["insert into {0} default values", "delete from {0}", "truncate {0}"])
async def test_the_reader_changes_nothing(reader: asyncpg.Connection[asyncpg.Record], statement: str) -> None:
    for name in OPEN:
        with pytest.raises(REFUSED):
            await reader.execute(statement.format(name))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.execute("create table mine (a int)")
