"""Check Runs: one per request, in step with the job, and never green before the log says so."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import OperationalError

from projections.jobs.rows import Job
from reviewbot import check_runs
from reviewbot.check_runs import Keeper
from reviewbot.demo.state import CheckRun
from reviewbot.github import checks
from reviewbot.github.models import CheckRun as Shown
from reviewbot.review import check_stream
from schema import events as e
from tests.demo.hub import INSTALLATION, REPO
from tests.fakes import FakeProvider, says
from tests.helpers import project
from tests.world import World

CREATE = "POST /repos/*/check-runs"
UPDATE = "PATCH /repos/*/check-runs/*"
LIST = "GET /repos/*/check-runs"


async def step(world: World, keeper: Keeper) -> bool:
    """One round, on a table that knows all of the log."""
    await project(world.pool)
    changed = await keeper.step()
    await project(world.pool)
    return changed


def shown(world: World) -> list[tuple[str, str | None]]:
    return [(run.status, run.conclusion) for run in runs(world)]


def runs(world: World) -> list[CheckRun]:
    return world.standin.check_runs(REPO)


def at_once(keeper: Keeper) -> None:
    """Let the time pass that the keeper wants to wait after a failure."""
    keeper._waiting.clear()


async def reviewed(world: World) -> UUID:
    """A job whose review is completed."""
    job = await world.request()
    story = world.story(await world.claim())
    await story.load()
    await world.steps().review(story)
    return job


async def ended(world: World, fact: e.Fact) -> Job:
    """A claimed job that ends so."""
    row = await world.claim()
    await world.story(row).record(fact)
    return row


# --- in step ----------------------------------------------------------------------------------------------------------


async def test_a_request_is_shown_as_queued_by_the_next_round(world: World) -> None:
    job = await world.request()
    assert await step(world, world.keeper()) is True
    (run,) = runs(world)
    assert (run.name, run.status, run.external_id) == ("ReviewBot", "queued", str(job))
    assert run.head_sha == world.standin.pull(REPO, 1).head_sha
    assert run.output.title == "Waiting"


async def test_a_round_without_anything_to_do_asks_github_nothing(world: World) -> None:
    await world.request()
    keeper = world.keeper()
    await step(world, keeper)
    asked = len(world.standin.requests)
    assert await step(world, keeper) is False
    assert len(world.standin.requests) == asked


async def test_a_running_review_is_shown_in_progress(world: World) -> None:
    await world.request()
    keeper = world.keeper()
    await step(world, keeper)
    story = world.story(await world.claim())
    await story.load()
    seen: list[tuple[str, str | None]] = []

    async def look(_: object) -> str:
        seen.extend(shown(world))
        return says()

    world.provider = FakeProvider(look)
    await world.steps().review(story)
    assert seen == [("in_progress", None)]
    assert runs(world)[0].output.title == "Reviewing"


async def test_a_review_that_is_tried_again_says_which_attempt_it_is_without_a_further_request(world: World) -> None:
    await world.request()
    await step(world, world.keeper())
    await world.hand_back(await world.claim())
    again = world.story(await world.claim())
    await again.load()
    titles: list[str | None] = []

    async def look(_: object) -> str:
        titles.extend(run.output.title for run in runs(world))
        return says()

    world.provider = FakeProvider(look)
    await world.steps().review(again)
    assert titles == ["Reviewing (attempt 2)"]
    changes = [sent for sent in world.standin.requests if sent.method == "PATCH" and "check-runs" in sent.path]
    assert len(changes) == 1


async def test_a_review_that_runs_before_anybody_could_show_it_queued_is_shown_in_progress(world: World) -> None:
    await world.request()
    await world.claim()
    await step(world, world.keeper())
    assert shown(world) == [("in_progress", None)]
    assert runs(world)[0].output.title == "Reviewing"


@pytest.mark.parametrize(
    ("provider", "conclusion", "title"),
    [
        (FakeProvider(), "neutral", "1 finding: 1 high"),
        (FakeProvider(says(summary="Fine.")), "success", "No findings"),
        (FakeProvider('{"summary": "Fine so far.", "fin', finish="truncated"), "neutral", "Nothing found so far"),
    ],
    ids=["findings", "none", "cut"],
)
async def test_a_completed_review_concludes_as_it_found(
    world: World, provider: FakeProvider, conclusion: str, title: str
) -> None:
    world.provider = provider
    await reviewed(world)
    await step(world, world.keeper())
    (run,) = runs(world)
    assert (run.status, run.conclusion, run.output.title) == ("completed", conclusion, title)


@pytest.mark.parametrize(
    ("fact", "conclusion", "says_why"),
    [
        (e.ReviewFailed(code="provider_misconfigured", reason="The key is refused."), "failure", "The key is refused."),
        (e.ReviewCancelled(reason="closed"), "cancelled", "closed"),
        (e.ReviewSuperseded(), "cancelled", "took its place"),
        (e.ReviewSkipped(reason="no write permission"), "skipped", "no write permission"),
    ],
    ids=["failed", "cancelled", "superseded", "skipped"],
)
async def test_any_other_ending_concludes_with_its_reason(
    world: World, fact: e.Fact, conclusion: str, says_why: str
) -> None:
    await world.request()
    keeper = world.keeper()
    await step(world, keeper)
    await ended(world, fact)
    await step(world, keeper)
    (run,) = runs(world)
    assert (run.status, run.conclusion) == ("completed", conclusion)
    assert says_why in (run.output.summary or "")


async def test_an_attempt_that_will_be_repeated_concludes_nothing(world: World) -> None:
    await world.request()
    keeper = world.keeper()
    await step(world, keeper)
    await world.hand_back(await world.claim())
    assert await step(world, keeper) is False
    assert shown(world) == [("queued", None)]


async def test_what_ended_before_anybody_saw_it_is_not_shown_at_all(world: World) -> None:
    job = await world.request()
    await ended(world, e.ReviewCancelled(reason="closed"))
    await step(world, world.keeper())
    assert runs(world) == []
    assert (await world.row(job)).check_concluded is True


async def test_a_failure_that_nobody_saw_begin_is_shown(world: World) -> None:
    await world.request()
    await ended(world, e.ReviewFailed(code="c", reason="It broke."))
    await step(world, world.keeper())
    assert shown(world) == [("completed", "failure")]


async def test_asking_again_makes_a_second_run_and_leaves_the_first_as_it_was(world: World) -> None:
    await world.request()
    keeper = world.keeper()
    await step(world, keeper)
    await ended(world, e.ReviewFailed(code="c", reason="It broke."))
    await step(world, keeper)
    await world.request()
    await step(world, keeper)
    assert shown(world) == [("completed", "failure"), ("queued", None)]


# --- never green too early --------------------------------------------------------------------------------------------


async def test_nothing_is_green_before_the_review_is_completed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.provider = FakeProvider(says(summary="Fine."))
    job = await world.request()
    keeper = world.keeper()
    story = world.story(await world.claim())
    await story.load()
    decide = story.decide
    seen = []

    async def decide_and_look(*arguments: Any) -> None:
        await decide(*arguments)
        await step(world, keeper)
        seen.append((story.job.state, *shown(world)[0]))

    monkeypatch.setattr(story, "decide", decide_and_look)
    await world.steps().review(story)
    assert seen[-1] == ("completed", "completed", "success")
    assert {each[1:] for each in seen[:-1]} == {("in_progress", None)}
    assert len(runs(world)) == 1
    assert "ReviewCompleted" in await world.told(job)


async def test_a_green_run_stands_on_exactly_the_head_that_was_reviewed(world: World) -> None:
    world.provider = FakeProvider(says(summary="Fine."))
    reviewed_head = world.standin.pull(REPO, 1).head_sha
    await reviewed(world)
    await world.standin.push(REPO, 1, "later")
    await world.request()
    await step(world, world.keeper())
    assert {run.head_sha: run.conclusion for run in runs(world)} == {
        reviewed_head: "success",
        world.commits.later: None,
    }


# --- trouble ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bad-gateway", "lost-reply", "unavailable", "dropped"])
async def test_trouble_while_creating_ends_with_one_run(world: World, kind: str) -> None:
    job = await world.request()
    keeper = world.keeper()
    world.standin.trouble(CREATE, kind, times=2)  # type: ignore[arg-type]  # one of the kinds above
    for _ in range(4):
        await step(world, keeper)
        at_once(keeper)
    assert shown(world) == [("queued", None)]
    assert (await world.row(job)).check_run_id == runs(world)[0].id


@pytest.mark.parametrize("kind", ["bad-gateway", "lost-reply", "unavailable"])
async def test_trouble_while_concluding_is_repeated_until_it_is_concluded(world: World, kind: str) -> None:
    await reviewed(world)
    keeper = world.keeper()
    world.standin.trouble(UPDATE, kind)  # type: ignore[arg-type]  # one of the kinds above
    assert await step(world, keeper) is False
    at_once(keeper)
    assert await step(world, keeper) is True
    assert shown(world) == [("completed", "neutral")]


async def test_a_run_is_adopted_by_another_process_when_the_first_died_before_it_could_say_so(world: World) -> None:
    await world.request()

    class Dies(Keeper):
        async def _record(self, *_: object, **__: object) -> None:
            raise ConnectionError

    dying = world.keeper()
    dying.__class__ = Dies
    await step(world, dying)
    await dying._processes.discharge()
    await step(world, world.keeper("two"))
    assert shown(world) == [("queued", None)]


async def test_a_keeper_that_does_not_look_first_makes_two_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The defect that the tests of lost replies would catch."""

    async def nothing(*_: object, **__: object) -> tuple[()]:
        return ()

    monkeypatch.setattr("reviewbot.github.checks.list_for_ref", nothing)
    await world.request()
    keeper = world.keeper()
    world.standin.trouble(CREATE, "lost-reply")
    for _ in range(2):
        await step(world, keeper)
        at_once(keeper)
    assert len(runs(world)) == 2


