"""A rotation in a forked process that is killed at a chosen step, as it is or as a twin that can lose keys."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import asyncpg

from schema import rotation
from schema.database import open_pool
from schema.keys import Keyring, WrappedKey

PAGE = 3


def run(url: str, new: bytes, old: bytes, kill_at: int, careless: bool) -> None:
    """Rotate; kill -9 at the step of this number, counted from 1 before and after each statement."""
    rotation.PAGE = PAGE
    if careless:
        rotation._rewrap = delete_and_insert
    _count_steps(kill_at)
    asyncio.run(_rotate(url, Keyring(new, old)))


async def _rotate(url: str, keyring: Keyring) -> None:
    pool = await open_pool(url, size=1)
    await rotation.rotate(pool, keyring)
    await pool.close()


def _count_steps(kill_at: int) -> None:
    left = kill_at

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            step()
            result = await method(*args, **kwargs)
            step()
            return result

        return call

    asyncpg.Pool.fetch = counted(asyncpg.Pool.fetch)  # type: ignore[method-assign]  # the point of this module
    asyncpg.Pool.execute = counted(asyncpg.Pool.execute)  # type: ignore[method-assign]  # the point of this module


async def delete_and_insert(pool: Any, keyring: Keyring, page: list[WrappedKey]) -> int:
    """The twin takes the old wrappings away before it puts in the new ones."""
    fresh = [keyring.rewrap(key) for key in page if key.fingerprint != keyring.current.fingerprint]
    for key in fresh:
        await pool.execute("delete from data_key where id = $1", key.id)
        await pool.execute(
            "insert into data_key (id, installation, wrapped, fingerprint) values ($1, $2, $3, $4)",
            key.id, key.installation, key.wrapped, key.fingerprint,
        )  # fmt: skip
    return len(fresh)
