"""The whole life of a job in the log and in the table: requested, started, completed, one by one and in batches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

from projections.catalog import ALL
from projections.jobs import read
from projections.jobs.rows import Job
from projections.projector import Projector
from schema.events import ReviewCompleted
from schema.log import Log
from tests.bench.figures import percentile
from tests.bench.ground import Ground, Pool
from tests.helpers import HEAD, append, job_of, meta, requested, wait_until

BATCH = 50
LIMIT = timedelta(minutes=15)
COMMITS = 100
CALLERS = 64
INSTALLATIONS = 1_000
PATIENCE = 60.0  # seconds until the table shows what the log holds
COMPLETED = ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success")


async def measure(ground: Ground) -> None:
    """cycle_single_per_s, cycle_batch_per_s, and the durable commit that each cycle waits for three times."""
    singles, batches, commits = [], [], []
    async with ground.pool() as pool, cycles(pool) as going:
        for _ in range(ground.sizes.rounds):
            commits.append(await _commit_ms(pool))
            singles.append(await going.rate(ground.sizes.single_cycles, 1))
            batches.append(await going.rate(ground.sizes.batch_cycles, BATCH))
        assert await read.drift(pool) == 0
    ground.figures.add("commit_p50_ms", "ms", commits)
    ground.figures.add("cycle_single_per_s", "jobs/s", singles)
    ground.figures.add("cycle_batch_per_s", "jobs/s", batches)


@contextlib.asynccontextmanager
async def cycles(pool: Pool) -> AsyncIterator[Cycles]:
    """A log with its projector at work, as in the service: woken by each append, and waking who claims."""
    log, cycles = Log(pool), Cycles(pool)
    projector = Projector(pool, ALL[0], on_page=cycles.wake)
    log.on_append(projector.wake)
    cycles.log = log
    running = asyncio.create_task(projector.run())
    try:
        yield cycles
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await log.close()


class Cycles:
    """Batches that go round one after the other, each with one job of each of as many installations."""

    log: Log

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._worker = read.Worker(uuid4(), "bench")
        self._turn = 0
        self._folded = asyncio.Event()

    def wake(self) -> None:
        """The projector has folded a page."""
        self._folded.set()

    async def rate(self, jobs: int, batch: int) -> float:
        """Whole cycles per second, `batch` jobs at a time, until the table shows every one as completed."""
        began = time.perf_counter()
        for _ in range(jobs // batch):
            await self._cycle(batch)
        await wait_until(self._idle, what="every job completed in the table")
        return jobs // batch * batch / (time.perf_counter() - began)

    async def put_rate(self, jobs: int) -> float:
        """Requests per second of callers that each wait for theirs, until all are in the table and can be claimed."""
        expected = (await read.stats(self._pool)).pending + jobs
        began = time.perf_counter()
        await self._put(jobs)

        async def claimable() -> bool:
            return (await read.stats(self._pool)).pending == expected

        await wait_until(claimable, seconds=PATIENCE, what="every request in the table")
        return jobs / (time.perf_counter() - began)

    async def flow_rate(self, jobs: int) -> float:
        """Whole cycles per second while requests, claims of 50 and endings go on beside each other."""
        began = time.perf_counter()
        async with asyncio.TaskGroup() as going:
            going.create_task(self._put(jobs))
            claimed = 0
            while claimed < jobs:
                found = await self._claim(BATCH)
                for job in found:
                    going.create_task(self._complete(job))
                claimed += len(found)
                if not found:
                    await self._next_fold()
        await wait_until(self._idle, seconds=PATIENCE, what="every job completed in the table")
        return jobs / (time.perf_counter() - began)

    async def _put(self, jobs: int) -> None:
        last = self._turn + jobs

        async def caller() -> None:
            while self._turn < last:
                self._turn += 1
                await self._request(self._turn % INSTALLATIONS)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))

    async def _cycle(self, batch: int) -> None:
        """The last fold of a batch goes on while the next one is requested, hence the two sets of installations."""
        self._turn += 1
        first = self._turn % 2 * batch
        await asyncio.gather(*(self._request(installation) for installation in range(first, first + batch)))
        jobs: list[Job] = []
        while len(jobs) < batch:
            await self._next_fold()
            jobs += await self._claim(batch)
        await asyncio.gather(*map(self._complete, jobs))

    async def _next_fold(self) -> None:
        await self._folded.wait()
        self._folded.clear()

    async def _claim(self, slots: int) -> list[Job]:
        return await read.claim(
            self._pool, self._worker, slots=slots, limit=LIMIT, per_installation=1, provider="rules"
        )

    async def _request(self, installation: int) -> None:
        request = requested(installation=installation, repository_id=installation, pull_request=self._turn)
        await append(self.log, job_of(request), request, about=meta(installation=installation))

    async def _complete(self, job: Job) -> None:
        await append(self.log, job.job, COMPLETED, after=job.version, about=meta(installation=job.installation))

    async def _idle(self) -> bool:
        stats = await read.stats(self._pool)
        return stats.pending == stats.processing == 0


async def _commit_ms(pool: Pool) -> float:
    """One row, one durable commit."""
    taken = []
    async with pool.acquire() as connection:
        for _ in range(COMMITS):
            began = time.perf_counter()
            await connection.execute("update log_head set position = position")
            taken.append(time.perf_counter() - began)
    return percentile(taken, 50) * 1000