async def test_github_down_for_a_while_is_caught_up_with(world: World) -> None:
    keeper = world.keeper()
    world.standin.trouble("* /repos/*", "unavailable", times=1_000)
    await world.request()
    await world.open("later")
    await world.request(2)
    await step(world, keeper)
    await ended(world, e.ReviewFailed(code="github_unavailable", reason="GitHub is down."))
    at_once(keeper)
    await step(world, keeper)
    assert runs(world) == []
    world.standin.troubles.clear()
    at_once(keeper)
    await step(world, keeper)
    assert sorted(shown(world)) == [("completed", "failure"), ("queued", None)]


async def test_a_failing_run_is_tried_less_and_less_often_but_always_again(world: World) -> None:
    job = await world.request()
    keeper = world.keeper()
    world.standin.trouble(LIST, "unavailable", times=1_000)
    waits = []
    for _ in range(10):
        await step(world, keeper)
        _, wait = keeper._waiting[job]
        keeper._waiting[job] = (time.monotonic(), wait)
        waits.append(wait)
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


async def test_a_database_that_was_away_does_not_make_a_run_wait_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await world.request()
    keeper = world.keeper()

    async def away(*_: object) -> int:
        raise OperationalError("the database did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(world.log, "append", away)
        for _ in range(4):
            await step(world, keeper)
            assert keeper._waiting[job][1] == 2
            keeper._waiting[job] = (time.monotonic(), 2)
    await step(world, keeper)
    assert shown(world) == [("queued", None)]


async def test_a_run_that_must_wait_is_not_asked_for_before_its_time(world: World) -> None:
    await world.request()
    keeper = world.keeper()
    world.standin.trouble(LIST, "unavailable")
    await step(world, keeper)
    asked = len(world.standin.requests)
    await step(world, keeper)
    assert len(world.standin.requests) == asked


@pytest.mark.parametrize("request_of", [LIST, CREATE])
async def test_without_permission_the_run_is_left_alone_and_the_log_says_why(world: World, request_of: str) -> None:
    job = await world.request()
    permissions = {"pull_requests": "write", "contents": "read", "metadata": "read"}
    if request_of == CREATE:
        permissions["checks"] = "read"
    world.standin.installation(INSTALLATION).permissions = permissions
    keeper = world.keeper()
    await step(world, keeper)
    row = await world.row(job)
    assert (row.check_concluded, row.check_run_id) == (True, None)
    *_, told = await world.log.read_stream(check_stream(job))
    assert isinstance(told.fact, e.CheckRunConcluded)
    assert told.fact.conclusion is None
    assert "checks" in (told.fact.reason or "")
    asked = len(world.standin.requests)
    await ended(world, e.ReviewFailed(code="c", reason="r"))
    await step(world, keeper)
    assert len(world.standin.requests) == asked


async def test_one_jobs_trouble_does_not_hold_up_another(world: World) -> None:
    await reviewed(world)
    await world.pool.execute("update jobs set plan = repeat('0', 64)")  # an artifact that is not there
    await world.open("later")
    await world.request(2)
    keeper = world.keeper()
    await step(world, keeper)
    await world.pool.execute("update jobs set plan = repeat('0', 64) where plan is not null")
    assert ("queued", None) in shown(world)


async def test_jobs_of_one_installation_do_not_hide_those_of_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_runs, "PAGE", 2)
    many = [await world.request(key=f"comment:{number}") for number in range(4)]
    one = await world.request(key="comment:other")
    await world.pool.execute("update jobs set installation = 43 where job = $1", one)
    tried: list[UUID] = []

    class Counts(Keeper):
        async def _try(self, job: Job) -> bool:
            tried.append(job.job)
            return False

    keeper = world.keeper()
    keeper.__class__ = Counts
    await keeper.step()
    assert set(tried) == {many[0], one}


