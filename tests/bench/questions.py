"""How long the HTTP API's questions take over a long log, and how fast the past is folded anew."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import msgspec

from projections.catalog import ALL
from projections.jobs.project import Jobs
from projections.past import as_it_was, find
from projections.rebuild import rebuild
from reviewbot.api.parameters import EventsAsked, JobAsked, JobEventsAsked, JobsAsked
from reviewbot.api.questions import Questions
from schema.database import connect
from tests.bench.figures import percentile, say
from tests.bench.ground import Ground, Pool

INSTALLATIONS = 1_000
ROUNDS = 20  # of each question
FOLDED = 200_000  # events, at most, in one look into the past


async def measure(ground: Ground) -> None:
    """api_p95_ms (the worst question), past_one_job_ms, past_per_s."""
    async with ground.database() as url:
        owner = await connect(url)
        fill = Path(__file__).with_name("log_of_jobs.sql").read_text("utf-8")
        await owner.execute(fill, ground.sizes.rebuild_jobs, INSTALLATIONS, timeout=600)
        await owner.execute("vacuum analyze event")
        await owner.close()
        for projection in ALL:
            await rebuild(url, projection)
        async with ground.pool_on(url) as pool:
            await _questions(ground, pool)
            await _past(ground, pool)


async def _questions(ground: Ground, pool: Pool) -> None:
    ask = Questions(pool)
    row = await pool.fetchrow("select job, head_sha, repository, pull_request from jobs order by first_position desc")
    assert row is not None
    job, head, repository, number = row
    middle = int(await pool.fetchval("select position / 2 from log_head"))
    questions: dict[str, Callable[[], Awaitable[msgspec.Struct]]] = {
        "jobs": lambda: ask.jobs(JobsAsked(limit=1_000)),
        "jobs in the middle": lambda: ask.jobs(JobsAsked(cursor=str(middle), limit=100)),
        "jobs of a repository": lambda: ask.jobs(JobsAsked(repository=repository, limit=100)),
        "jobs of a pull request": lambda: ask.jobs(JobsAsked(repository=repository, pull_request=number)),
        "jobs of an installation": lambda: ask.jobs(JobsAsked(installation=7, limit=100)),
        "jobs at a head": lambda: ask.jobs(JobsAsked(head=head[:10])),
        "failed jobs, of which there are none": lambda: ask.jobs(JobsAsked(state="failed")),
        "a job": lambda: ask.job(job, JobAsked()),
        "its story": lambda: ask.job_events(job, JobEventsAsked()),
        "events": lambda: ask.events(EventsAsked(limit=1_000)),
    }
    worst = 0.0
    for name, question in questions.items():
        await question()  # connections and plans are made once
        spent = percentile([await _milliseconds(question) for _ in range(ROUNDS)], 95)
        say(f"{name}: {spent:.1f} ms")
        worst = max(worst, spent)
    ground.figures.add("api_p95_ms", "ms", [worst])
    ground.figures.add("past_one_job_ms", "ms", [await _then(ask, job, middle) for _ in range(ROUNDS)])


async def _then(ask: Questions, job: UUID, middle: int) -> float:
    position = (await ask.job(job, JobAsked())).job.first_position
    return await _milliseconds(lambda: ask.job(job, JobAsked(at=str(max(position, middle)))))


async def _milliseconds(question: Callable[[], Awaitable[msgspec.Struct]]) -> float:
    began = time.perf_counter()
    msgspec.json.encode(await question())
    return (time.perf_counter() - began) * 1_000


async def _past(ground: Ground, pool: Pool) -> None:
    rates = []
    async with pool.acquire() as connection:
        last = int(await connection.fetchval("select position from log_head"))
        moment = await find(connection, min(FOLDED, last))
        for _ in range(min(3, ground.sizes.rounds)):
            began = time.perf_counter()
            async with as_it_was(connection, Jobs(), moment):
                rates.append(moment.position / (time.perf_counter() - began))
    ground.figures.add("past_per_s", "events/s", rates)
