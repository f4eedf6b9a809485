"""kill -9 of a rebuild before every statement that it executes: the live tables are whole, and the next run goes on."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import signal
from functools import cache
from multiprocessing.context import ForkServerContext

import asyncpg
import pytest

from projections.jobs.project import Jobs
from projections.rebuild import rebuild, status
from schema.log import Log
from tests.helpers import project
from tests.projections import killed
from tests.projections.ground import Pool, busy_log, rows

PATIENCE_SECONDS = 30


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.projections.killed"])
    return context


async def kill_at(database: str, number: int, *, twin: bool) -> bool:
    """A rebuild that dies before this statement; False when it came to its end first."""
    process = _server().Process(target=killed.run, args=(database, number, twin), daemon=True)
    process.start()
    await asyncio.to_thread(process.join, PATIENCE_SECONDS)
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the rebuild itself failed: {process.exitcode}")
    return process.exitcode != 0


async def sweep(database: str, pool: Pool, log: Log, *, twin: bool = False) -> list[int]:
    """Kill at one statement after the other, see what must hold, rebuild; gives the positions at which it went on."""
    await busy_log(pool, log, 1)
    await project(pool)
    live = await rows(pool)
    begun = []
    for number in itertools.count(1):
        if not await kill_at(database, number, twin=twin):
            return begun
        assert await rows(pool) == live, number
        found = (await status(database, Jobs())).build
        begun.append(found.position if found else 0)
        rebuilt = await rebuild(database, Jobs())
        assert rebuilt.events == rebuilt.position - begun[-1], number
        assert await rows(pool) == live, number
    raise AssertionError("it never comes to its end")


@pytest.mark.timeout(180)
async def test_a_rebuild_killed_before_any_of_its_statements_harms_nothing_and_goes_on(
    database: str, pool: Pool, log: Log
) -> None:
    begun = await sweep(database, pool, log)
    assert len(begun) > 40
    assert {0, killed.PAGE, 2 * killed.PAGE} <= set(begun)


async def test_a_build_that_may_keep_a_page_without_its_checkpoint_is_caught(
    database: str, pool: Pool, log: Log
) -> None:
    with pytest.raises((AssertionError, asyncpg.UniqueViolationError)):
        await sweep(database, pool, log, twin=True)
