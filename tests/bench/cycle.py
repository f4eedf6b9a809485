"""The whole life of a job in the log and in the table: requested, started, completed, one by one and in batches."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from uuid import uuid4

from projections.jobs import read
from projections.jobs.fold import Job
from schema.events import ReviewCompleted
from schema.log import Log
from tests.bench.figures import percentile
from tests.bench.ground import Ground, Pool
from tests.helpers import HEAD, append, job_of, meta, project, requested

BATCH = 50
COMMITS = 100
COMPLETED = ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success")


async def measure(ground: Ground) -> None:
    """cycle_single_per_s, cycle_batch_per_s, and the durable commit that three of each cycle wait for."""
    singles, batches, commits = [], [], []
    async with ground.pool() as pool:
        log = Log(pool)
        cycles = Cycles(pool, log)
        for _ in range(ground.sizes.rounds):
            commits.append(await _commit_ms(pool))
            singles.append(await cycles.rate(ground.sizes.single_cycles, 1))
            batches.append(await cycles.rate(ground.sizes.batch_cycles, BATCH))
        assert await read.drift(pool) == 0
        assert (await read.stats(pool)).processing == 0
        await log.close()
    ground.figures.add("commit_p50_ms", "ms", commits)
    ground.figures.add("cycle_single_per_s", "jobs/s", singles)
    ground.figures.add("cycle_batch_per_s", "jobs/s", batches)


class Cycles:
    """Jobs that go round; each batch has one job of each of as many installations."""

    def __init__(self, pool: Pool, log: Log) -> None:
        self._pool, self._log = pool, log
        self._worker = read.Worker(uuid4(), "bench")
        self._number = 0

    async def rate(self, jobs: int, batch: int) -> float:
        """Whole cycles per second, `batch` jobs at a time."""
        began = time.perf_counter()
        for _ in range(jobs // batch):
            await self._turn(batch)
        return jobs // batch * batch / (time.perf_counter() - began)

    async def _turn(self, batch: int) -> None:
        self._number += 1
        await asyncio.gather(*(self._request(installation) for installation in range(1, batch + 1)))
        await project(self._pool)
        jobs = await read.claim(
            self._pool,
            self._worker,
            slots=batch,
            limit=timedelta(minutes=15),
            per_installation=1,
            provider="rules",
        )
        assert len(jobs) == batch
        await asyncio.gather(*map(self._complete, jobs))
        await project(self._pool)

    async def _request(self, installation: int) -> None:
        request = requested(installation=installation, repository_id=installation, pull_request=self._number)
        await append(self._log, job_of(request), request, about=meta(installation=installation))

    async def _complete(self, job: Job) -> None:
        await append(self._log, job.job, COMPLETED, after=job.version, about=meta(installation=job.installation))


async def _commit_ms(pool: Pool) -> float:
    """One row, one durable commit."""
    taken = []
    async with pool.acquire() as connection:
        for _ in range(COMMITS):
            began = time.perf_counter()
            await connection.execute("update log_head set position = position")
            taken.append(time.perf_counter() - began)
    return percentile(taken, 50) * 1000
