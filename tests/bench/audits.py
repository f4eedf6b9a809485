"""How long each question of `reviewbot audit` takes on a large log, and what the trail that answers it costs."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from projections.trail.project import Trail
from reviewbot.audit.failures import failures
from reviewbot.audit.filters import Filter
from reviewbot.audit.select import select
from reviewbot.audit.stats import stats
from reviewbot.audit.why import Limits, known, why
from schema.database import connect
from tests.bench.figures import percentile
from tests.bench.ground import Ground, Pool

REPOSITORIES = 2_000
LIMITS = Limits(per_installation=1, lease_seconds=30)
ROUNDS = 40

Question = Callable[[], Awaitable[object]]


async def measure(ground: Ground) -> None:
    """audit_NAME_p95_ms of each question, audit_p95_ms of the slowest, and how fast the trail is made."""
    async with ground.database() as url:
        owner = await connect(url)
        fill = Path(__file__).with_name("log_of_reviews.sql").read_text("utf-8")
        await owner.execute(fill, ground.sizes.audit_jobs, REPOSITORIES, timeout=900)
        await owner.execute("vacuum analyze event", timeout=600)
        began = time.perf_counter()
        await ground.replay(owner)
        events = await owner.fetchval("select position from log_head")
        rate = events / (time.perf_counter() - began)
        size = await owner.fetchval(
            "select sum(pg_total_relation_size(t::regclass)) from unnest($1::text[]) t", list(Trail.tables)
        )
        await owner.close()
        async with ground.pool_on(url) as pool:
            worst = await ask_all(pool, ground)
    ground.figures.add("audit_p95_ms", "ms", [worst])
    ground.figures.add("trail_bytes_per_event", "bytes", [float(size) / events])
    ground.figures.add("trail_per_s", "events/s", [rate])


async def ask_all(pool: Pool, ground: Ground) -> float:
    """Each question many times about different things; the p95 of the slowest one, in milliseconds."""
    worst = 0.0
    for name, question in questions(pool, await examples(pool)).items():
        taken = []
        await question()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await question()
            taken.append((time.perf_counter() - began) * 1000)
        p95 = percentile(taken, 95)
        ground.figures.add(f"audit_{name}_p95_ms", "ms", [p95])
        worst = max(worst, p95)
    return worst


class Example:
    """Something that occurs in the log, drawn anew for each question."""

    def __init__(self, jobs: list[tuple[UUID, str, int, str, UUID, int]]) -> None:
        self._jobs, self._chance = jobs, random.Random(1)

    def __call__(self) -> tuple[UUID, str, int, str, UUID, int]:
        return self._chance.choice(self._jobs)


async def examples(pool: Pool) -> Example:
    rows = await pool.fetch(
        "select job, repository, pull_request, head_sha, correlation, installation from jobs order by job limit 500"
    )
    return Example([tuple(row) for row in rows])  # type: ignore[misc]  # the columns are of these types


def questions(pool: Pool, example: Example) -> dict[str, Question]:
    """Pages of a hundred events by each filter, upwards and downwards, and the other questions."""
    now = datetime.now(UTC)
    week, long_ago = now - timedelta(days=7), now - timedelta(days=80)

    def page(make: Callable[[], Filter], newest_first: bool = True) -> Question:
        return lambda: select(pool, make(), limit=100, newest_first=newest_first)

    async def tell_why() -> object:
        _, repository, number, head, *_ = example()
        return why(await known(pool, repository, number, LIMITS), LIMITS, head)

    return {
        "all": page(Filter),
        "repository": page(lambda: Filter(repository=example()[1])),
        "large_repository": page(lambda: Filter(repository="octo/r1"), newest_first=False),
        "pull_request": page(lambda: Filter(repository=example()[1], pull_request=example()[2])),
        "large_pull_request": page(lambda: Filter(repository="octo/r1", pull_request=example()[2])),
        "head": page(lambda: Filter(head=example()[3][:10])),
        "job": page(lambda: Filter(job=example()[0])),
        "delivery": page(lambda: Filter(delivery=example()[4])),
        "installation": page(lambda: Filter(installation=example()[5])),
        "topic": page(lambda: Filter(topics=("ReviewFailed",))),
        "absent_topic": page(lambda: Filter(topics=("IntakeGap",))),
        "actor": page(lambda: Filter(actor="user:1234"), newest_first=False),
        "time": page(lambda: Filter(since=long_ago, until=long_ago + timedelta(days=1))),
        "repository_and_topic": page(lambda: Filter(repository=example()[1], topics=("ReviewFailed",))),
        "everything": page(
            lambda: Filter(repository="octo/r1", topics=("ReviewFailed",), actor="worker:0", installation=1, since=week)
        ),
        "why": tell_why,
        "failures": lambda: failures(pool, Filter(since=week)),
        "stats": lambda: stats(pool, Filter(since=week)),
    }
