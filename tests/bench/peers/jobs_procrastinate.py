"""Procrastinate: jobs put into its queue, and the whole life of a job that has nothing to do.

Arguments: URL, and "enqueue" when nothing else is asked for.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from answering import BATCH, CONNECTIONS, answer, shared
from procrastinate import App, PsycopgConnector

OPEN = "select count(*) as open from procrastinate_jobs where status in ('todo', 'doing')"

POLL = 0.02  # seconds. It is 5 by itself, which it waits whenever a notification comes while it asks in vain

logging.disable(logging.WARNING)  # it minds that its app is made in the script that runs
app = App(connector=PsycopgConnector(conninfo=sys.argv[1], min_size=CONNECTIONS, max_size=CONNECTIONS))
ran = asyncio.Event()


@app.task(name="review")
async def review(number: int) -> None:
    ran.set()


async def enqueue(count: int) -> float:
    began = time.perf_counter()
    await shared(count, lambda number: review.defer_async(number=number))
    return count / (time.perf_counter() - began)


async def enqueue_batch(count: int) -> float:
    began = time.perf_counter()
    for first in range(0, count, BATCH):
        await _defer(first)
    return count / (time.perf_counter() - began)


async def cycle_single(count: int) -> float:
    """The next job is put in as soon as the one before has run; all must be recorded as succeeded."""
    began = time.perf_counter()
    for number in range(count):
        ran.clear()
        await review.defer_async(number=number)
        await ran.wait()
    await _all_done()
    return count / (time.perf_counter() - began)


async def cycle_batch(count: int) -> float:
    """Batches are put in while the worker works them off."""
    began = time.perf_counter()
    for first in range(0, count, BATCH):
        await _defer(first)
    await _all_done()
    return count / (time.perf_counter() - began)


async def _defer(first: int) -> None:
    await review.batch_defer_async(*({"number": number} for number in range(first, first + BATCH)))


async def _all_done() -> None:
    while (await app.connector.execute_query_one_async(OPEN))["open"]:  # noqa: ASYNC110 - only the database knows it
        await asyncio.sleep(0.01)


async def _worker() -> None:
    await app.run_worker_async(concurrency=BATCH, fetch_job_polling_interval=POLL, install_signal_handlers=False)


async def main() -> None:
    """A worker runs only where one is needed: it would empty the queue that is being filled."""
    measures = {f.__name__: f for f in (enqueue, enqueue_batch, cycle_single, cycle_batch)}
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        if sys.argv[2] == "enqueue":
            await answer(measures)
            return
        worker = asyncio.create_task(_worker())
        await answer(measures)
        worker.cancel()
        await asyncio.wait({worker})


asyncio.run(main())
