"""What is written stays: the application's role can add and nothing else, and the owner is stopped as well."""

from __future__ import annotations

import re
from uuid import uuid4

import asyncpg
import pytest

from schema.database import connect
from schema.inbox import pack, pack_delivery
from schema.log import Log
from tests.house.tree import files, read
from tests.schema.given import DATA_KEY, Pool, event, meta

CHANGES = {
    "event": ("update event set topic = 'x'", "delete from event", "truncate event"),
    "inbox": ("update inbox set event = 'x'", "delete from inbox", "truncate inbox"),
    "artifact": ("update artifact set kind = 'x'", "delete from artifact", "truncate artifact"),
    "tile": ("update tile set index = 1", "delete from tile", "truncate tile"),
    "tree_head": ("update tree_head set note = 'x'", "delete from tree_head", "truncate tree_head"),
}
# Retention removes raw deliveries and artifacts, as their owner; the log itself loses nothing, whoever asks.
REFUSED_TO_THE_OWNER = (
    *CHANGES["event"],
    CHANGES["inbox"][0],
    CHANGES["artifact"][0],
    *CHANGES["tile"],
    *CHANGES["tree_head"],
)

# Everything that the application's role may do with what cannot be rebuilt.
ALLOWED = {
    "event": {"SELECT", "INSERT"},
    "log_head": {"SELECT", "UPDATE (position)"},
    "inbox": {"SELECT", "INSERT"},
    "artifact": {"SELECT", "INSERT"},
    "data_key": {"SELECT", "INSERT", "DELETE", "UPDATE (wrapped)", "UPDATE (fingerprint)"},
    "worker": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "lease": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "checkpoint": {"SELECT", "INSERT", "UPDATE"},
    "recovery": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "missing_delivery": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "swept_repository": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "tile": {"SELECT", "INSERT"},
    "tree_head": {"SELECT", "INSERT"},
    "api_token": {"SELECT", "INSERT", "DELETE", "UPDATE (last_used_at)"},
    "migration": set(),
}

MIGRATIONS = [path for path in files() if path.startswith("schema/migrations/")]


@pytest.fixture
async def owner(database: str, log: Log) -> asyncpg.Connection[asyncpg.Record]:
    """The owner of a database with one of each in it: event, delivery, artifact, tile, checkpoint."""
    await log.append(
        [event()],
        meta(),
        delivery=pack_delivery(DATA_KEY, uuid4(), "ping", {}, b"{}"),
        artifacts=[pack(DATA_KEY, "prompt", b"p")],
    )
    owner = await connect(database)
    await owner.execute("insert into tile values (0, 0, $1)", bytes(8192))
    await owner.execute("insert into tree_head (size, root, note) values (1, $1, 'a note')", bytes(32))
    return owner


@pytest.mark.parametrize("statement", [statement for changes in CHANGES.values() for statement in changes])
async def test_the_application_may_change_nothing(
    pool: Pool, owner: asyncpg.Connection[asyncpg.Record], statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await pool.execute(statement)


@pytest.mark.parametrize("statement", REFUSED_TO_THE_OWNER)
async def test_the_owner_is_stopped_by_a_trigger(owner: asyncpg.Connection[asyncpg.Record], statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute(statement)


async def test_without_the_trigger_the_owner_could(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    await owner.execute("alter table event disable trigger all")
    assert await owner.execute("delete from event") == "DELETE 1"


async def test_the_application_may_do_exactly_what_this_table_says(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    rows = await owner.fetch(
        "select table_name, privilege_type from information_schema.role_table_grants where grantee = 'reviewbot_app'"
    )
    columns = await owner.fetch(
        "select table_name, privilege_type, column_name from information_schema.role_column_grants"
        " where grantee = 'reviewbot_app' and (table_name, privilege_type) not in"
        " (select table_name, privilege_type from information_schema.role_table_grants where grantee = 'reviewbot_app')"
    )
    found: dict[str, set[str]] = {table: set() for table in ALLOWED}
    for table, privilege in rows:
        found.setdefault(table, set()).add(privilege)
    for table, privilege, column in columns:
        found.setdefault(table, set()).add(f"{privilege} ({column})")
    assert {table: found[table] for table in ALLOWED} == ALLOWED


def test_every_table_that_the_migrations_make_is_in_that_table() -> None:
    made = re.findall(r"^create table (\w+)", "".join(map(read, MIGRATIONS)), re.MULTILINE)
    assert set(made) | {"migration"} == ALLOWED.keys()


async def test_the_application_owns_nothing_and_may_make_nothing(
    pool: Pool, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    role = await owner.fetchrow("select rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolbypassrls from pg_roles"
                                " where rolname = 'reviewbot_app'")  # fmt: skip
    assert role is not None
    assert not any(role.values())
    assert await owner.fetchval("select count(*) from pg_class where relowner = 'reviewbot_app'::regrole") == 0
    for statement in ("create table mine (x int)", "alter table event disable trigger all", "drop table event"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)
