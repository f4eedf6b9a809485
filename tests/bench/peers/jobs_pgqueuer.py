"""PgQueuer: jobs put into its queue, and the whole life of a job that has nothing to do.

Arguments: URL, and "enqueue" when nothing else is asked for. It runs on uvloop, as its own command line does.
"""

from __future__ import annotations

import asyncio
import sys
import time

import asyncpg
import uvloop
from answering import BATCH, CONNECTIONS, answer, shared
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

OPEN = "select count(*) from pgqueuer"
TASK = "review"


class Runner:
    """Its queue over one pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool, self._queue = pool, Queries(AsyncpgPoolDriver(pool))
        self.ran = asyncio.Event()

    async def enqueue(self, count: int) -> float:
        began = time.perf_counter()
        await shared(count, lambda number: self._queue.enqueue(TASK, b"%d" % number))
        return count / (time.perf_counter() - began)

    async def enqueue_batch(self, count: int) -> float:
        began = time.perf_counter()
        await self._put(count)
        return count / (time.perf_counter() - began)

    async def cycle_single(self, count: int) -> float:
        """The next job is put in as soon as the one before has run; all must be recorded and gone."""
        began = time.perf_counter()
        for number in range(count):
            self.ran.clear()
            await self._queue.enqueue(TASK, b"%d" % number)
            await self.ran.wait()
        await self._all_done()
        return count / (time.perf_counter() - began)

    async def cycle_batch(self, count: int) -> float:
        """Batches are put in while the worker works them off."""
        began = time.perf_counter()
        await self._put(count)
        await self._all_done()
        return count / (time.perf_counter() - began)

    async def _put(self, count: int) -> None:
        for first in range(0, count, BATCH):
            await self._queue.enqueue([TASK] * BATCH, [b"%d" % n for n in range(first, first + BATCH)], [0] * BATCH)

    async def _all_done(self) -> None:
        while await self._pool.fetchval(OPEN):  # noqa: ASYNC110 - only the database knows it
            await asyncio.sleep(0.01)


async def main(url: str, asked: str) -> None:
    """A worker runs only where one is needed: it would empty the queue that is being filled."""
    async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        driver = AsyncpgPoolDriver(pool)
        await Queries(driver).install()
        runner = Runner(pool)
        names = ("enqueue", "enqueue_batch", "cycle_single", "cycle_batch")
        measures = {name: getattr(runner, name) for name in names}
        if asked == "enqueue":
            await answer(measures)
            return
        service = PgQueuer(driver)

        @service.entrypoint(TASK)
        async def review(job: Job) -> None:
            runner.ran.set()

        worker = asyncio.create_task(service.run(batch_size=BATCH))
        await answer(measures)
        service.shutdown.set()
        await worker


uvloop.run(main(*sys.argv[1:]))