# --- several keepers --------------------------------------------------------------------------------------------------


async def test_two_keepers_at_once_make_one_run(world: World) -> None:
    await world.request()
    one, two = world.keeper("one"), world.keeper("two")
    await project(world.pool)
    assert sorted(await asyncio.gather(one.step(), two.step())) == [False, True]
    assert len(runs(world)) == 1


async def test_keepers_without_a_lease_make_two_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The defect that the test above would catch."""

    async def always(*_: object) -> bool:
        return True

    both_have_looked = asyncio.Barrier(2)
    look = checks.list_for_ref

    async def look_together(*arguments: Any, **options: Any) -> tuple[Shown, ...]:
        found = await look(*arguments, **options)
        await both_have_looked.wait()
        return found

    await world.request()
    one, two = world.keeper("one"), world.keeper("two")
    monkeypatch.setattr("schema.processes.Processes.take_lease", always)
    monkeypatch.setattr(checks, "list_for_ref", look_together)
    await project(world.pool)
    await asyncio.gather(one.step(), two.step())
    assert len(runs(world)) == 2


async def test_the_lease_of_a_keeper_that_ended_is_free_at_once(world: World) -> None:
    await world.request()
    one, two = world.keeper("one"), world.keeper("two")
    await one._processes.enlist()
    assert await step(world, one) is True
    await ended(world, e.ReviewFailed(code="c", reason="r"))
    assert await step(world, two) is False
    await one._processes.discharge()
    assert await step(world, two) is True
    assert shown(world) == [("completed", "failure")]


async def test_the_keeper_runs_until_it_is_cancelled_and_survives_the_database(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = asyncio.Queue[None]()

    async def broken(_: Keeper) -> bool:
        rounds.put_nowait(None)
        raise ConnectionError("the database restarts")

    monkeypatch.setattr(Keeper, "step", broken)
    keeper = world.keeper()
    running = asyncio.create_task(keeper.run(poll_seconds=60))
    await rounds.get()
    keeper.wake()
    await asyncio.wait_for(rounds.get(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
