"""Scripted trouble: each kind does what it says, as often as it was told to."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from reviewbot.demo.trouble import KINDS, parse_trouble
from reviewbot.errors import ConfigError
from tests.demo.hub import REPO, Commits, Hub

REVIEWS = f"/repos/{REPO}/pulls/1/reviews"
CREATE = "POST /repos/*/pulls/*/reviews"


async def ready(hub: Hub) -> None:
    await hub.open()
    hub.token = await hub.new_token()


async def test_a_502_after_the_work_leaves_the_work_done(hub: Hub) -> None:
    await ready(hub)
    rule = hub.standin.trouble(CREATE, "bad-gateway")
    assert (await hub.call("POST", REVIEWS, json={})).status == 502
    assert (len(hub.standin.reviews(REPO, 1)), rule.fired) == (1, 1)
    assert (await hub.call("POST", REVIEWS, json={})).status == 422


async def test_a_lost_reply_cuts_the_connection_after_the_work(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble(CREATE, "lost-reply")
    with pytest.raises(aiohttp.ClientError):
        await hub.call("POST", REVIEWS, json={})
    assert len(hub.standin.reviews(REPO, 1)) == 1
    lost = hub.standin.requests[-1]
    assert (lost.delivered, lost.status, lost.troubles) == (False, 200, ("lost-reply",))


async def test_a_dropped_connection_leaves_the_work_undone(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble(CREATE, "dropped")
    with pytest.raises(aiohttp.ClientError):
        await hub.call("POST", REVIEWS, json={})
    assert hub.standin.reviews(REPO, 1) == []
    assert (await hub.call("POST", REVIEWS, json={})).status == 200


async def test_a_hanging_request_gets_no_answer(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble(CREATE, "hang", seconds=0.3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await hub.call("POST", REVIEWS, json={})
    assert hub.standin.reviews(REPO, 1) == []


async def test_what_was_created_can_stay_out_of_the_next_lists(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble(CREATE, "delayed-visibility", requests=2)
    review = (await hub.call("POST", REVIEWS, json={"body": "x", "event": "COMMENT"})).json
    assert [len(await hub.get(REVIEWS)) for _ in range(3)] == [0, 0, 1]
    hub.standin.trouble("POST /repos/*/issues/*/comments", "delayed-visibility", seconds=60)
    await hub.call("POST", f"/repos/{REPO}/issues/1/comments", json={"body": "x"})
    assert await hub.get(f"/repos/{REPO}/issues/1/comments") == []
    hub.standin.world.advance(61)
    assert len(await hub.get(f"/repos/{REPO}/issues/1/comments")) == 1
    assert (await hub.get(f"{REVIEWS}/{review['id']}"))["id"] == review["id"]


@pytest.mark.parametrize(("status", "retry_after"), [(403, None), (403, 30), (429, None), (429, 7)])
async def test_a_secondary_limit_comes_with_or_without_retry_after(
    hub: Hub, status: int, retry_after: int | None
) -> None:
    await ready(hub)
    hub.standin.trouble(CREATE, "secondary-limit", status=status, retry_after=retry_after)
    reply = await hub.call("POST", REVIEWS, json={})
    assert (reply.status, "secondary rate limit" in reply.json["message"]) == (status, True)
    assert reply.headers.get("Retry-After") == (None if retry_after is None else str(retry_after))
    assert reply.headers["X-RateLimit-Remaining"] != "0"


async def test_a_primary_limit_lasts_until_its_reset(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble("GET *", "primary-limit", seconds=90)
    replies = [await hub.call("GET", REVIEWS) for _ in range(2)]
    assert [(reply.status, reply.headers["X-RateLimit-Remaining"]) for reply in replies] == [(403, "0")] * 2
    assert int(replies[0].headers["X-RateLimit-Reset"]) == pytest.approx(hub.standin.world.now() + 90, abs=5)
    hub.standin.world.advance(91)
    assert (await hub.call("GET", REVIEWS)).status == 200


async def test_an_expired_token_stays_worthless(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble("GET *", "expired-token")
    assert [(await hub.call("GET", REVIEWS)).status for _ in range(2)] == [401, 401]
    hub.token = await hub.new_token()
    assert (await hub.call("GET", REVIEWS)).status == 200


async def test_a_fresh_token_may_be_unknown_for_a_moment(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble("GET *", "token-lag")
    assert [(await hub.call("GET", REVIEWS)).status for _ in range(2)] == [401, 200]


async def test_a_proxy_s_html_comes_under_a_json_content_type(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble("GET *", "html-502")
    reply = await hub.call("GET", REVIEWS)
    assert (reply.status, reply.headers["Content-Type"]) == (502, "application/json; charset=utf-8")
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.content)


async def test_a_force_push_comes_just_before_the_request(hub: Hub, commits: Commits) -> None:
    await ready(hub)
    hub.standin.trouble(CREATE, "force-push", head="forced")
    body = {"commit_id": commits.head, "event": "COMMENT", "body": "x"}
    reply = await hub.call("POST", REVIEWS, json=body)
    assert (reply.status, "not part of the pull request" in reply.json["errors"][0]) == (422, True)
    assert hub.standin.pull(REPO, 1).head_sha == commits.forced
    assert "pull_request.synchronize" in hub.events()


async def test_a_hook_can_do_anything_just_before_the_request(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble("GET /repos/*", "force-push", hook=lambda: hub.standin.close(REPO, 1))
    assert (await hub.get(f"/repos/{REPO}/pulls/1"))["state"] == "closed"


async def test_a_rule_strikes_as_often_as_it_says_after_those_it_lets_pass(hub: Hub) -> None:
    await ready(hub)
    rule = hub.standin.trouble(f"GET {REVIEWS}", "unavailable", skip=1, times=2, status=500)
    assert [(await hub.call("GET", REVIEWS)).status for _ in range(4)] == [200, 500, 500, 200]
    assert rule.fired == 2


async def test_trouble_finds_a_repository_s_requests_also_by_its_id(hub: Hub) -> None:
    await ready(hub)
    hub.standin.trouble(f"GET {REVIEWS}", "unavailable")
    assert (await hub.call("GET", f"/repositories/{hub.standin.repository(REPO).id}/pulls/1/reviews")).status == 503


@pytest.mark.parametrize(
    "text",
    [
        "POST /repos/*/pulls/*/reviews lost-reply times=1",
        "* * secondary-limit status=429 retry-after=30",
        "GET /repos/* delayed-visibility requests=3 skip=1",
        "PATCH /repos/*/check-runs/* hang seconds=2.5",
        "POST * force-push head=HEAD~1 pull=3",
        "GET * unavailable status=504",
    ],
)
def test_trouble_can_be_told_as_text(text: str) -> None:
    rule = parse_trouble(text)
    assert f"{rule.match} {rule.kind}" == " ".join(text.split()[:3])
    for option in text.split()[3:]:
        name, _, value = option.partition("=")
        assert str(getattr(rule, name.replace("-", "_"))) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it needs a method, a path and a kind"),
        ("POST /x", "it needs a method, a path and a kind"),
        ("SHOUT /x hang", "the request must start with one of GET, POST"),
        ("POST x hang", "the request must start with one of GET, POST"),
        ("POST /x boom", f"'boom' is no kind of trouble; there are {', '.join(KINDS)}"),
        ("POST /x hang times=0", "times= must be at least 1"),
        ("POST /x hang times=often", "Expected `int`"),
        ("POST /x hang sometimes", "'sometimes' is not an option of hang; its options are seconds=, skip=, times="),
        ("POST /x hang retry-after=3", "'retry-after=3' is not an option of hang"),
        ("POST /x hang seconds=1e9", "seconds= must lie between 0 and 600"),
        ("POST /x secondary-limit status=500", "status= must be 403 or 429"),
        ("POST /x unavailable status=200", "status= must lie between 500 and 599"),
        ("POST /x force-push", "force-push needs head="),
    ],
)
def test_trouble_that_cannot_be_understood_says_what_would_be_right(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_trouble(text)
    assert reason in str(refused.value)
    assert "Example: POST /repos/*/pulls/*/reviews lost-reply times=1" in str(refused.value)
