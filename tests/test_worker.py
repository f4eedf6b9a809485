"""The worker: every ending reaches the log, whatever becomes of the review, the worker or the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import OperationalError

from projections.jobs.rows import Job
from reviewbot.errors import (
    GitHubRateLimited,
    GitHubRefused,
    GitHubUnavailable,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderUnavailable,
    ReviewBotError,
)
from reviewbot.review import RetryPolicy
from reviewbot.story import NotWanted, Story, unwanted
from schema import events as e
from tests.demo.hub import REPO
from tests.fakes import FakeProvider, says
from tests.helpers import append, wait_until
from tests.world import World, visible

Review = Callable[[Story], Awaitable[None]]


def raises(*errors: Exception) -> Review:
    """A review that raises these one after the other; the last one repeats."""
    left = list(errors)

    async def review(story: Story) -> None:
        raise left.pop(0) if len(left) > 1 else left[0]

    return review


class Hangs:
    """A review that never ends by itself."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, story: Story) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1


async def completes(story: Story) -> None:
    head = story.job.head_sha
    assert head is not None
    await story.record(e.ReviewCompleted(head_sha=head, findings=0, conclusion="success"))


async def until(world: World, job: UUID, *states: str) -> Job:
    """The job's row once it is in one of the states."""

    async def there() -> list[Job]:
        row = await world.row(job)
        return [row] if row.state in states else []

    return (await wait_until(there, what=f"the job being {' or '.join(states)}"))[0]


async def last(world: World, job: UUID) -> e.Fact:
    return (await world.facts(job))[-1]


async def until_told(world: World, job: UUID, topic: str, times: int = 1) -> None:
    async def told() -> bool:
        return (await world.told(job)).count(topic) >= times

    await wait_until(told, what=f"{topic} in the log")


# --- endings ----------------------------------------------------------------------------------------------------------


