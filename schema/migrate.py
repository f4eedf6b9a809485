"""Migrations: what cannot be rebuilt, in the order of the file names, each once, under a lock."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import asyncpg

LOCK = 0x7265766965776274  # "reviewbt": every process that migrates takes this advisory lock
TABLE = (
    "create table if not exists migration (name text primary key, digest text, applied_at timestamptz default now())"
)


class MigrationError(Exception):
    """The database's migrations and this version's do not fit together."""


def available() -> list[tuple[str, str]]:
    """(name, SQL) of every migration of this version."""
    folder = files("schema.migrations")
    return [
        (f.name, f.read_text(encoding="utf-8"))
        for f in sorted(folder.iterdir(), key=lambda f: f.name)
        if f.name.endswith(".sql")
    ]


async def migrate(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """Apply what is missing; returns the names. The caller holds LOCK. Raises MigrationError, changing nothing more."""
    await connection.execute(TABLE)
    applied = {row["name"]: row["digest"] for row in await connection.fetch("select name, digest from migration")}
    known = available()
    unknown = sorted(applied.keys() - {name for name, _ in known})
    if unknown:
        raise MigrationError(f"the database has migrations of a newer version ({', '.join(unknown)}): run that version")
    fresh: list[str] = []
    for name, sql in known:
        digest = hashlib.sha256(sql.encode()).hexdigest()
        if name not in applied:
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute("insert into migration (name, digest) values ($1, $2)", name, digest)
            fresh.append(name)
        elif applied[name] != digest:
            raise MigrationError(
                f"migration {name} was changed after it was applied to this database: use the version that applied it"
            )
    return fresh
