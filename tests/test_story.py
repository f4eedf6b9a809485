"""A job's stream under one claim: fenced, repeated safely, and never written by two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent

from reviewbot import story as stories
from reviewbot.review import ReviewJob
from reviewbot.story import FenceLost, Story, end_unclaimed
from schema import events as e
from schema.inbox import Artifact, Delivery
from schema.log import Log, Meta
from tests.demo.hub import INSTALLATION
from tests.helpers import append
from tests.world import World

COMPLETED = e.ReviewCompleted(head_sha="a" * 40, findings=0, conclusion="success")


class Faulty(Log):
    """The log behind a database that fails at one append: before the commit, or after it with the reply lost."""

    def __init__(self, log: Log, *, committed: bool) -> None:
        super().__init__(log._pool)
        self.faults, self.committed = 1, committed

    async def append(
        self,
        events: Sequence[StoredEvent],
        meta: Meta,
        *,
        delivery: Delivery | None = None,
        artifacts: Sequence[Artifact] = (),
    ) -> int:
        position = 0
        if self.committed or not self.faults:
            position = await super().append(events, meta, artifacts=artifacts)
        if self.faults:
            self.faults -= 1
            raise OperationalError("the connection is gone")
        return position


async def test_what_is_recorded_continues_the_stream_with_its_claim_as_the_cause(world: World) -> None:
    job = await world.request()
    row = await world.claim()
    story = world.story(row)
    artifact = await world.vault.pack(INSTALLATION, "plan", b"what will be posted")
    prepared = e.ReviewPrepared(head_sha="a" * 40, findings=0, inline=0, plan=artifact.ref, conclusion="success")
    await story.record(prepared, [artifact])
    *_, last = await world.log.read_stream(job)
    assert (last.version, last.topic, last.actor) == (3, "ReviewPrepared", "worker:one")
    assert (last.correlation, last.installation, last.causation) == (
        row.correlation,
        INSTALLATION,
        row.started_position,
    )
    assert await world.vault.read_artifact(INSTALLATION, artifact.ref) == b"what will be posted"


async def test_a_story_whose_job_was_claimed_again_writes_nothing(world: World) -> None:
    job = await world.request()
    first = world.story(await world.claim())
    await first.load()
    await world.hand_back(first.row)
    second = world.story(await world.claim("two"))
    before = await world.told(job)
    for attempt in (first.load, first.fence, lambda: first.record(COMPLETED)):
        with pytest.raises(FenceLost):
            await attempt()
    assert await world.told(job) == before
    await second.record(COMPLETED)
    assert (await world.told(job))[-1] == "ReviewCompleted"


@pytest.mark.parametrize(
    "ending", [COMPLETED, e.ReviewCancelled(reason="closed"), e.ReviewFailed(code="c", reason="r")]
)
async def test_a_story_that_somebody_else_ended_writes_nothing(world: World, ending: e.Fact) -> None:
    job = await world.request()
    row = await world.claim()
    slow = world.story(row)
    await slow.load()
    await world.story(row).record(ending)
    with pytest.raises(FenceLost):
        await slow.record(COMPLETED)
    assert (await world.told(job))[2:] == [ending.TOPIC]


async def test_a_repeated_request_in_between_is_no_reason_to_stop(world: World) -> None:
    job = await world.request()
    story = world.story(await world.claim())
    await story.load()
    await world.request(asked_at=datetime.now(UTC) + timedelta(hours=1))
    await story.record(COMPLETED)
    assert (await world.told(job))[2:] == ["ReviewRequested", "ReviewCompleted"]


async def test_the_fence_reads_nothing_anew_while_nothing_has_happened(world: World) -> None:
    await world.request()
    story = world.story(await world.claim())
    await story.load()
    before = story.job
    await story.fence()
    assert story.job is before


async def test_a_stream_that_changes_all_the_time_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await world.request()
    story = world.story(await world.claim())

    async def somebody_is_quicker(*_: object, **__: object) -> int:
        raise IntegrityError

    monkeypatch.setattr(world.log, "append", somebody_is_quicker)
    with pytest.raises(FenceLost, match="changes faster"):
        await story.record(COMPLETED)
    assert len(await world.told(job)) == 2


async def test_an_append_that_failed_can_be_repeated(world: World) -> None:
    job = await world.request()
    story = Story(Faulty(world.log, committed=False), await world.claim(), "worker:one")
    with pytest.raises(OperationalError):
        await story.record(COMPLETED)
    await story.record(COMPLETED)
    assert (await world.told(job))[2:] == ["ReviewCompleted"]


async def test_an_ending_that_was_stored_though_the_reply_was_lost_is_not_stored_twice(world: World) -> None:
    job = await world.request()
    story = Story(Faulty(world.log, committed=True), await world.claim(), "worker:one")
    with pytest.raises(OperationalError):
        await story.record(COMPLETED)
    with pytest.raises(FenceLost):
        await story.record(COMPLETED)
    assert (await world.told(job))[2:] == ["ReviewCompleted"]


async def test_a_twin_that_does_not_read_before_it_repeats_writes_after_the_ending(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defect that the test above would catch."""

    async def hasty(story: Story) -> None:
        story.job = ReviewJob.replay(story.row.job, await story._log.read_stream(story.row.job))
        story._stale = False

    monkeypatch.setattr(stories.Story, "load", hasty)
    job = await world.request()
    story = Story(Faulty(world.log, committed=True), await world.claim(), "worker:one")
    with pytest.raises(OperationalError):
        await story.record(COMPLETED)
    await story.record(COMPLETED)
    assert (await world.told(job))[2:] == ["ReviewCompleted"] * 2


