"""How long each question of `reviewbot audit` takes on a large log, and what the trail that answers it costs."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from projections.base import Projection
from projections.jobs.project import Jobs
from projections.jobs.rows import Job
from projections.rebuild import rebuild
from projections.trail.project import Trail
from projections.usage.project import Usage
from reviewbot.audit.failures import failures
from reviewbot.audit.filters import Filter
from reviewbot.audit.select import select
from reviewbot.audit.stats import stats
from reviewbot.audit.why import Limits, known, why
from schema.database import connect
from tests.bench.figures import percentile
from tests.bench.ground import Ground, Pool

REPOSITORIES = 2_000
LARGE = "octo/r1"  # a fifth of the log
LIMITS = Limits(per_installation=1, lease_seconds=30)

Question = Callable[[], Awaitable[object]]


async def measure(ground: Ground) -> None:
    """audit_NAME_p95_ms of each question, audit_p95_ms of the slowest; how fast the trail and the calls are made."""
    async with ground.database() as url:
        await fill(url, ground.sizes.audit_jobs)
        events, rate = await rebuilt(url, Trail())
        _, usage_rate = await rebuilt(url, Usage())
        await rebuild(url, Jobs())
        owner = await connect(url)
        sizes = "select sum(pg_total_relation_size(t::regclass)) from unnest($1::text[]) t"
        size = await owner.fetchval(sizes, list(Trail.tables))
        await owner.close()
        async with ground.pool_on(url) as pool:
            asked = await ask_all(pool, ground.sizes.rounds * 8)
    for name, p95 in asked.items():
        ground.figures.add(f"audit_{name}_p95_ms", "ms", [p95])
    ground.figures.add("audit_p95_ms", "ms", [max(asked.values())])
    ground.figures.add("trail_bytes_per_event", "bytes", [float(size) / events])
    ground.figures.add("trail_per_s", "events/s", [rate])
    ground.figures.add("usage_per_s", "events/s", [usage_rate])


async def rebuilt(url: str, projection: Projection) -> tuple[int, float]:
    """How many events a projection was made anew from, and how many a second."""
    began = time.perf_counter()
    events = (await rebuild(url, projection)).events
    return events, events / (time.perf_counter() - began)


async def fill(url: str, jobs: int) -> None:
    """The log of so many whole reviews, eleven or twelve events each."""
    owner = await connect(url)
    log = Path(__file__).with_name("log_of_reviews.sql").read_text("utf-8")
    await owner.execute(log, jobs, REPOSITORIES, timeout=900)
    await owner.execute("vacuum analyze event", timeout=600)
    await owner.close()


async def ask_all(pool: Pool, rounds: int) -> dict[str, float]:
    """Each question many times about different things; gives each one's p95 in milliseconds."""
    slow = {}
    for name, question in questions(pool, await examples(pool)).items():
        taken = []
        await question()
        for _ in range(rounds):
            began = time.perf_counter()
            await question()
            taken.append((time.perf_counter() - began) * 1000)
        slow[name] = percentile(taken, 95)
    return slow


async def examples(pool: Pool) -> Callable[[], Job]:
    """Jobs that occur in the log, another one at each call."""
    jobs = [Job(*row) for row in await pool.fetch("select * from jobs order by job limit 500")]
    chance = random.Random(1)
    return lambda: chance.choice(jobs)


def questions(pool: Pool, example: Callable[[], Job]) -> dict[str, Question]:
    """Pages of a hundred events by each filter, upwards and downwards, and the other questions."""
    now = datetime.now(UTC)
    week, long_ago = now - timedelta(days=7), now - timedelta(days=80)

    def page(make: Callable[[], Filter], newest_first: bool = True) -> Question:
        return lambda: select(pool, make(), limit=100, newest_first=newest_first)

    async def tell_why() -> object:
        job = example()
        return why(await known(pool, job.repository, job.pull_request, LIMITS), LIMITS, job.head_sha)

    def of_pull(repository: str | None = None) -> Filter:
        job = example()
        return Filter(repository=repository or job.repository, pull_request=job.pull_request)

    return {
        "all": page(Filter),
        "repository": page(lambda: Filter(repository=example().repository)),
        "large_repository": page(lambda: Filter(repository=LARGE), newest_first=False),
        "pull_request": page(of_pull),
        "large_pull_request": page(lambda: of_pull(LARGE)),
        "head": page(lambda: Filter(head=str(example().head_sha)[:10])),
        "job": page(lambda: Filter(job=example().job)),
        "delivery": page(lambda: Filter(delivery=example().correlation)),
        "installation": page(lambda: Filter(installation=example().installation)),
        "topic": page(lambda: Filter(topics=("ReviewFailed",))),
        "absent_topic": page(lambda: Filter(topics=("IntakeGap",))),
        "actor": page(lambda: Filter(actor="user:1234"), newest_first=False),
        "time": page(lambda: Filter(since=long_ago, until=long_ago + timedelta(days=1))),
        "repository_and_topic": page(lambda: Filter(repository=example().repository, topics=("ReviewFailed",))),
        "everything": page(
            lambda: Filter(repository=LARGE, topics=("ReviewFailed",), actor="worker:0", installation=1, since=week)
        ),
        "why": tell_why,
        "failures": lambda: failures(pool, Filter(since=week)),
        "stats": lambda: stats(pool, Filter(since=week)),
    }
