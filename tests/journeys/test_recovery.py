"""The service makes good by itself what it missed while it was down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.journeys.rig import Place, Rig, make_rig

HALF_AN_HOUR = 1_800.0


@pytest.fixture
async def rig(database: str, shop: Path) -> AsyncIterator[Rig]:
    async with make_rig(database, shop) as rig:
        yield rig


def left_alone(place: Place) -> None:
    """A pull request of which nobody was told, and to which nothing has happened for a while."""
    pull = place.rig.standin.pull(place.name, 1)
    place.rig.standin.installation(place.rig.standin.repository(place.name).installation.id).created_at -= 86_400
    pull.created_at = pull.updated_at = pull.updated_at - HALF_AN_HOUR


async def test_a_delivery_that_was_missed_is_reviewed_after_a_start(rig: Rig) -> None:
    place = await rig.new_place()
    await place.open()  # nobody listens
    await rig.serve()
    await place.ends("completed", seconds=20)
    assert len(place.reviews()) == 1


async def test_a_worker_recovers_what_another_process_receives_and_sweeps_what_was_never_sent(rig: Rig) -> None:
    place, silent = await rig.new_place(), await rig.new_place()
    await place.open()
    rig.standin.webhooks.mode = "held"
    await silent.open()
    rig.standin.webhooks.mode = "normal"
    left_alone(silent)
    await rig.serve("web", instance="door")
    await rig.serve("projector", instance="reader")
    await rig.serve("worker", instance="hands")
    await place.ends("completed", seconds=20)
    await silent.ends("completed", seconds=20)
    assert [job.trigger for job in await silent.jobs()] == ["sweep"]
    assert (len(place.reviews()), len(silent.reviews())) == (1, 1)