# --- asking for another head ------------------------------------------------------------------------------------------


async def test_the_head_that_is_there_now_is_asked_for_once(world: World) -> None:
    await world.request()
    story = world.story(await world.claim())
    other = uuid4()
    fact = _request_of(world)
    await story.request(fact, other)
    await story.request(fact, other)
    assert await world.told(other) == ["ReviewRequested"]


async def test_a_head_that_came_back_has_its_ended_job_opened_again(world: World) -> None:
    old = uuid4()
    asked = _request_of(world)
    await append(world.log, old, asked, e.ReviewSuperseded())
    await world.request()
    story = world.story(await world.claim())
    await story.request(_request_of(world, after=timedelta(seconds=1)), old)
    assert await world.told(old) == ["ReviewRequested", "ReviewSuperseded", "ReviewRequested"]


def _request_of(world: World, after: timedelta = timedelta()) -> e.ReviewRequested:
    return e.ReviewRequested(
        installation=INSTALLATION,
        repository_id=world.standin.repository("acme/shop").id,
        repository="acme/shop",
        pull_request=1,
        head_sha=world.commits.forced,
        trigger="synchronize",
        asked_at=datetime(2026, 1, 1, tzinfo=UTC) + after,
    )


# --- jobs that nobody had ---------------------------------------------------------------------------------------------


async def test_a_waiting_job_is_ended_once_by_whoever_comes_first(world: World) -> None:
    job = await world.request()
    row = await world.row(job)
    for actor in ("worker:one", "worker:two"):
        await end_unclaimed(world.log, row, e.ReviewCancelled(reason="closed"), actor)
    assert await world.told(job) == ["ReviewRequested", "ReviewCancelled"]


async def test_a_job_that_was_claimed_or_asked_for_meanwhile_is_not_ended(world: World) -> None:
    job = await world.request()
    waiting = await world.row(job)
    await world.request(asked_at=datetime.now(UTC) + timedelta(hours=1))
    await end_unclaimed(world.log, waiting, e.ReviewCancelled(reason="closed"), "worker:one")
    waiting = await world.row(job)
    await world.claim()
    await end_unclaimed(world.log, waiting, e.ReviewCancelled(reason="closed"), "worker:one")
    assert await world.told(job) == ["ReviewRequested", "ReviewRequested", "ReviewStarted"]
