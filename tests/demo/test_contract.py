"""The check against GitHub's description sees what is wrong with a request or an answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from reviewbot.demo.pipeline import Exchange
from tests.demo.contract import check_exchange, check_exchanges
from tests.demo.hub import REPO, Hub


async def recorded(hub: Hub) -> Exchange:
    await hub.open()
    await hub.call("POST", f"/repos/{REPO}/pulls/1/reviews?page=1", json={"body": "x"})
    return next(exchange for exchange in reversed(hub.standin.requests) if exchange.path.endswith("/reviews"))


async def test_a_good_exchange_passes_and_is_counted(hub: Hub) -> None:
    good = msgspec.structs.replace(await recorded(hub), query={})
    assert check_exchange(good) == []
    assert check_exchanges([good, good]) == 2
    hub.standin._pipeline.exchanges.clear()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, "query parameter 'page' does not exist"),
        ({"query": {}, "request_body": b'{"bdoy": "x"}'}, "'bdoy' was unexpected"),
        ({"query": {}, "request_body": b'{"body": 1}'}, "1 is not of type 'string'"),
        ({"query": {}, "request_body": b'{"comments": [{"path": "x"}]}'}, "'body' is a required property"),
        ({"query": {}, "response_body": b"{}"}, "'id' is a required property"),
        ({"query": {}, "status": 201}, "the description has no such status"),
        ({"query": {}, "template": None}, "GitHub has no such endpoint"),
        ({"query": {}, "template": "/nowhere"}, "not in GitHub's description"),
        ({"query": {}, "content_type": "text/html"}, "an unknown Content-Type"),
    ],
)
async def test_every_deviation_is_named(hub: Hub, change: dict[str, Any], fault: str) -> None:
    wrong = msgspec.structs.replace(await recorded(hub), **change)
    assert any(fault in found for found in check_exchange(wrong)), check_exchange(wrong)
    with pytest.raises(AssertionError, match="POST /repos/acme/shop/pulls/1/reviews"):
        check_exchanges([wrong])
    hub.standin._pipeline.exchanges.clear()


async def test_null_passes_only_where_it_is_allowed(hub: Hub) -> None:
    good = msgspec.structs.replace(await recorded(hub), query={})
    answer = msgspec.json.decode(good.response_body)
    for field, allowed in (("commit_id", True), ("user", True), ("state", False)):
        changed = msgspec.structs.replace(good, response_body=msgspec.json.encode({**answer, field: None}))
        assert (check_exchange(changed) == []) is allowed, field
    hub.standin._pipeline.exchanges.clear()


async def test_an_unknown_path_is_recorded_and_found(hub: Hub) -> None:
    assert (await hub.call("GET", f"/repos/{REPO}/nothing")).status == 404
    assert check_exchange(hub.standin.requests[-1]) == ["GitHub has no such endpoint"]
    hub.standin._pipeline.exchanges.clear()
