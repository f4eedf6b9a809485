"""GitHub's rate limits: recognised in every shape, obeyed to the second, remembered per installation."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aiohttp
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from reviewbot.errors import GitHubRateLimited, NotPermitted
from reviewbot.github.client import Client, GitHub
from reviewbot.github.limits import Gate
from reviewbot.github.models import AppRef
from reviewbot.github.replies import Reply
from reviewbot.metrics import Metrics
from tests.github.conftest import INSTALLATION
from tests.github.scripted import Answer, Hands, ScriptedGitHub, issued

THING = Answer({"id": 1})
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}


async def ask(client: Client) -> AppRef:
    return await client.get("/thing", {}, AppRef)


async def limited(client: Client) -> float:
    with pytest.raises(GitHubRateLimited) as caught:
        await ask(client)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "37"}, 37.0),
        ({"retry-after": "37", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000999"}, 37.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000120"}, 120.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000000"}, 1.0),
        ({"x-ratelimit-remaining": "0"}, 60.0),
        ({"x-ratelimit-remaining": "12", "x-ratelimit-reset": "1800000120"}, 60.0),
        ({"retry-after": "soon"}, 60.0),
        ({"retry-after": "99999999999"}, 86_400.0),
        ({"retry-after": "Fri, 15 Jan 2027 08:01:30 GMT", "date": "Fri, 15 Jan 2027 08:00:00 GMT"}, 90.0),
        # GitHub's clock counts, not ours, which is 8 hours ahead of it here.
        (
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1799971260", "date": "Fri, 15 Jan 2027 00:00:00 GMT"},
            60,
        ),
    ],
)
async def test_a_limit_is_recognised_and_its_wait_read(
    fake: ScriptedGitHub, client: Client, status: int, headers: dict[str, str], seconds: float
) -> None:
    # Without a Date of its own the server would add the real one.
    dated = {"date": "Fri, 15 Jan 2027 08:00:00 GMT", **headers}
    fake.script("GET", "/thing", Answer(SECONDARY, status=status, headers=dated))
    assert await limited(client) == seconds


async def test_nothing_is_sent_for_a_limited_installation_until_the_very_second(
    fake: ScriptedGitHub, github: GitHub, hands: Hands
) -> None:
    fake.script("GET", "/thing", Answer(SECONDARY, status=429, headers={"retry-after": "30"}), THING)
    assert await limited(github.installation(INSTALLATION, 1)) == 30
    sent = len(fake.seen)
    hands.turn(29)
    assert await limited(github.installation(INSTALLATION, 2)) == 1
    assert len(fake.seen) == sent
    hands.turn(1)
    assert (await ask(github.installation(INSTALLATION, 1))).id == 1


async def test_another_installation_is_not_held_back(fake: ScriptedGitHub, github: GitHub) -> None:
    fake.script("POST", "/app/installations/43/access_tokens", issued("ghs_other"))
    fake.script("GET", "/thing", Answer(SECONDARY, status=429, headers={"retry-after": "30"}), THING)
    await limited(github.installation(INSTALLATION))
    assert (await ask(github.installation(43))).id == 1


async def test_a_limit_on_issuing_tokens_holds_every_installation_back(fake: ScriptedGitHub, github: GitHub) -> None:
    tokens = f"/app/installations/{INSTALLATION}/access_tokens"
    fake.script("POST", tokens, Answer(SECONDARY, status=403, headers={"retry-after": "8"}))
    assert await limited(github.installation(INSTALLATION)) == 8
    assert await limited(github.installation(43)) == 8
    assert len(fake.seen) == 1


async def test_the_last_request_of_the_budget_succeeds_and_the_next_is_not_sent(
    fake: ScriptedGitHub, client: Client
) -> None:
    spent = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000300", "date": "Fri, 15 Jan 2027 08:00:00 GMT"}
    fake.script("GET", "/thing", Answer({"id": 1}, headers=spent))
    assert (await ask(client)).id == 1
    assert await limited(client) == 300
    assert len(fake.requests("GET", "/thing")) == 1


async def test_limits_without_a_hint_wait_longer_each_time_up_to_half_an_hour_and_start_anew_after_a_success(
    fake: ScriptedGitHub, client: Client, hands: Hands
) -> None:
    secondary = Answer(SECONDARY, status=403)
    fake.script("GET", "/thing", *[secondary] * 7, THING, secondary)
    waits = []
    for _ in range(7):
        waits.append(await limited(client))
        hands.turn(waits[-1])
    assert waits == [60, 120, 240, 480, 960, 1800, 1800]
    await ask(client)
    assert await limited(client) == 60


async def test_a_missing_permission_is_no_limit_even_when_it_uses_up_the_budget(
    fake: ScriptedGitHub, client: Client
) -> None:
    refused = {"message": "Resource not accessible by integration"}
    fake.script("GET", "/thing", Answer(refused, status=403, headers={"x-ratelimit-remaining": "0"}))
    with pytest.raises(NotPermitted):
        await ask(client)


# --- pace -------------------------------------------------------------------------------------------------------


async def test_an_idle_bot_writes_without_waiting_and_a_busy_one_is_held_to_eighty_a_minute(
    fake: ScriptedGitHub, session: aiohttp.ClientSession, pem: str, hands: Hands
) -> None:
    metrics = Metrics()
    github = GitHub(session, app_id=1, private_key=pem, api_url=fake.url, clock=hands.clock, metrics=metrics)
    client = github.installation(INSTALLATION)
    fake.script("POST", "/thing", Answer({"id": 1}, status=201))
    fake.script("GET", "/thing", THING)
    for _ in range(80):
        await client.post("/thing", {}, {}, AppRef)
    assert hands.slept == []
    with pytest.raises(GitHubRateLimited) as caught:
        await client.post("/thing", {}, {}, AppRef)
    assert caught.value.retry_after == 60
    assert (await ask(client)).id == 1  # reading goes on
    hands.turn(57)
    await client.post("/thing", {}, {}, AppRef)  # three seconds are slept off rather than handed on
    assert hands.slept == [3]
    assert metrics.registry.get_sample_value("reviewbot_github_wait_seconds_total") == 3


@settings(max_examples=50, deadline=None)
@given(pauses=st.lists(st.floats(min_value=0, max_value=400), min_size=1, max_size=30), burst=st.integers(1, 60))
@example(pauses=[61.0] * 12, burst=60)
async def test_no_minute_sees_more_than_eighty_writes_and_no_hour_more_than_five_hundred(
    pauses: list[float], burst: int
) -> None:
    hands = Hands()
    gate = Gate("x", hands.clock, Metrics())
    written: list[float] = []
    for pause in pauses:
        hands.turn(pause)
        for _ in range(burst):
            try:
                async with gate.passage(writes=True):
                    written.append(hands.now)
            except GitHubRateLimited:
                break
    for count, seconds in ((80, 60), (500, 3600)):
        for earlier, later in zip(written, written[count:], strict=False):
            assert later - earlier >= seconds - 1e-6


async def test_writes_of_one_installation_go_one_by_one_and_reads_at_most_four_at_once(hands: Hands) -> None:
    async def most_inside(*, writes: bool) -> int:
        gate = Gate("x", hands.clock, Metrics(), write_limits=())
        inside = most = 0

        async def one() -> None:
            nonlocal inside, most
            async with gate.passage(writes=writes):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(one() for _ in range(20)))
        return most

    assert await most_inside(writes=True) == 1
    assert await most_inside(writes=False) == 4


async def test_of_a_thousand_installations_only_those_with_something_to_remember_are_kept(
    fake: ScriptedGitHub, github: GitHub, hands: Hands
) -> None:
    fake.script("GET", "/thing", Answer(SECONDARY, status=429, headers={"retry-after": "3000"}))
    await limited(github.installation(INSTALLATION))
    for number in range(1000, 2500):
        github.installation(number)
    assert len(github._gates) <= 1001
    assert len(github._tokens) <= 1001
    assert await limited(github.installation(INSTALLATION)) == 3000
    assert len(fake.requests("GET", "/thing")) == 1


async def test_a_write_that_waits_for_its_turn_is_not_sent_when_a_limit_is_met_meanwhile(hands: Hands) -> None:
    gate = Gate("x", hands.clock, Metrics(), write_limits=((1, 4.0),))
    limit = Reply("GET /x", 429, CIMultiDict({"retry-after": "30"}), b"")

    async def sleep(seconds: float) -> None:
        hands.turn(seconds)
        with pytest.raises(GitHubRateLimited):
            gate.learn(limit)

    gate._clock = replace(hands.clock, sleep=sleep)
    async with gate.passage(writes=True):
        pass
    with pytest.raises(GitHubRateLimited) as caught:
        async with gate.passage(writes=True):
            pytest.fail("the write was let through")
    assert caught.value.retry_after == 30


async def test_writes_that_wait_leave_the_way_free_for_reads(hands: Hands) -> None:
    gate = Gate("x", hands.clock, Metrics())
    finish = asyncio.Event()

    async def write() -> None:
        async with gate.passage(writes=True):
            await finish.wait()

    writers = [asyncio.create_task(write()) for _ in range(8)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5), gate.passage(writes=False):
        finish.set()
    await asyncio.gather(*writers)
