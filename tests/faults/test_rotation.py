"""The rotation of the encryption key, killed at every step: no key is ever lost, and the next run finishes the work."""

from __future__ import annotations

import signal
from itertools import count

import asyncpg

from schema.database import open_pool
from schema.keys import KEY_BYTES, Keyring, Place, WrappedKey
from schema.rotation import rotate
from tests.faults import rotating
from tests.faults.forks import run_forked

OLD, NEW = bytes([1] * KEY_BYTES), bytes([2] * KEY_BYTES)
BOTH = Keyring(NEW, OLD)
PLACE = Place("artifact", b"row", "prompt")
KEYS = 2 * rotating.PAGE - 1


async def _restore(owner: asyncpg.Pool[asyncpg.Record], keys: list[WrappedKey]) -> None:
    await owner.execute("delete from data_key")
    await owner.executemany(
        "insert into data_key (id, installation, wrapped, fingerprint) values ($1, $2, $3, $4)",
        [(key.id, key.installation, key.wrapped, key.fingerprint) for key in keys],
    )


async def _standing(pool: asyncpg.Pool[asyncpg.Record]) -> dict[int, WrappedKey]:
    rows = await pool.fetch("select id, installation, wrapped, fingerprint from data_key")
    return {row["installation"]: WrappedKey(*row) for row in rows}


async def sweep(url: str, *, careless: bool = False) -> tuple[int, list[str]]:
    """Kill a rotation at every step, each time from the beginning; returns the steps and what was wrong after any."""
    pool = await open_pool(url, size=1)
    keys = [Keyring(OLD).make(installation) for installation in range(KEYS)]
    texts = {key.installation: BOTH.unwrap(key).seal(PLACE, b"text") for key in keys}
    faults = []
    for step in count(1):
        await _restore(pool, keys)
        code = await run_forked(rotating.run, url, NEW, OLD, step, careless)
        standing = await _standing(pool)
        if lost := texts.keys() - standing.keys():
            faults.append(f"step {step}: installations {sorted(lost)} lost their keys")
        for installation, key in standing.items():
            assert BOTH.unwrap(key).open(PLACE, texts[installation]) == b"text"
        await rotate(pool, BOTH)
        opened = {number: Keyring(NEW).unwrap(key) for number, key in (await _standing(pool)).items()}
        assert all(key.open(PLACE, texts[number]) == b"text" for number, key in opened.items())
        if code != -signal.SIGKILL:
            assert code == 0
            pool.terminate()
            return step, faults
    raise AssertionError


async def test_a_rotation_that_is_killed_at_any_step_loses_no_key_and_is_finished_by_the_next(database: str) -> None:
    steps, faults = await sweep(database)
    assert steps > 4 * KEYS / rotating.PAGE
    assert faults == []


async def test_a_twin_that_deletes_before_it_inserts_is_caught(database: str) -> None:
    _, faults = await sweep(database, careless=True)
    assert faults
