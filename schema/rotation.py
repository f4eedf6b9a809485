"""Rewraps every data key with the encryption key in force: page by page, and simply again after an interruption."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeAlias
from uuid import UUID

import asyncpg

from schema.keys import Keyring, WrappedKey
from schema.log import as_persistence_errors
from schema.sql import load

HERE = "schema.queries"
PAGE = 500  # keys of one commit

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Tell = Callable[[int, int], None]  # keys done, keys in all


async def rotate(pool: Pool, keyring: Keyring, tell: Tell = lambda done, total: None) -> int:
    """Rewrap what another key wraps; returns how many data keys that were.

    All are tried first: when one does not open, WrongKey or Changed is raised and nothing is changed. Whatever ends it
    early, each data key is wrapped by one of both keys. Raises OperationalError when the database does not answer.
    """
    with as_persistence_errors():
        total = 2 * sum([row["keys"] for row in await pool.fetch(load(HERE, "count_keys"))])
        done = rewrapped = 0
        async for page in _pages(pool):
            for key in page:
                keyring.unwrap(key)
            done += len(page)
            tell(done, total)
        async for page in _pages(pool):
            rewrapped += await _rewrap(pool, keyring, page)
            done += len(page)
            tell(done, total)
    return rewrapped


async def _rewrap(pool: Pool, keyring: Keyring, page: list[WrappedKey]) -> int:
    fresh = [keyring.rewrap(key) for key in page if key.fingerprint != keyring.current.fingerprint]
    if fresh:
        await pool.execute(
            load(HERE, "rewrap_keys"),
            [key.id for key in fresh],
            [key.wrapped for key in fresh],
            keyring.current.fingerprint,
        )
    return len(fresh)


async def _pages(pool: Pool) -> AsyncIterator[list[WrappedKey]]:
    after = UUID(int=0)
    while page := [WrappedKey(*row) for row in await pool.fetch(load(HERE, "page_of_keys"), after, PAGE)]:
        yield page
        after = page[-1].id
