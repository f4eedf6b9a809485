"""Model calls: what each cost, and whether a review came of its answer, whatever happened in between."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from projections.projector import step
from projections.rebuild import rebuild
from projections.usage.project import Usage
from projections.usage.read import spent
from schema import events as e
from schema.log import Log
from tests.helpers import HEAD, START, append, meta
from tests.projections.ground import table

START_AGAIN = e.ReviewStarted(attempt=1, claim_no=1, worker=UUID(int=1), deadline=START)
TRIED_AGAIN = e.ReviewFailed(code="x", reason="y", retry_at=START)
POSTED = e.ReviewPosted(review_id=1, url="u", comments=0)
COMPLETED = e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success")
SUPERSEDED = e.ReviewSuperseded()
FAILED = e.ReviewFailed(code="x", reason="y")
CANCELLED = e.ReviewCancelled(reason="closed")


def asked(prompt: str) -> e.ModelAsked:
    return e.ModelAsked(call=1, provider="p", model="m", prompt=prompt, prompt_version="1")


def answered(prompt: str, **changes: Any) -> e.AnswerReceived:
    told: dict[str, Any] = {"answer": "a", "finish": "complete", "cost_usd": Decimal("0.25"), "price_table": "list"}
    return e.AnswerReceived(call=1, provider="p", model="m-1", prompt=prompt, input_tokens=7, **(told | changes))


def unanswered(prompt: str) -> e.ModelCallFailed:
    return e.ModelCallFailed(call=1, provider="p", model="m", prompt=prompt, code="ProviderUnavailable")


def prepared(*prompts: str) -> e.ReviewPrepared:
    return e.ReviewPrepared(head_sha=HEAD, findings=0, inline=0, plan="p", conclusion="success", prompts=prompts)


async def project(pool: asyncpg.Pool[asyncpg.Record], page: int = 1_000) -> None:
    """Fold what there is, into this projection alone."""
    async with pool.acquire() as connection:
        while await step(connection, Usage(), page):
            pass


async def calls(pool: asyncpg.Pool[asyncpg.Record], job: UUID) -> list[tuple[str, str, str]]:
    await project(pool)
    query = "select prompt, outcome, use from model_calls where job = $1 order by position"
    return [tuple(row) for row in await pool.fetch(query, job)]


async def test_a_call_has_what_it_cost_and_whose_it_was(pool: asyncpg.Pool[asyncpg.Record], log: Log) -> None:
    job = uuid4()
    last = await append(log, job, asked("one"), answered("one"), about=meta(installation=5))
    await project(pool)
    row = await pool.fetchrow("select * from model_calls")
    assert row is not None
    assert (row["job"], row["position"], row["installation"]) == (job, last - 1, 5)
    assert (row["provider"], row["model"], row["input_tokens"]) == ("p", "m-1", 7)
    assert (row["cost_usd"], row["price_table"]) == (Decimal("0.25"), "list")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([asked("1")], [("1", "asked", "open")]),
        ([asked("1"), answered("1")], [("1", "answered", "open")]),
        ([asked("1"), unanswered("1")], [("1", "failed", "unused")]),
        ([asked("1"), answered("1"), prepared("1")], [("1", "answered", "open")]),
        ([asked("1"), answered("1"), prepared("1"), POSTED], [("1", "answered", "used")]),
        ([asked("1"), answered("1"), prepared("1"), COMPLETED], [("1", "answered", "used")]),
        ([asked("1"), answered("1"), prepared(), COMPLETED], [("1", "answered", "used")]),
        ([asked("1"), answered("1"), prepared("1"), POSTED, SUPERSEDED], [("1", "answered", "used")]),
        ([asked("1"), answered("1"), prepared("1"), SUPERSEDED], [("1", "answered", "unused")]),
        ([asked("1"), answered("1"), TRIED_AGAIN], [("1", "answered", "open")]),
        ([asked("1"), answered("1"), FAILED], [("1", "answered", "unused")]),
        ([asked("1"), SUPERSEDED], [("1", "asked", "unused")]),
        ([asked("1"), CANCELLED], [("1", "asked", "unused")]),
        (
            [asked("1"), answered("1"), asked("1"), answered("1"), prepared("1"), COMPLETED],
            [("1", "answered", "unused"), ("1", "answered", "used")],
        ),
        (
            [asked("1"), START_AGAIN, asked("1"), answered("1"), prepared("1"), COMPLETED],
            [("1", "asked", "unused"), ("1", "answered", "used")],
        ),
        (
            [asked("1"), answered("1"), asked("2"), answered("2"), prepared("2"), COMPLETED],
            [("1", "answered", "unused"), ("2", "answered", "used")],
        ),
        (
            [asked("1"), answered("1"), prepared("1"), asked("2"), answered("2"), prepared("2"), POSTED],
            [("1", "answered", "unused"), ("2", "answered", "used")],
        ),
    ],
)
@pytest.mark.parametrize("page", [1, 1_000])
async def test_an_answer_is_of_use_when_the_posted_review_was_made_from_it(
    pool: asyncpg.Pool[asyncpg.Record], log: Log, facts: list[e.Fact], expected: list[tuple[str, str, str]], page: int
) -> None:
    job = uuid4()
    await append(log, job, *facts)
    await project(pool, page)
    assert await calls(pool, job) == expected


async def test_what_was_spent_is_told_by_day_week_and_month(pool: asyncpg.Pool[asyncpg.Record], log: Log) -> None:
    for _ in range(4):
        await append(log, uuid4(), asked("1"), answered("1", cost_usd=Decimal("1.5")), about=meta(installation=5))
    await project(pool)
    starts = "select array_agg(date_trunc(name, now() at time zone 'UTC') at time zone 'UTC') from {} name"
    day, week, month = await pool.fetchval(starts.format("unnest(array['day', 'week', 'month'])"))
    hour = timedelta(hours=1)
    moments = [day, day - hour, week - hour, month - hour]
    for moment, position in zip(moments, [1, 3, 5, 7], strict=True):
        await pool.execute("update model_calls set asked_at = $1 where position = $2", moment, position)
    found = {each.span: each for each in await spent(pool, 5)}
    for name, since in (("day", day), ("week", week), ("month", month)):
        assert found[name].usd == sum(Decimal("1.5") for moment in moments if moment >= since)
        assert found[name].until > datetime.now(UTC)
    assert found["day"].until == day + timedelta(days=1)
    assert found["week"].until == week + timedelta(days=7)
    assert found["month"].until.day == 1


async def test_a_rebuild_gives_the_same_calls(database: str, pool: asyncpg.Pool[asyncpg.Record], log: Log) -> None:
    chance = random.Random(7)
    kinds = [
        asked("1"),
        answered("1"),
        unanswered("1"),
        asked("2"),
        answered("2", cost_usd=None),
        prepared("1"),
        POSTED,
    ]
    for _ in range(20):
        await append(log, uuid4(), *chance.choices([*kinds, SUPERSEDED, FAILED, TRIED_AGAIN], k=9))
        async with pool.acquire() as connection:
            await step(connection, Usage(), chance.choice([1, 3, 50]))
    await project(pool)
    live = await table(pool, "model_calls")
    assert len(live) > 20
    await rebuild(database, Usage())
    assert await table(pool, "model_calls") == live
