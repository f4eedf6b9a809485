"""The projector's loop: hints make it quick, and it needs none."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import asyncpg

from projections.catalog import ALL
from projections.jobs import read
from projections.projector import Projector
from schema.log import Log
from tests.helpers import append, job_of, requested, wait_until

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


async def test_a_projector_that_hears_nothing_folds_what_comes_all_the_same(pool: Pool, log: Log) -> None:
    projector = Projector(pool, ALL[0], poll_seconds=0.02)
    working = asyncio.create_task(projector.run())
    try:
        for number in (1, 2):  # the second comes while it waits
            request = requested(pull_request=number)
            await append(log, job_of(request), request)

            async def folded(pending: int = number) -> bool:
                return (await read.stats(pool)).pending == pending

            await wait_until(folded, what=f"request {number} in the table")
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
