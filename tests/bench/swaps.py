"""How long a rebuild holds up a service at work when its tables go live, and whether anybody meets an error."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

from projections.catalog import ALL
from projections.compare import compare
from projections.jobs import read
from projections.jobs.project import Jobs
from projections.projector import Projector
from schema.events import ReviewCompleted
from schema.log import Log
from tests.bench.figures import say
from tests.bench.ground import Ground, Pool
from tests.bench.rebuilds import rebuild_aside
from tests.helpers import HEAD, append, job_of, meta, requested

APPENDERS = 64
EVENTS_PER_S = 10_000  # what is asked for; the figure says what came of it
INSTALLATIONS = 50
WORKERS = 2
COMPLETED = ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success")


async def measure(ground: Ground) -> None:
    """swap_pause_ms, the appends while it happened, the longest append, and the errors of workers and readers."""
    async with ground.database() as url, ground.pool_on(url, 12) as pool:
        service = Service(pool)
        async with service.at_work():
            await asyncio.sleep(ground.sizes.seconds)
            began, before = time.perf_counter(), service.appended
            pauses = [(await rebuild_aside(url)).pause for _ in range(ground.sizes.rounds)]
            rate = (service.appended - before) / (time.perf_counter() - began)
        differences = (await compare(url, Jobs())).differences
        for difference in differences:
            say(str(difference))
    ground.figures.add("swap_pause_ms", "ms", pauses)
    ground.figures.add("swap_appends_per_s", "events/s", [rate])
    ground.figures.add("swap_slowest_append_ms", "ms", [service.slowest * 1000])
    ground.figures.add("swap_claims", "jobs", [service.claimed])
    ground.figures.add("swap_errors", "errors", [len(service.errors) + len(differences)])


class Service:
    """Deliveries at a steady rate, a projector, and workers that claim, complete and look."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self._log = pool, Log(pool)
        self._numbers = itertools.count(1)
        self.appended = self.claimed = 0
        self.slowest = 0.0
        self.errors: list[Exception] = []

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        projector = Projector(self._pool, ALL[0])
        self._log.on_append(projector.wake)
        loops = [*[self._deliver] * APPENDERS, *[self._work] * WORKERS]
        tasks = [asyncio.create_task(projector.run()), *(asyncio.create_task(self._on(loop)) for loop in loops)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._log.close()

    async def _on(self, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await act()
            except Exception as error:  # noqa: BLE001 - it is counted
                self.errors.append(error)
                say(repr(error))

    async def _deliver(self) -> None:
        """One append, as often as it takes for all appenders together to reach the rate."""
        began = time.perf_counter()
        number = next(self._numbers)
        of = number % INSTALLATIONS
        request = requested(installation=of, repository_id=of, pull_request=number)
        await append(self._log, job_of(request), request, about=meta(installation=of))
        taken = time.perf_counter() - began
        self.appended += 1
        self.slowest = max(self.slowest, taken)
        await asyncio.sleep(APPENDERS / EVENTS_PER_S - taken)

    async def _work(self) -> None:
        worker = read.Worker(uuid4(), "bench")
        limit = timedelta(minutes=15)
        for job in await read.claim(self._pool, worker, slots=5, limit=limit, per_installation=3, provider="rules"):
            await append(self._log, job.job, COMPLETED, after=job.version, about=meta(installation=job.installation))
            self.claimed += 1
        await read.stats(self._pool)
        await asyncio.sleep(0.005)
