"""Hints over the database: those of others wake, our own do not, and a lost connection is made again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from reviewbot.wakeups import listen
from schema.database import connect, open_pool
from schema.events import DeliveryParked
from schema.log import CHANNEL, Log
from tests.helpers import append, wait_until

OURS, THEIRS = "ours", "theirs"
END_LISTENERS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'reviewbot listen'
"""
FACT = DeliveryParked(event="ping", reason="a test")


class Ear:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard = 0

    def __call__(self) -> None:
        self.heard += 1


@contextlib.asynccontextmanager
async def log_of(database: str, process: str) -> AsyncIterator[Log]:
    """The log as a process of this name appends to it."""
    pool = await open_pool(database, size=1, process=process)
    log = Log(pool)
    yield log
    await log.close()
    pool.terminate()


@pytest.fixture
async def ear(database: str) -> AsyncIterator[Ear]:
    """Listens to the log as the process OURS does."""
    ear = Ear()
    listening = asyncio.create_task(listen(database, {CHANNEL: ear}, process=OURS, retry_seconds=0.05))
    await wait_until(lambda: ear.heard == 1, what="the first wake-up, for what happened before")
    yield ear
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_what_others_append_wakes_and_what_we_append_does_not(database: str, ear: Ear) -> None:
    async with log_of(database, OURS) as ours, log_of(database, THEIRS) as theirs:
        await append(ours, uuid4(), FACT)
        await append(theirs, uuid4(), FACT)  # notifications arrive in the order of the commits
        await wait_until(lambda: ear.heard == 2, what="their append heard")
        await append(theirs, uuid4(), FACT)
        await wait_until(lambda: ear.heard == 3, what="their second append heard")


async def test_a_lost_connection_is_made_again_and_whatever_was_missed_is_looked_for(database: str, ear: Ear) -> None:
    owner: asyncpg.Connection[asyncpg.Record] = await connect(database)
    await owner.fetch(END_LISTENERS)
    await owner.close()
    await wait_until(lambda: ear.heard == 2, what="a wake-up after the connection was made again")
    async with log_of(database, THEIRS) as theirs:
        await append(theirs, uuid4(), FACT)
        await wait_until(lambda: ear.heard == 3, what="their append heard over the new connection")
