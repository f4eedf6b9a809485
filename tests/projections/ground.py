"""What the tests of projections share: a log that things happen to, its tables row by row, and a worker's claim."""

from __future__ import annotations

import contextlib
import random
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg

from projections.catalog import ALL
from projections.jobs import read
from projections.jobs.project import Jobs
from projections.projector import Lag, lag, step
from schema import events as e
from schema.log import Log, VersionConflict
from tests.helpers import HEAD, START, append, job_of, meta, requested

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
HOUR = timedelta(hours=1)


async def table(pool: Any, name: str) -> list[str]:
    return [row[0] for row in await pool.fetch(f"select t::text from {name} t order by 1")]


async def rows(pool: Any) -> dict[str, list[str]]:
    return {name: await table(pool, name) for name in Jobs.tables}


def worker(name: str = "w") -> read.Worker:
    return read.Worker(uuid4(), name)


async def claim(pool: Pool, who: read.Worker, slots: int = 10, per_installation: int = 1) -> list[Any]:
    return await read.claim(pool, who, slots=slots, limit=HOUR, per_installation=per_installation, provider="rules")


async def standing(pool: Pool) -> Lag:
    """How the job table stands."""
    (state,) = [each for each in await lag(pool) if each.projection == "jobs"]
    return state


async def ask(log: Log, number: int, *, installation: int = 1, seconds: int = 0, head: str = HEAD) -> UUID:
    request = requested(
        pull_request=number, installation=installation, repository_id=installation, head_sha=head,
        asked_at=START + timedelta(seconds=seconds),
    )  # fmt: skip
    await append(log, job_of(request), request, about=meta(installation=installation))
    return job_of(request)


async def end(log: Log, job: Any, fact: e.Fact) -> None:
    await append(log, job.job, fact, after=job.version, about=meta(installation=job.installation))


async def busy_log(pool: Pool, log: Log, seed: int) -> None:
    """Requests, pushes, closes, starts and endings in a random order, with folds of random pages in between."""
    chance = random.Random(seed)
    live: list[Any] = []
    who = worker()
    for number in range(120):
        match chance.randrange(6):
            case 0 | 1 | 2:
                installation = chance.randrange(4) + 1
                head = f"{chance.randrange(5):040x}"
                with contextlib.suppress(VersionConflict):  # asked for already
                    await ask(log, chance.randrange(8), installation=installation, seconds=number, head=head)
            case 3:
                live += await claim(pool, who, slots=3, per_installation=2)
            case 4 if live:
                job = live.pop(chance.randrange(len(live)))
                again = START if chance.random() < 0.5 else None
                await end(log, job, chance.choice([
                    e.ReviewCompleted(head_sha=HEAD, findings=1, conclusion="neutral"),
                    e.ReviewFailed(code="x", reason="y", retry_at=again),
                    e.ReviewReleased(reason="z", retry_at=START, refunded=True, pause="installation"),
                ]))  # fmt: skip
            case 5:
                fact = e.PullRequestClosed(
                    installation=1, repository_id=1, repository="octo/hello", pull_request=chance.randrange(8),
                    merged=False, at=START + timedelta(seconds=number),
                )  # fmt: skip
                await append(log, uuid4(), fact)
        async with pool.acquire() as connection:
            await step(connection, ALL[0], page=chance.choice([1, 3, 1000]))
