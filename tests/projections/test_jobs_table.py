"""The job table on real Postgres: how it follows the log, and a claim that keeps its limits."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from uuid import UUID, uuid4

import asyncpg
import pytest

from projections.base import FoldError
from projections.catalog import ALL
from projections.jobs import read
from projections.jobs.rows import Job
from projections.projector import step
from schema import events as e
from schema.database import connect
from schema.log import Log
from schema.processes import Processes
from tests.helpers import HEAD, START, append, project
from tests.projections.ground import Pool, ask, claim, end, standing, worker


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
        # More than may work at a time: three installations let two of them at it each.
        await asyncio.gather(*(work(worker(f"w{n}")) for n in range(9)))
    assert sorted(taken) == sorted(set(taken))


async def test_an_installation_at_its_limit_hands_out_nothing_however_many_ask_at_once(pool: Pool, log: Log) -> None:
    for number in range(6):
        await ask(log, number)
    await project(pool)

    async def claimed() -> list[Job]:
        asked = [claim(pool, worker(f"w{n}"), per_installation=2) for n in range(5)]
        return [job for found in await asyncio.gather(*asked) for job in found]

    first = [job for _ in range(3) for job in await claimed()]
    assert len(first) == 2
    await end(log, first[0], e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
    await project(pool)
    assert len(await claimed() + await claimed()) == 1
    await pool.execute("update installations set max_running = 3")
    assert len(await claimed() + await claimed()) == 1


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
