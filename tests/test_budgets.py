"""Budgets: an installation that has spent its own waits, loses nothing, says so everywhere, and goes on by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from projections.jobs import read
from projections.jobs.rows import Job
from reviewbot.app import check_prices
from reviewbot.audit.why import Limits, known, why
from reviewbot.budgets import OverBudget
from reviewbot.config import BudgetSettings, load
from reviewbot.errors import ConfigError, GitHubUnavailable
from reviewbot.prices import parse_rates
from schema import events as e
from tests.demo.hub import INSTALLATION, REPO
from tests.helpers import append, meta, project, wait_until
from tests.test_config import COMPLETE
from tests.world import World, visible

DOLLAR = parse_rates("fake-1=1000/0")  # a call of the model has 1,000 tokens: it costs a dollar
DAY, WEEK = BudgetSettings(day=1), BudgetSettings(week=2)


async def review_all(world: World, *jobs: UUID, state: str) -> list[Job]:
    """Let workers work until these jobs are in this state and have been tried."""

    async def there() -> list[Job]:
        rows = [await world.row(job) for job in jobs]
        return rows if all(row.state == state and row.claim_no for row in rows) else []

    async with world.running(world.worker(world.steps(prices=DOLLAR).review)):
        return await wait_until(there, what=f"the jobs being {state}")


async def spent_a_dollar(world: World) -> None:
    await review_all(world, await world.request(), state="completed")


async def ask_for_another(world: World) -> UUID:
    return await world.request(await world.open("forced"))


async def test_a_review_within_the_budget_is_made(world: World) -> None:
    world.budgets = BudgetSettings(day=1, week=1, month=1)
    await spent_a_dollar(world)
    assert len(visible(world.standin)) == 1


async def test_over_budget_nothing_is_asked_and_nothing_lost(world: World) -> None:
    world.budgets = DAY
    await spent_a_dollar(world)
    job = await ask_for_another(world)
    (row,) = await review_all(world, job, state="queued")
    assert len(world.provider.prompts) == 1
    assert (row.attempt, row.releases) == (0, 0), "however often it is held back, it costs neither attempt nor patience"
    told = (await world.facts(job))[-1]
    assert isinstance(told, e.ReviewReleased)
    midnight = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert (told.budget, told.pause, told.retry_at) == ("day", "installation", midnight)
    assert world.metrics.registry.get_sample_value("reviewbot_budget_holds_total", {"budget": "day"}) == 1


async def test_of_several_budgets_that_are_used_up_the_last_to_end_holds(world: World) -> None:
    world.budgets = BudgetSettings(day=1, week=1, month=5)
    await spent_a_dollar(world)
    with pytest.raises(OverBudget, match="for the week is used up") as over:
        await world.limited(world.budgets).check(INSTALLATION)
    assert over.value.until.weekday() == 0


async def test_the_money_of_others_is_not_counted(world: World) -> None:
    world.budgets = DAY
    await spent_a_dollar(world)
    await world.limited(DAY).check(INSTALLATION + 1)


async def test_an_answer_counts_before_the_projection_has_seen_it(world: World) -> None:
    answer = e.AnswerReceived(
        call=1,
        provider="p",
        model="m",
        prompt="p",
        answer="a",
        finish="complete",
        cost_usd=Decimal("2.5"),
        price_table="t",
    )
    await append(world.log, UUID(int=1), answer, about=meta(installation=INSTALLATION))
    with pytest.raises(OverBudget):
        await world.limited(WEEK).check(INSTALLATION)
    await world.limited(BudgetSettings(week=3)).check(INSTALLATION)


async def test_the_check_runs_of_all_that_wait_say_why_and_until_when(world: World) -> None:
    world.budgets = DAY
    await spent_a_dollar(world)
    job, other = await ask_for_another(world), await world.request(await world.open("later"))
    keeper = world.keeper()
    await keeper.step()
    await review_all(world, job, state="queued")
    assert await keeper.step()
    shown = {run.external_id: run for run in world.standin.check_runs(REPO)}
    for each in (job, other):
        run = shown[str(each)]
        assert run.status == "queued"
        assert "for the day is used up. Reviews go on by themselves at " in run.output.summary
    assert not await keeper.step(), "and they are told once"


async def test_why_tells_it(world: World) -> None:
    world.budgets = DAY
    await spent_a_dollar(world)
    await review_all(world, await ask_for_another(world), state="queued")
    await project(world.pool)
    limits = Limits(1, 30.0)
    (answer,) = why(await known(world.pool, REPO, 2, limits), limits)
    assert answer.verdict == "waiting"
    assert any("is paused until" in each and "for the day is used up" in each for each in answer.sentences)


@pytest.mark.parametrize("budgets", [BudgetSettings(day=2), BudgetSettings()], ids=["raised", "lifted"])
async def test_a_higher_budget_lets_what_waits_go_on(world: World, budgets: BudgetSettings) -> None:
    world.budgets = DAY
    await spent_a_dollar(world)
    job = await ask_for_another(world)
    await review_all(world, job, state="queued")
    await world.limited(DAY).resume()
    assert await read.held(world.pool) == [INSTALLATION], "the same budget changes nothing"
    world.budgets = budgets
    await world.limited(budgets).resume()
    await project(world.pool)
    assert await read.held(world.pool) == []
    (row,) = await review_all(world, job, state="completed")
    assert row.attempt == 1
    assert len(visible(world.standin, 2)) == 1


async def test_a_plan_that_is_paid_for_is_posted_whatever_the_budget(world: World) -> None:
    world.budgets = DAY
    job, row = await world.request(), await world.claim()
    story, trouble = world.story(row), world.standin.trouble("POST /repos/*/reviews", "unavailable", times=1_000)
    await story.load()
    with pytest.raises(GitHubUnavailable):
        await world.steps(prices=DOLLAR).review(story)
    trouble.times = 0
    await world.hand_back(row)
    await review_all(world, job, state="completed")
    assert len(visible(world.standin)) == 1


async def test_a_hold_ends_with_its_time(world: World) -> None:
    job = await world.request()
    row = await world.claim()
    soon = datetime.now(UTC) - timedelta(seconds=1)
    story = world.story(row)
    await story.decide(lambda each: each.hold("used up", "day", soon))
    assert (await world.claim()).job == job


def test_a_budget_for_a_model_without_a_price_is_refused_at_the_start() -> None:
    mine = {"PROVIDER": "openai-compatible", "OPENAI_BASE_URL": "http://127.0.0.1:1", "MODEL": "mine"}
    limited = {**COMPLETE, **mine, "BUDGET_DAY_USD": "5"}
    with pytest.raises(ConfigError, match="MODEL_PRICES=mine=INPUT/OUTPUT"):
        check_prices(load(limited))
    check_prices(load({**limited, "MODEL_PRICES": "mine=1/2"}))
    check_prices(load({**limited, "BUDGET_DAY_USD": "0"}))
    check_prices(load({**COMPLETE, "BUDGET_DAY_USD": "5"}))
    check_prices(load({**COMPLETE, "OPENAI_API_KEY": "key", "BUDGET_DAY_USD": "5"}))
