"""The story of a job and of a pull request, from the log alone."""

from __future__ import annotations

from reviewbot.audit.history import history, jobs_of
from tests.demo.hub import REPO
from tests.helpers import project
from tests.world import World


async def test_the_history_of_a_job_has_its_check_runs_in_between(world: World) -> None:
    job = await world.request()
    keeper = world.keeper()
    await keeper.step()
    story = world.story(await world.claim())
    await story.load()
    await world.steps().review(story)
    await project(world.pool)
    await keeper.step()
    topics = [event.topic for event in await history(world.log, job)]
    assert topics[:4] == ["ReviewRequested", "CheckRunCreated", "ReviewStarted", "HeadResolved"]
    assert topics[-2:] == ["ReviewCompleted", "CheckRunConcluded"]


async def test_the_jobs_of_a_pull_request_come_in_the_order_of_their_requests_whatever_its_name_is_now(
    world: World,
) -> None:
    first = await world.request()
    await world.standin.push(REPO, 1, "later")
    second = await world.request()
    await world.open("forced")
    await world.request(2)
    assert await jobs_of(world.pool, REPO, 1) == [first, second]
    assert await jobs_of(world.pool, "acme/other", 1) == []
