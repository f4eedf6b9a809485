"""The wire itself: the key goes to one origin, and nobody above the wire ever holds it."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from reviewbot.llm.wire import UnusableReply, open_client
from tests.fakes_llm import says, sends
from tests.llm.given import KEY, Start


async def test_a_request_to_another_origin_is_refused_before_it_leaves(start: Start):
    home, abroad = await start(says({})), await start(says({}))
    async with open_client(home.url("/v1"), {"x-api-key": KEY}) as client:
        with pytest.raises(httpx2.UnsupportedProtocol):
            await client.get(abroad.url("/v1"))
        assert (await client.get(home.url("/elsewhere"))).status_code == 200
    assert abroad.seen == []


async def test_the_key_is_added_below_what_the_sdks_see(start: Start):
    home = await start(says({}))
    async with open_client(home.url(), {"x-api-key": KEY}) as client:
        response = await client.get(home.url(), headers={"x-api-key": "placeholder"})
    assert home.seen[0].headers.getall("x-api-key") == [KEY]
    assert KEY not in str(response.request.headers)


async def test_unusable_replies_use_up_no_connections(start: Start):
    home = await start(*[sends(b"<html>", "text/html")] * 65, says({}))
    async with open_client(home.url(), {}) as client, asyncio.timeout(20):
        for _ in range(65):
            with pytest.raises(UnusableReply, match="text/html"):
                await client.get(home.url())
        assert (await client.get(home.url())).status_code == 200
