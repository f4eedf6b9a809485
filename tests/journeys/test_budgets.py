"""A budget on the whole way: who has spent it waits and says so, others go on, and a higher one lets all go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers import wait_until
from tests.journeys.rig import Place, Rig, make_rig

pytestmark = pytest.mark.xdist_group("journeys")


@pytest.fixture
async def rig(database: str, shop: Path) -> AsyncIterator[Rig]:
    # a prompt has 100 tokens for this model: a call costs a dollar
    async with make_rig(database, shop, MODEL_PRICES="some-model=10000/0", BUDGET_DAY_USD=1) as rig:
        yield rig


async def until_held(place: Place, number: int) -> None:
    async def said() -> bool:
        head = place.rig.standin.pull(place.name, number).head_sha
        runs = [run for run in place.check_runs() if run.head_sha == head and run.status == "queued"]
        return any("for the day is used up. Reviews go on by themselves at " in run.output.summary for run in runs)

    await wait_until(said, seconds=20, what="a Check Run that says why the review waits")


async def test_over_budget_reviews_wait_and_a_higher_budget_lets_them_go_on(rig: Rig) -> None:
    process = await rig.serve()
    spender, other = await rig.new_place(), await rig.new_place()
    await spender.open(title="Within")
    await spender.ends("completed")
    await spender.open("later", title="Beyond")
    await until_held(spender, 2)
    await other.open(title="Of another installation")
    await other.ends("completed")
    assert rig.model.calls["Beyond"] == 0
    assert await process.stop() == 0
    await rig.serve(BUDGET_DAY_USD=2)
    (job,) = await spender.ends("completed", number=2)
    assert (job.attempt, job.releases) == (1, 0)
    assert len(spender.reviews(2)) == 1
