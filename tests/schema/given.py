"""What the tests of the log have in common: events to append, and a look at what is stored."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
from eventsourcing.persistence import StoredEvent

from schema.keys import KEY_BYTES, DataKey
from schema.log import Meta

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
DATA = b'{"some": "facts"}'
DATA_KEY = DataKey(UUID(int=1), 1, bytes(KEY_BYTES))  # of installation 1


def event(stream: UUID | None = None, version: int = 1, data: bytes = DATA) -> StoredEvent:
    """An event of a stream, by default the first one of a new stream."""
    return StoredEvent(stream or uuid4(), version, "Tested", data)


def events(stream: UUID, *versions: int) -> list[StoredEvent]:
    return [event(stream, version) for version in versions]


def meta(actor: str = "test", **columns: Any) -> Meta:
    return Meta(actor=actor, correlation=uuid4(), **columns)


async def stored(pool: Pool) -> list[tuple[int, UUID, int]]:
    """(position, stream, version) of everything in the log."""
    return [tuple(row) for row in await pool.fetch("select position, stream, version from event order by position")]


async def versions(pool: Pool, stream: UUID) -> list[int]:
    return [row[0] for row in await pool.fetch("select version from event where stream = $1 order by position", stream)]


async def assert_sound(pool: Pool) -> list[tuple[int, UUID, int]]:
    """Positions are dense from 1 to the head, and no stream goes backwards; returns what is stored."""
    rows = await stored(pool)
    assert [position for position, _, _ in rows] == list(range(1, len(rows) + 1)), "positions have holes"
    assert await pool.fetchval("select position from log_head") == len(rows), "the head is not the last position"
    newest: defaultdict[UUID, int] = defaultdict(int)
    for _, stream, version in rows:
        assert version > newest[stream], "a stream's events are not in the order of their versions"
        newest[stream] = version
    return rows


async def kept(pool: Pool) -> set[bytes]:
    """The bodies of all deliveries and artifacts, as they are stored."""
    return {row[0] for row in await pool.fetch("select body from inbox union all select body from artifact")}
