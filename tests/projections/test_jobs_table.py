"""The job table on real Postgres: the same rows however the log is replayed, and a claim that keeps its limits."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from projections.base import FoldError
from projections.catalog import ALL
from projections.jobs import read
from projections.jobs.project import Jobs
from projections.jobs.rows import Job
from projections.projector import Lag, lag, step
from projections.rebuild import prepare, rebuild
from schema import events as e
from schema.database import connect
from schema.log import Log, VersionConflict
from schema.processes import Processes
from tests.helpers import HEAD, START, append, job_of, meta, project, requested

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


@pytest.mark.parametrize("seed", range(4))
async def test_dropping_the_tables_and_starting_again_gives_the_same_rows(
    database: str, pool: Pool, log: Log, seed: int
) -> None:
    await busy_log(pool, log, seed)
    await project(pool)
    live = await rows(pool)
    assert len(live["jobs"]) > 10
    owner = await connect(database)
    await rebuild(owner, Jobs())
    assert await rows(owner) == live
    assert await read.drift(pool) == 0
    await owner.close()


async def test_the_fields_of_a_job_are_in_the_order_of_the_columns(pool: Pool) -> None:
    columns = "select attname from pg_attribute where attrelid = 'jobs'::regclass and attnum > 0 order by attnum"
    assert tuple(row[0] for row in await pool.fetch(columns)) == Job.__struct_fields__


async def test_a_page_that_another_node_folds_is_told_to_those_who_listen(database: str, pool: Pool, log: Log) -> None:
    heard = asyncio.Event()
    listener = await connect(database)
    await listener.add_listener("projected", lambda *_: heard.set())
    await ask(log, 1)
    await project(pool)
    async with asyncio.timeout(5):
        await heard.wait()
    await listener.close()


async def test_a_rebuild_that_is_cut_short_begins_again_at_the_next_start(database: str, pool: Pool, log: Log) -> None:
    await ask(log, 1)
    owner = await connect(database)

    class Cut(Jobs):
        async def replay(self, connection: Any, events: Any) -> None:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await rebuild(owner, Cut())
    assert (await standing(pool)).version == 0
    assert await prepare(owner, [Jobs()]) == ["jobs"]
    assert (await read.stats(pool)).pending == 1
    await owner.close()


async def test_counters_follow_their_jobs_whoever_writes(pool: Pool, log: Log) -> None:
    for number in range(3):
        await ask(log, number, installation=1)
    await project(pool)
    assert (await read.stats(pool)).pending == 3
    (job,) = await claim(pool, worker())
    stats = await read.stats(pool)
    assert (stats.pending, stats.processing) == (2, 1)
    await end(log, job, e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
    await project(pool)
    stats = await read.stats(pool)
    assert (stats.pending, stats.processing) == (2, 0)
    assert await read.drift(pool) == 0


async def test_drift_is_seen_when_a_counter_is_wrong(pool: Pool, log: Log) -> None:
    await ask(log, 1)
    await project(pool)
    await pool.execute("update installations set queued = 7")
    assert await read.drift(pool) == 1


async def test_many_claimers_never_pass_the_limit_of_an_installation_and_never_share_a_job(
    pool: Pool, log: Log
) -> None:
    for number in range(60):
        await ask(log, number, installation=number % 3 + 1)
    await project(pool)
    taken: list[UUID] = []
    running: Counter[int] = Counter()

    async def work(who: read.Worker) -> None:
        while len(taken) < 60:
            for job in await claim(pool, who, slots=2, per_installation=2):
                taken.append(job.job)
                running[job.installation] += 1
                assert running[job.installation] <= 2, "the limit was passed"
                await asyncio.sleep(random.random() / 200)
                running[job.installation] -= 1
                await end(log, job, e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
            await project(pool)

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(worker(f"w{n}")) for n in range(4)))
    assert sorted(taken) == sorted(set(taken))


async def test_one_installation_with_300_jobs_does_not_delay_anothers_one(pool: Pool, log: Log) -> None:
    await asyncio.gather(*(ask(log, number, installation=1) for number in range(300)))
    small = await ask(log, 1, installation=2)
    await project(pool)
    first, second = await claim(pool, worker(), slots=2)
    assert {first.installation, second.installation} == {1, 2}
    assert small in {first.job, second.job}


async def test_turns_go_round_among_installations(pool: Pool, log: Log) -> None:
    for number in range(4):
        for installation in (1, 2, 3):
            await ask(log, number, installation=installation)
    await project(pool)
    order = []
    for _ in range(6):
        (job,) = await claim(pool, worker(), slots=1)
        order.append(job.installation)
        await end(log, job, e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
        await project(pool)
    assert order[:3] == order[3:]
    assert set(order) == {1, 2, 3}


async def test_a_paused_installation_and_a_paused_provider_hand_out_nothing(pool: Pool, log: Log) -> None:
    await ask(log, 1, installation=1)
    await ask(log, 1, installation=2)
    await project(pool)
    for job in await claim(pool, worker()):
        future = e.ReviewReleased(
            reason="limit", retry_at=START.replace(year=2999), refunded=True,
            pause="installation" if job.installation == 1 else "provider", provider="rules",
        )  # fmt: skip
        await end(log, job, future)
    await ask(log, 2, installation=1)
    await ask(log, 2, installation=3)
    await project(pool)
    assert await claim(pool, worker()) == []
    await pool.execute("update providers set paused_until = now()")
    assert [job.installation for job in await claim(pool, worker())] == [3]


async def test_a_deleted_installation_hands_out_nothing_and_its_jobs_wait_for_their_ending(
    pool: Pool, log: Log
) -> None:
    job = await ask(log, 1, installation=1)
    await append(log, uuid4(), e.InstallationDeleted(installation=1, at=START))
    await project(pool)
    assert await claim(pool, worker()) == []
    (waiting,) = await read.ending(pool)
    assert (waiting.job, waiting.cancel_reason) == (job, "the App was uninstalled")


async def test_a_job_of_a_dead_or_unknown_or_late_worker_is_found_lost(pool: Pool, log: Log) -> None:
    who = worker()
    processes = Processes(pool, who.id, who.instance)
    await processes.enlist()
    await ask(log, 1)
    await project(pool)
    await claim(pool, who)
    assert await read.lost(pool, 30) == []
    await pool.execute("update jobs set deadline = now() - interval '1 second'")
    (found,) = await read.lost(pool, 30)
    assert found.late
    await pool.execute("update jobs set deadline = now() + interval '1 hour'")
    await pool.execute("update worker set beat_at = now() - interval '31 seconds'")
    (found,) = await read.lost(pool, 30)
    assert not found.late
    successor = Processes(pool, uuid4(), who.instance)
    await successor.enlist()
    assert [each.late for each in await read.lost(pool, 3600)] == [False], "a successor need not wait for the lease"
    assert not await processes.beat()


async def test_a_claim_behind_the_log_takes_nothing_and_breaks_nothing(pool: Pool, log: Log) -> None:
    job = await ask(log, 1)
    await project(pool)
    await append(log, job, e.ReviewCancelled(reason="x"), after=1)  # the table does not know it yet
    with pytest.raises(asyncpg.UniqueViolationError):
        await claim(pool, worker())
    await project(pool)
    assert await claim(pool, worker()) == []


async def test_a_poison_event_stops_the_projection_before_it_and_says_so(pool: Pool, log: Log) -> None:
    await ask(log, 1)
    await append(log, uuid4(), e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
    await ask(log, 2)
    async with pool.acquire() as connection:
        with pytest.raises(FoldError):
            await step(connection, ALL[0])
        with pytest.raises(FoldError):
            await step(connection, ALL[0])
    state = await standing(pool)
    assert (state.position, state.behind) == (1, 2)
    assert state.fault is not None
    assert "event 2 (ReviewCompleted" in state.fault
    assert (await read.stats(pool)).pending == 1


async def test_a_rebuild_ends_before_a_poison_event_with_tables_that_can_be_used(
    database: str, pool: Pool, log: Log
) -> None:
    await ask(log, 1)
    await append(log, uuid4(), e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
    owner = await connect(database)
    with pytest.raises(FoldError):
        await rebuild(owner, Jobs())
    await owner.close()
    state = await standing(pool)
    assert (state.version, state.position, state.fault is None) == (Jobs.version, 1, False)
    assert len(await claim(pool, worker())) == 1
    assert (await read.stats(pool)).processing == 1


async def test_two_projectors_take_turns_and_fold_each_event_once(pool: Pool, log: Log) -> None:
    for number in range(30):
        await ask(log, number)

    async def fold_all() -> int:
        done = 0
        async with pool.acquire() as connection:
            for _ in range(60):
                done += await step(connection, ALL[0], page=1)
        return done

    done = sum(await asyncio.gather(fold_all(), fold_all()))
    async with pool.acquire() as connection:
        assert done + await step(connection, ALL[0]) == 30
    assert (await read.stats(pool)).pending == 30
