"""Connections: a pool whose every connection speaks `json` as bytes and acts as the role that cannot change the log."""

from __future__ import annotations

from typing import Any

import asyncpg

ROLE = "reviewbot_app"
PLANNER = {
    "jit": "off",
    "enable_seqscan": "off",  # plans are made while the tables are small, and kept when they have grown
}


async def prepare(connection: Any) -> None:
    """The exact bytes of `json` columns, in and out."""
    await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")


async def _leave(connection: Any) -> None:
    """Nobody changes a pooled session, so a returned one need not be reset: that took a round trip per query."""


async def open_pool(
    url: str, *, size: int = 10, role: str | None = ROLE, name: str = "reviewbot", process: str = ""
) -> asyncpg.Pool[asyncpg.Record]:
    """A pool on a migrated database. `role` None keeps the rights of the URL's own user (migrations, rebuilds).

    `process` signs the notifications of its appends and projectors, so that who sent one need not heed it.
    """
    settings = {
        "application_name": name,
        "idle_in_transaction_session_timeout": "30s",
        "reviewbot.process": process,
        **PLANNER,
    }
    if role:
        settings["role"] = role
    return await asyncpg.create_pool(
        url,
        min_size=min(2, size),
        max_size=size,
        init=prepare,
        reset=_leave,
        server_settings=settings,
        command_timeout=30,
        timeout=10,
    )


async def connect(url: str, **settings: str) -> asyncpg.Connection[asyncpg.Record]:
    """One connection with the rights of the URL's own user."""
    server_settings = {"application_name": "reviewbot", **PLANNER, **settings}
    connection = await asyncpg.connect(url, timeout=10, server_settings=server_settings)
    await prepare(connection)
    return connection
