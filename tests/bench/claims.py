"""Claims of ten jobs out of very many, where one installation holds a third of them at its limit."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from projections.jobs import read
from schema.database import connect
from tests.bench.figures import percentile
from tests.bench.ground import Ground, Pool

SLOTS = 10
TIMED = 200
WORKERS = 4
HOUR = timedelta(hours=1)


async def measure(ground: Ground) -> None:
    """claim_p50_ms, claim_p99_ms, and claim_violations over many claims by several workers at once."""
    sizes = ground.sizes
    async with ground.database() as url:
        await fill_jobs(url, sizes.claim_jobs, sizes.claim_installations)
        async with ground.pool_on(url) as pool:
            timed = min(TIMED, sizes.claim_installations // SLOTS // 2)
            taken = await time_claims(pool, timed)
            violations = await _watch(pool, sizes.claims)
            assert await read.drift(pool) == 0
    ground.figures.add("claim_p50_ms", "ms", [percentile(taken, 50)])
    ground.figures.add("claim_p99_ms", "ms", [percentile(taken, 99)])
    ground.figures.add("claim_violations", "claims", [violations])


async def fill_jobs(url: str, jobs: int, installations: int) -> None:
    """The job table alone, without a log."""
    owner = await connect(url)
    table = Path(__file__).with_name("many_jobs.sql").read_text("utf-8")
    await owner.execute(table, jobs, installations, timeout=900)
    for name in ("jobs", "installations"):
        await owner.execute(f"vacuum analyze {name}", timeout=600)
    await owner.close()


async def _claim(pool: Pool, worker: read.Worker) -> list[tuple[UUID, int]]:
    jobs = await read.claim(pool, worker, slots=SLOTS, limit=HOUR, per_installation=1, provider="rules")
    return [(job.job, job.installation) for job in jobs]


async def time_claims(pool: Pool, rounds: int) -> list[float]:
    """Milliseconds of each claim; what was claimed is ended in between, so that the limits stay free."""
    worker, taken = read.Worker(uuid4(), "bench"), []
    await _end(pool, await _claim(pool, worker))  # prepares the statement
    for _ in range(rounds):
        began = time.perf_counter()
        claimed = await _claim(pool, worker)
        taken.append((time.perf_counter() - began) * 1000)
        assert len(claimed) == SLOTS
        await _end(pool, claimed)
    return taken


async def _end(pool: Pool, claimed: list[tuple[UUID, int]]) -> None:
    """As the projector writes endings."""
    jobs = [job for job, _ in claimed]
    await pool.execute("update jobs set state = 'completed', worker = null where job = any ($1::uuid[])", jobs)


async def _watch(pool: Pool, claims: int) -> int:
    """Several workers claim until so many jobs were handed out; counts how often a limit of one was passed.

    Each ends what it holds only after its next claim, so that something is always running that must not be joined.
    """
    running: Counter[int] = Counter()
    done = violations = 0

    async def work(worker: read.Worker) -> None:
        nonlocal done, violations
        held: list[tuple[UUID, int]] = []
        while done < claims:
            claimed = await _claim(pool, worker)
            if not claimed:
                return
            done += len(claimed)
            for _, installation in claimed:
                running[installation] += 1
                violations += running[installation] > 1
            running.subtract(installation for _, installation in held)  # from here on others may see them ended
            await _end(pool, held)
            held = claimed

    await asyncio.gather(*(work(read.Worker(uuid4(), f"bench-{number}")) for number in range(WORKERS)))
    return violations
