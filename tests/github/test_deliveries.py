"""The App's own log of webhook deliveries: paged by cursor, read one by one, sent again."""

from __future__ import annotations

import json

from reviewbot.github import deliveries
from reviewbot.github.client import GitHub
from tests.github.scripted import Answer, ScriptedGitHub

LIST = "/app/hook/deliveries?per_page=100"
DELIVERY = {
    "id": 12345678901234567,
    "guid": "0b989ba4-242f-11e5-81e1-c7b6966d2516",
    "delivered_at": "2026-11-01T10:00:00.123Z",
    "redelivery": False,
    "duration": 0.27,
    "status": "OK",
    "status_code": 202,
    "event": "pull_request",
    "action": "opened",
    "installation_id": 42,
    "repository_id": 7,
}


async def test_deliveries_are_paged_by_the_cursor_of_the_link(fake: ScriptedGitHub, github: GitHub) -> None:
    link = {"link": f'<{fake.url}{LIST}&cursor=v1_17%2F3>; rel="next"'}
    failed = {**DELIVERY, "status": "failed to connect to host", "status_code": 0, "action": None}
    fake.script("GET", LIST, Answer([DELIVERY], headers=link))
    fake.script("GET", LIST + "&cursor=v1_17%2F3", Answer([failed]))
    newest = await deliveries.list_deliveries(github.app)
    assert newest.cursor == "v1_17/3"
    assert newest.deliveries[0].id == 12345678901234567
    assert newest.deliveries[0].succeeded
    older = await deliveries.list_deliveries(github.app, newest.cursor)
    assert older.cursor is None
    assert not older.deliveries[0].succeeded


async def test_one_delivery_comes_with_what_was_sent(fake: ScriptedGitHub, github: GitHub) -> None:
    sent = {"headers": {"X-GitHub-Event": "pull_request"}, "payload": {"action": "opened"}}
    fake.script("GET", "/app/hook/deliveries/5", Answer({**DELIVERY, "request": sent, "response": {}}))
    detail = await deliveries.get_delivery(github.app, 5)
    assert detail.guid == DELIVERY["guid"]
    assert detail.request.headers["X-GitHub-Event"] == "pull_request"
    assert json.loads(bytes(detail.request.payload)) == {"action": "opened"}


async def test_a_delivery_is_sent_again_with_the_apps_own_jwt(fake: ScriptedGitHub, github: GitHub) -> None:
    fake.script("POST", "/app/hook/deliveries/5/attempts", Answer({}, status=202))
    await deliveries.redeliver(github.app, 5)
    (seen,) = fake.seen
    assert seen.body == b""
    assert seen.headers["authorization"].startswith("bearer ")