async def test_a_request_becomes_a_posted_review(world: World) -> None:
    async with world.running(world.worker()):
        job = await world.request()
        await until(world, job, "completed")
    assert len(visible(world.standin)) == 1
    assert world.metrics.jobs_finished.labels("completed")._value.get() == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProviderUnavailable("No answer: secret", kept="No answer."), "provider_unavailable"),
        (GitHubUnavailable("No answer: secret", kept="No answer."), "github_unavailable"),
        (OperationalError("No answer: secret"), "database"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_a_passing_fault_is_tried_three_times_and_then_fails_for_good(
    world: World, error: Exception, code: str
) -> None:
    job = await world.request()
    async with world.running(world.worker(raises(error))):
        row = await until(world, job, "failed")
    failures = [fact for fact in await world.facts(job) if isinstance(fact, e.ReviewFailed)]
    assert [failure.code for failure in failures] == [code] * 3
    assert [failure.retry_at is None for failure in failures] == [False, False, True]
    kept = "The database failed (OperationalError)." if code == "database" else "No answer."
    assert (row.attempt, row.reason) == (3, kept)


@pytest.mark.parametrize(
    "error",
    [ProviderMisconfigured("No: secret", kept="The key is refused."), GitHubRefused("No: secret", status=422)],
)
async def test_a_lasting_fault_fails_at_once(world: World, error: ReviewBotError) -> None:
    job = await world.request()
    async with world.running(world.worker(raises(error))):
        row = await until(world, job, "failed")
    assert (row.attempt, row.reason) == (1, error.kept)
    assert "secret" not in error.kept


async def test_a_job_that_breaks_the_bot_fails_after_three_attempts_and_tells_no_details(world: World) -> None:
    job = await world.request()
    async with world.running(world.worker(raises(RuntimeError("secret text of a pull request")))):
        row = await until(world, job, "failed")
    assert (row.attempt, "RuntimeError" in (row.reason or "")) == (3, True)
    assert "secret" not in (row.reason or "")


async def test_a_worker_that_hears_nothing_finds_its_job_all_the_same(world: World) -> None:
    async with world.running(world.worker(completes)):
        await asyncio.sleep(0.2)  # it has looked, and waits
        job = await world.request()
        await until(world, job, "completed")


async def test_the_second_attempt_may_succeed(world: World) -> None:
    world.provider = FakeProvider(ProviderUnavailable("down"), says())
    job = await world.request()
    async with world.running(world.worker()):
        row = await until(world, job, "completed")
    assert row.attempt == 2


async def test_a_retry_waits_as_long_as_it_was_asked_to(world: World) -> None:
    job = await world.request()
    async with world.running(world.worker(raises(ProviderUnavailable("down", retry_after=600)))):
        await until_told(world, job, "ReviewFailed")
    row = await until(world, job, "queued")
    assert 590 < (row.run_at - datetime.now(UTC)).total_seconds() <= 600


@pytest.mark.parametrize(
    ("error", "pause", "table"),
    [
        (GitHubRateLimited("Slow down.", retry_after=60), "installation", "installations"),
        (ProviderRateLimited("Slow down.", retry_after=60), "provider", "providers"),
    ],
)
async def test_a_rate_limit_pauses_everybody_it_concerns_and_costs_no_attempt(
    world: World, error: Exception, pause: str, table: str
) -> None:
    job = await world.request()
    async with world.running(world.worker(raises(error))):
        await until_told(world, job, "ReviewReleased")
        await until(world, job, "queued")
        other = await world.request(key="comment:1", asked_at=datetime.now(UTC) + timedelta(hours=1))
        await asyncio.sleep(0.2)
    fact = next(fact for fact in await world.facts(job) if isinstance(fact, e.ReviewReleased))
    assert (fact.pause, fact.refunded) == (pause, True)
    assert (await world.row(other)).attempt == 0
    until_when = await world.pool.fetchval(f"select paused_until from {table}")
    assert 50 < (until_when - datetime.now(UTC)).total_seconds() <= 60


async def test_no_pause_is_longer_than_the_policy_allows(world: World) -> None:
    job = await world.request()
    async with world.running(world.worker(raises(ProviderRateLimited("Never.", retry_after=1e15)))):
        await until_told(world, job, "ReviewReleased")
    assert (await until(world, job, "queued")).run_at < datetime.now(UTC) + timedelta(hours=1, seconds=5)


async def test_limits_without_end_fail_the_job_in_the_end(world: World) -> None:
    policy = RetryPolicy(base_seconds=0.0, longest_wait_seconds=0.0, max_releases=2)
    job = await world.request()
    async with world.running(world.worker(raises(GitHubRateLimited("Slow down.")), policy=policy)):
        row = await until(world, job, "failed")
    assert (await world.told(job)).count("ReviewStarted") == 5
    assert "put back 4 times" in (row.reason or "")


async def test_what_is_not_wanted_ends_as_the_steps_say(world: World) -> None:
    job = await world.request()
    async with world.running(world.worker(raises(NotWanted(e.ReviewSkipped(reason="on purpose"))))):
        row = await until(world, job, "skipped")
    assert row.reason == "on purpose"


async def test_a_review_past_its_time_is_cut_off_and_tried_again(world: World) -> None:
    job, review = await world.request(), Hangs()
    async with world.running(world.worker(review, review_timeout=0.1)):
        await until(world, job, "failed")
    failures = [fact for fact in await world.facts(job) if isinstance(fact, e.ReviewFailed)]
    assert {failure.code for failure in failures} == {"deadline"}
    assert len(failures) == review.cancelled == 3


async def test_an_ending_is_written_once_the_database_is_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decide, faults = Story.decide, [OperationalError("gone"), OperationalError("gone")]

    async def faulty(self: Story, *arguments: object) -> None:
        if faults:
            raise faults.pop()
        await decide(self, *arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(Story, "decide", faulty)
    job = await world.request()
    async with world.running(world.worker(raises(ProviderMisconfigured("bad key")))):
        await until(world, job, "failed")
    assert (await world.told(job)).count("ReviewFailed") == 1


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("concurrency", "per_installation", "most"), [(3, 1, 1), (2, 9, 2)])
async def test_no_more_reviews_run_at_a_time_than_are_allowed(
    world: World, concurrency: int, per_installation: int, most: int
) -> None:
    running, highest, full = 0, 0, asyncio.Event()

    async def review(story: Story) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        if running >= most:
            full.set()
        await full.wait()
        await asyncio.sleep(0.05)  # for one too many to come
        running -= 1
        await completes(story)

    for _ in range(4):
        await world.open()
    jobs = [await world.request(number) for number in range(1, 6)]
    worker = world.worker(review, concurrency=concurrency, per_installation=per_installation)
    async with world.running(worker):
        for job in jobs:
            await until(world, job, "completed")
    assert highest == most


# --- stopping ---------------------------------------------------------------------------------------------------------


async def test_stopping_lets_a_running_review_finish(world: World) -> None:
    job, begun = await world.request(), asyncio.Event()

    async def review(story: Story) -> None:
        begun.set()
        await asyncio.sleep(0.2)
        await completes(story)

    worker = world.worker(review)
    async with world.running(worker):
        await begun.wait()
        await worker.stop()
        assert worker.busy == 0
    assert (await world.told(job))[-1] == "ReviewCompleted"


async def test_stopping_hands_back_what_does_not_finish_and_refunds_the_attempt(world: World) -> None:
    job, review = await world.request(), Hangs()
    worker = world.worker(review)
    async with world.running(worker):
        await review.begun.wait()
        await worker.stop(0.1)
        await asyncio.sleep(0.2)  # and it claims nothing more
    row = await until(world, job, "queued")
    assert (row.attempt, review.cancelled) == (0, 1)
    fact = await last(world, job)
    assert isinstance(fact, e.ReviewReleased)
    assert (fact.refunded, fact.reason) == (True, "the worker stops")


async def test_a_second_stop_does_not_wait(world: World) -> None:
    job, review = await world.request(), Hangs()
    worker = world.worker(review)
    async with world.running(worker):
        await review.begun.wait()
        first = asyncio.create_task(worker.stop(600))
        await asyncio.sleep(0)
        await asyncio.wait_for(worker.stop(0), 5)
        await asyncio.wait_for(first, 5)
    assert (await world.told(job))[-1] == "ReviewReleased"


async def test_an_ending_that_is_being_written_is_not_cut_off_by_a_stop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, decide = asyncio.Event(), Story.decide

    async def slow(self: Story, *arguments: object) -> None:
        writing.set()
        await asyncio.sleep(0.2)
        await decide(self, *arguments)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(Story, "decide", slow)
    job = await world.request()
    worker = world.worker(raises(ProviderMisconfigured("bad key")))
    async with world.running(worker):
        await writing.wait()
        await worker.stop(0)
    assert await world.told(job) == ["ReviewRequested", "ReviewStarted", "ReviewFailed"]


# --- workers that are gone --------------------------------------------------------------------------------------------


async def test_a_job_of_a_worker_that_is_gone_is_taken_over_at_once(world: World) -> None:
    job = await world.request()
    await world.claim("gone")
    async with world.running(world.worker(completes)):
        row = await until(world, job, "completed")
    assert (row.attempt, row.claim_no) == (2, 2)
    codes = [fact.code for fact in await world.facts(job) if isinstance(fact, e.ReviewFailed)]
    assert codes == ["worker_lost"]


async def test_a_job_that_kills_every_worker_fails_for_good(world: World) -> None:
    job = await world.request()
    for _ in range(3):
        await world.claim("gone")
        sweeper = world.worker(completes)
        await sweeper._processes.enlist()
        await sweeper._sweep()
    row = await world.row(job)
    assert (row.state, row.reason) == ("failed", "The worker that had the review stopped working.")


async def test_a_job_of_a_living_worker_past_its_deadline_is_taken_from_it(world: World) -> None:
    job, review = await world.request(), Hangs()
    worker = world.worker(review)
    async with world.running(worker):
        await review.begun.wait()
        await world.row(job)
        await world.pool.execute("update jobs set deadline = now() - interval '1 second'")
        await until_told(world, job, "ReviewFailed")
        await wait_until(lambda: review.cancelled, what="the old review being dropped")
    first = next(fact for fact in await world.facts(job) if isinstance(fact, e.ReviewFailed))
    assert first.code == "deadline"


async def assert_only_the_sweep_ends(world: World, job: UUID) -> None:
    """The review itself says nothing of its ending; any worker's sweep, this one's too, then finds it lost."""
    await until_told(world, job, "ReviewFailed")
    failed = [fact for fact in await world.facts(job) if isinstance(fact, e.ReviewFailed)]
    assert [fact.code for fact in failed] == ["worker_lost"]
    assert await world.told(job) == ["ReviewRequested", "ReviewStarted", "ReviewFailed"]


async def test_a_worker_that_was_declared_dead_drops_its_reviews_and_writes_nothing_of_them(world: World) -> None:
    job, review = await world.request(), Hangs()
    worker = world.worker(review)
    async with world.running(worker):
        await review.begun.wait()
        worker._draining = True
        await world.pool.execute("delete from worker")
        await wait_until(lambda: review.cancelled, what="the review being dropped")
        await wait_until(lambda: worker.busy == 0)
        await assert_only_the_sweep_ends(world, job)
        await wait_until(lambda: world.pool.fetchval("select count(*) from worker"), what="a new registration")


async def test_a_worker_that_cannot_beat_drops_its_reviews_before_its_lease_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, review = await world.request(), Hangs()
    worker = world.worker(review, lease=0.6)
    async with world.running(worker):
        await review.begun.wait()

        async def unreachable() -> bool:
            raise OperationalError("gone")

        monkeypatch.setattr(worker._processes, "beat", unreachable)
        await wait_until(lambda: review.cancelled, what="the review being dropped", seconds=5)
        await assert_only_the_sweep_ends(world, job)


# --- no longer wanted -------------------------------------------------------------------------------------------------


async def close(world: World) -> None:
    closed = e.PullRequestClosed(
        installation=42,
        repository_id=world.standin.repository(REPO).id,
        repository=REPO,
        pull_request=1,
        merged=False,
        at=datetime.now(UTC) + timedelta(seconds=5),
    )
    await append(world.log, uuid4(), closed)


async def test_a_running_review_of_a_closed_pull_request_is_cancelled(world: World) -> None:
    job, review = await world.request(), Hangs()
    async with world.running(world.worker(review)):
        await review.begun.wait()
        await close(world)
        row = await until(world, job, "cancelled")
    assert (row.reason, review.cancelled) == ("closed", 1)


async def test_a_waiting_review_of_a_closed_pull_request_is_ended_without_a_start(world: World) -> None:
    job = await world.request()
    await close(world)
    assert (await world.row(job)).state == "ending"
    async with world.running(world.worker(completes)):
        await until(world, job, "cancelled")
    assert await world.told(job) == ["ReviewRequested", "ReviewCancelled"]


async def test_a_running_review_gives_way_to_a_newer_push(world: World) -> None:
    job, review = await world.request(), Hangs()

    async def first_hangs(story: Story) -> None:
        await (review(story) if story.row.job == job else completes(story))

    async with world.running(world.worker(first_hangs)):
        await review.begun.wait()
        world.standin.world.advance(60)
        await world.standin.push(REPO, 1, "later")
        newer = await world.request()
        await until(world, job, "superseded")
        await until(world, newer, "completed")
    assert await last(world, job) == e.ReviewSuperseded(by=newer)


def test_a_cancelled_job_is_cancelled_even_when_a_newer_one_took_its_place() -> None:
    newer = uuid4()
    assert unwanted(newer, "closed") == e.ReviewCancelled(reason="closed")
    assert unwanted(newer, None) == e.ReviewSuperseded(by=newer)
    assert unwanted(None, None) is None


# --- the loops --------------------------------------------------------------------------------------------------------


async def test_the_loops_survive_every_fault_of_the_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {"claim": 2, "lost": 2, "ending": 2, "standing": 2}

    def faulty(name: str) -> None:
        real = getattr(__import__("projections.jobs.read", fromlist=[name]), name)

        async def ask(*arguments: object, **options: object) -> object:
            if faults[name] > 0:
                faults[name] -= 1
                raise ConnectionError("the database restarts")
            return await real(*arguments, **options)

        monkeypatch.setattr(f"projections.jobs.read.{name}", ask)

    for name in faults:
        faulty(name)
    job = await world.request()

    async def review(story: Story) -> None:
        await wait_until(lambda: faults["standing"] == 0)
        await completes(story)

    async with world.running(world.worker(review)):
        await until(world, job, "completed")
        await wait_until(lambda: not any(faults.values()))
