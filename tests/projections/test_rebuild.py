"""Rebuilding on real Postgres: the same rows, while others read, claim and fold; and whatever is cut short goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from projections import compare as comparing
from projections import swap
from projections.base import FoldError
from projections.build import Busy, before, building, checking, hold
from projections.catalog import ALL
from projections.compare import OtherVersion, compare
from projections.jobs import read
from projections.jobs.project import Jobs
from projections.projector import Projector, lag, step
from projections.rebuild import NewerTables, NothingKept, abort, prepare, rebuild, roll_back, status
from projections.swap import Blocked
from schema import events as e
from schema.database import connect
from schema.log import Log
from tests.helpers import HEAD, append, project, wait_until
from tests.projections.ground import Pool, ask, busy_log, claim, end, rows, standing, worker

COMPLETED = e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success")
# In this database: the server is shared with other tests.
WAITING = """
    select exists (select from pg_locks join pg_stat_activity using (pid)
                   where not granted and datname = current_database())
"""


class Next(Jobs):
    """The projection in a later version."""

    version = Jobs.version + 1


async def poisoned(log: Log) -> None:
    """An event that no version can take in, between two that every one can."""
    await ask(log, 1)
    await append(log, uuid4(), COMPLETED)
    await ask(log, 2)


@pytest.mark.parametrize("seed", range(4))
async def test_a_rebuild_gives_the_same_rows(database: str, pool: Pool, log: Log, seed: int) -> None:
    await busy_log(pool, log, seed)
    await project(pool)
    live = await rows(pool)
    assert len(live["jobs"]) > 10
    rebuilt = await rebuild(database, Jobs())
    assert rebuilt.events == rebuilt.position > 10
    assert await rows(pool) == live
    assert await read.drift(pool) == 0


async def test_a_rebuild_puts_right_what_was_changed_by_hand_and_what_was_not_yet_folded(
    database: str, pool: Pool, log: Log
) -> None:
    await ask(log, 1)
    await project(pool)
    await pool.execute("update jobs set state = 'failed'")
    await ask(log, 2)
    await rebuild(database, Jobs())
    assert (await read.stats(pool)).pending == 2
    assert (await standing(pool)).behind == 0


class Traffic:
    """A service at work: deliveries, a projector, workers, readers. Whatever goes wrong with one of them is kept."""

    def __init__(self, pool: Pool, log: Log) -> None:
        self._pool, self._log = pool, log
        self.done: Counter[str] = Counter()
        self.errors: list[BaseException] = []
        self._projector = Projector(pool, ALL[0], poll_seconds=0.02)
        log.on_append(self._projector.wake)

    @contextlib.asynccontextmanager
    async def flows(self) -> AsyncIterator[None]:
        loops = [self._ask, self._work, self._work, self._look]
        tasks = [asyncio.create_task(self._projector.run()), *(asyncio.create_task(self._on(loop)) for loop in loops)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _on(self, act: Any) -> None:
        while True:
            try:
                await act()
            except Exception as error:  # noqa: BLE001 - the test wants none
                self.errors.append(error)
            await asyncio.sleep(0.001)

    async def _ask(self) -> None:
        self.done["asked"] += 1
        await ask(self._log, self.done["asked"], installation=self.done["asked"] % 5 + 1)

    async def _work(self) -> None:
        for job in await claim(self._pool, worker(), per_installation=3):
            await end(self._log, job, COMPLETED)
            self.done["worked"] += 1

    def has_worked(self, times: int, *, since: Counter[str]) -> bool:
        return self.done["worked"] >= since["worked"] + times and self.done["looked"] > since["looked"]

    async def _look(self) -> None:
        stats = await read.stats(self._pool)
        jobs = await read.unchecked(self._pool)
        assert jobs or not stats.pending
        self.done["looked"] += 1


async def test_a_service_goes_on_without_an_error_while_its_tables_are_rebuilt(
    database: str, pool: Pool, log: Log
) -> None:
    traffic = Traffic(pool, log)
    async with traffic.flows():
        for _ in range(3):
            seen = traffic.done.copy()
            await rebuild(database, Jobs())
            compared = await compare(database, Jobs())
            assert (compared.differing, compared.differences) == ((), ())
            await wait_until(partial(traffic.has_worked, 10, since=seen), what="reviews afterwards")
    assert traffic.errors == []
    await project(pool)
    assert (await compare(database, Jobs())).differing == ()
    assert await read.drift(pool) == 0


async def claimed_just_before_the_swap(
    database: str, pool: Pool, log: Log, monkeypatch: pytest.MonkeyPatch
) -> list[Any]:
    """What a worker may claim of the new tables when the only job was claimed after the build had caught up."""
    await ask(log, 1)
    await project(pool)
    go_live = swap._swap_patiently

    async def late_claim(*arguments: Any) -> float:
        assert len(await claim(pool, worker())) == 1
        return await go_live(*arguments)

    monkeypatch.setattr(swap, "_swap_patiently", late_claim)
    await rebuild(database, Jobs())
    return await claim(pool, worker(), per_installation=2)


async def test_a_job_claimed_while_the_tables_are_about_to_change_is_claimed_in_the_new_ones(
    database: str, pool: Pool, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await claimed_just_before_the_swap(database, pool, log, monkeypatch) == []


async def test_a_swap_that_forgets_what_came_last_is_caught(
    database: str, pool: Pool, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forget(_: Any) -> None:
        return

    monkeypatch.setattr(swap, "_fold_rest", forget)
    with pytest.raises(asyncpg.UniqueViolationError):
        await claimed_just_before_the_swap(database, pool, log, monkeypatch)


async def test_a_second_rebuild_of_the_same_tables_is_refused_and_told_who_is_at_it(database: str) -> None:
    async with hold(database, Jobs(), building(Jobs())):
        for attempt in (rebuild, compare, abort, roll_back):
            with pytest.raises(Busy, match=r"at the tables of jobs: reviewbot build on .*, process \d+, since 20"):
                await attempt(database, Jobs())  # type: ignore[operator]  # they differ in what they give
        assert "process" in str((await status(database, Jobs())).holder)
    await rebuild(database, Jobs())


async def test_a_poison_event_ends_a_rebuild_and_leaves_the_live_tables_alone(
    database: str, pool: Pool, log: Log
) -> None:
    await poisoned(log)
    with contextlib.suppress(FoldError):
        await project(pool)
    live = await rows(pool)
    with pytest.raises(FoldError, match=r"event 2 \(ReviewCompleted, version 1 of .*there is no job"):
        await rebuild(database, Jobs())
    assert await rows(pool) == live
    found = await status(database, Jobs())
    assert found.live is not None
    assert found.live.position == 1
    assert found.build is not None
    assert await abort(database, Jobs()) == ["an unfinished build"]
    assert (await status(database, Jobs())).build is None


async def test_at_the_first_start_tables_show_what_precedes_a_poison_event(database: str, pool: Pool, log: Log) -> None:
    await poisoned(log)
    owner = await connect(database)
    await owner.execute("drop table jobs, pull_requests, installations, providers")
    await owner.execute("delete from checkpoint where projection = 'jobs'")
    await owner.execute("drop function jobs_count_inserted, jobs_count_updated")
    await owner.close()
    assert await prepare(database, ALL) == ["jobs"]
    state = await standing(pool)
    assert (state.version, state.position) == (Jobs.version, 1)
    assert "event 2 (ReviewCompleted" in str(state.fault)
    assert len(await claim(pool, worker())) == 1


async def test_a_new_version_that_meets_a_poison_event_leaves_the_tables_of_the_old_one(
    database: str, pool: Pool, log: Log
) -> None:
    await poisoned(log)
    with contextlib.suppress(FoldError):
        await project(pool)
    assert await prepare(database, [Next()]) == []
    assert len(await claim(pool, worker())) == 1


async def test_what_was_kept_can_be_taken_back_and_back_again(database: str, pool: Pool, log: Log) -> None:
    await ask(log, 1)
    await project(pool)
    await pool.execute("update jobs set reason = 'by hand'")
    await rebuild(database, Jobs(), keep=True)
    await ask(log, 2)
    rebuilt = await roll_back(database, Jobs())
    assert rebuilt.events == 1
    assert sorted(await pool.fetch("select reason from jobs"), key=str) == [("by hand",), (None,)]
    await roll_back(database, Jobs())
    assert {row["reason"] for row in await pool.fetch("select reason from jobs")} == {None}
    assert len(await claim(pool, worker(), per_installation=2)) == 1
    assert await abort(database, Jobs()) == ["the tables before the last rebuild"]
    with pytest.raises(NothingKept, match="there are none"):
        await roll_back(database, Jobs())


async def test_what_a_killed_comparison_left_behind_is_removed(database: str) -> None:
    async with hold(database, Jobs(), checking(Jobs())) as build:
        await build.begin()
    assert await abort(database, Jobs()) == ["an unfinished comparison"]
    assert await abort(database, Jobs()) == []


async def test_nothing_is_kept_unasked(database: str) -> None:
    await rebuild(database, Jobs())
    owner = await connect(database)
    assert (
        await owner.fetch("select from pg_namespace where nspname in ($1, $2)", building(ALL[0]), before(ALL[0])) == []
    )
    await owner.close()


async def test_who_holds_on_to_the_live_tables_is_named_and_the_build_stays(
    database: str, pool: Pool, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(log, 1)
    monkeypatch.setattr(swap, "ATTEMPTS", 3)
    reader = await connect(database, application_name="a long report")
    await reader.execute("begin; select from jobs; select pg_sleep(1.1)")
    with pytest.raises(Blocked, match=r"process \d+ \(a long report\), since"):
        await rebuild(database, Jobs())
    async with pool.acquire() as connection:
        assert await step(connection, Jobs()) == 1
    await reader.close()
    rebuilt = await rebuild(database, Jobs())
    assert rebuilt.events == 0, "it was all there"


async def test_a_row_that_was_changed_removed_or_added_by_hand_is_shown(database: str, pool: Pool, log: Log) -> None:
    for number in (1, 2, 3):
        await ask(log, number)
    await project(pool)
    assert (await compare(database, Jobs())).differing == ()
    changed, removed, added = await pool.fetch("select job from jobs order by position")
    await pool.execute("update jobs set plan = 'another' where job = $1", changed["job"])
    await pool.execute("delete from jobs where job = $1", removed["job"])
    await pool.execute("update jobs set job = $2 where job = $1", added["job"], uuid4())
    compared = await compare(database, Jobs())
    told = "\n".join(map(str, compared.differences))
    assert "jobs" in compared.differing
    assert f"job={changed['job']}: plan is 'another', the log says None" in told
    assert f"job={removed['job']}: the row is missing" in told
    assert told.count("the log knows no such row") == 1


async def test_a_comparison_that_does_not_look_is_caught(
    database: str, pool: Pool, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(live: Any, replayed: Any) -> bool:
        return True

    monkeypatch.setattr(comparing, "same", blind)
    with pytest.raises(AssertionError):
        await test_a_row_that_was_changed_removed_or_added_by_hand_is_shown(database, pool, log)


async def test_a_table_that_lags_or_has_claims_that_are_not_folded_yet_is_compared_as_it_stands(
    database: str, pool: Pool, log: Log
) -> None:
    await ask(log, 1)
    await project(pool)
    await ask(log, 2)
    assert len(await claim(pool, worker())) == 1
    compared = await compare(database, Jobs())
    assert (compared.position, compared.differing) == (1, ())


async def test_a_risen_version_is_built_at_the_start_and_the_older_process_stands_still(
    database: str, pool: Pool, log: Log
) -> None:
    await ask(log, 1)
    await project(pool)
    assert await prepare(database, [Jobs()]) == []
    assert await prepare(database, [Next()]) == ["jobs"]
    await ask(log, 2)
    async with pool.acquire() as connection:
        assert await step(connection, Jobs()) == 0
        assert await step(connection, Next()) == 1
    assert await claim(pool, worker()) == []
    state = await standing(pool)
    assert state.fault == f"its tables are of version {Next.version}, this process works on {Jobs.version}"
    assert [each.fault for each in await lag(pool, [Next()]) if each.projection == "jobs"] == [None]
    with pytest.raises(NewerTables, match="run the newer one, or go back"):
        await prepare(database, [Jobs()])
    with pytest.raises(OtherVersion, match=f"are of version {Next.version}"):
        await compare(database, Jobs())
    await rebuild(database, Jobs())
    assert len(await claim(pool, worker())) == 1


async def test_processes_that_start_at_the_same_time_build_once(database: str, pool: Pool, log: Log) -> None:
    await ask(log, 1)
    made = await asyncio.gather(*(prepare(database, [Next()]) for _ in range(3)))
    assert sorted(made) == [[], [], ["jobs"]]


@pytest.mark.parametrize("ending", [False, True])
async def test_a_fold_that_waits_for_a_claim_counts_what_the_claim_has_left(
    database: str, pool: Pool, log: Log, ending: bool
) -> None:
    """`ending`: the fold changes a row; else it adds one."""
    if ending:
        await ask(log, 1)
        await project(pool)
        (running,) = await claim(pool, worker())
    await ask(log, 2)
    await project(pool)
    await (end(log, running, COMPLETED) if ending else ask(log, 3))
    async with pool.acquire() as claiming, pool.acquire() as folding:
        transaction = claiming.transaction()
        await transaction.start()
        await claiming.execute("select from installations for update")  # as every claim begins
        fold = asyncio.create_task(step(folding, Jobs()))
        await wait_until(partial(_waits_for_a_lock, pool), what="the fold at the row of the installation")
        assert len(await claim(claiming, worker(), per_installation=2)) == 1
        await transaction.commit()
        assert await fold == 1
    assert [str(each) for each in (await compare(database, Jobs())).differences] == []


async def _waits_for_a_lock(pool: Pool) -> bool:
    return bool(await pool.fetchval(WAITING))
