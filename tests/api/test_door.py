"""Who gets in, what is refused and how it is said, and that nothing is changed by asking."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from itertools import product
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from reviewbot.api import tokens
from reviewbot.api.door import AT_A_TIME, _turn
from reviewbot.api.routes import ROUTES
from reviewbot.config import load
from reviewbot.metrics import Metrics
from reviewbot.server import Server
from schema.log import Log
from tests.api.ground import Client, complaints
from tests.deliveries import Sender
from tests.helpers import append, job_of, project, requested
from tests.house.tree import read
from tests.intake import Pool

PATHS = [route.path.replace("{id}", str(uuid4())) for route in ROUTES]


NO_TOKENS = ("", "Bearer", "Basic dXNlcjpwYXNz", "Bearer rbt_" + "0" * 49, "rbt_x", "Bearer \xff", "Bearer a b")


async def test_without_a_token_that_is_known_nothing_is_told(client: Client) -> None:
    for path, given in product(PATHS, (*NO_TOKENS, f"Bearer {tokens.new_token()}", client.token)):
        answer = await client.service.get(path, **({"Authorization": given} if given else {}))
        assert answer.status == 401, (path, given)
        assert answer.headers["www-authenticate"].startswith('Bearer realm="reviewbot"')
        assert ("invalid_token" in answer.headers["www-authenticate"]) == bool(given)
        assert answer.json["reason"].endswith(".")
        assert complaints(path, answer) == []


async def test_a_token_that_is_revoked_or_expired_opens_nothing_from_the_next_request_on(
    client: Client, pool: Pool
) -> None:
    assert (await client.ask("/api/jobs")).status == 200
    await tokens.revoke(pool, "test")
    refused = await client.ask("/api/jobs")
    assert (refused.status, "revoked" in refused.json["reason"]) == (401, True)
    client.token = await tokens.create(pool, "brief", timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    refused = await client.ask("/api/jobs")
    assert (refused.status, refused.json["reason"]) == (401, "This token has expired.")


async def test_the_scheme_is_known_in_any_case(client: Client) -> None:
    answer = await client.service.get("/api/jobs", Authorization=f"bEARER {client.token}")
    assert answer.status == 200


async def test_the_description_is_for_everybody(client: Client) -> None:
    answer = await client.service.get("/api/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["openapi"] == "3.1.1"
    assert set(answer.json["paths"]) == {route.path for route in ROUTES}
    for route in ROUTES:
        told = answer.json["paths"][route.path]["get"]["parameters"]
        assert {each["name"] for each in told} - {"id"} == set(route.asked.__struct_fields__)
        assert all(each["description"] for each in told)
        assert f"| `GET {route.path}` |" in read("README.md")
    for shape in answer.json["components"]["schemas"].values():
        Draft202012Validator.check_schema(shape)


WRONG = (
    ("/api/jobs?limit=0", "limit", "int >= 1"),
    ("/api/jobs?limit=1001", "limit", "<= 1000"),
    ("/api/jobs?limit=ten", "limit", "limit is wrong"),
    ("/api/jobs?limit=1&limit=2", "limit", "given twice"),
    ("/api/jobs?state=gone", "state", "gone"),
    ("/api/jobs?repository=shop", "repository", "OWNER/NAME"),
    ("/api/jobs?pull_request=7", "pull_request", "name the repository"),
    ("/api/jobs?repository=a/b&pull_request=99999999999", "pull_request", "pull_request is wrong"),
    ("/api/jobs?installation=99999999999999999999", "installation", "installation is wrong"),
    ("/api/jobs?head=xyz", "head", "hex digits"),
    ("/api/jobs?cursor=x", "cursor", "what `next` said"),
    ("/api/jobs?colour=red", "colour", "there are repository, pull_request"),
    ("/api/jobs?at=yesterday", "at", "2h ago"),
    ("/api/jobs?at=999", "at", "the log ends at 1"),
    ("/api/jobs?at=2999-01-01", "at", "yet to come"),
    ("/api/jobs?at=2026-13-01", "at", "neither a time"),
    ("/api/jobs?at=-1", "at", "neither a time"),
    ("/api/jobs?at=99999999999999999999", "at", "neither a time"),
    ("/api/jobs?at=", "at", "empty"),
    ("/api/jobs/7", "id", "no id of a job"),
    ("/api/jobs/7/events", "id", "no id of a job"),
    ("/api/events?topic=ReviewFaild", "topic", "ReviewFailed"),
    ("/api/events?order=up", "order", "up"),
    ("/api/events?job=7", "job", "job is wrong"),
    ("/api/events?delivery=7", "delivery", "delivery is wrong"),
    ("/api/events?since=soon", "since", "neither a time"),
    ("/api/events?until=soon", "until", "neither a time"),
    ("/api/events?actor=%00", "actor", "not plain text"),
    ("/api/events?actor=" + "x" * 1_001, "actor", "too long"),
)


async def test_a_parameter_that_is_wrong_is_named_with_what_would_be_right(client: Client) -> None:
    for question, parameter, words in WRONG:
        answer = await client.follow(question)
        assert (answer.status, answer.json["parameter"]) == (400, parameter), question
        assert words in answer.json["reason"]
        assert answer.json["reason"][-1] in ".?"


async def test_a_job_that_nobody_asked_for_is_not_found(client: Client, pool: Pool) -> None:
    await project(pool)
    for path in (f"/api/jobs/{uuid4()}", f"/api/jobs/{uuid4()}/events", f"/api/jobs/{uuid4()}?at=1"):
        answer = await client.follow(path)
        assert answer.status == 404
        assert "no job" in answer.json["reason"]


async def test_there_is_no_way_to_change_anything(client: Client) -> None:
    for method in ("POST", "PUT", "DELETE"):
        line = f"{method} /api/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n\r\n"
        answer = await client.service.raw(line.encode())
        assert (answer.status, answer.headers["allow"]) == (405, "GET,HEAD")


async def test_asking_leaves_every_table_as_it_was(client: Client, pool: Pool, log: Log) -> None:
    request = requested()
    await append(log, job_of(request), request)
    await project(pool)
    await client.ask("/api/jobs")
    before = await contents(pool)
    job = job_of(request)
    for path in ("/api/events", "/api/jobs", f"/api/jobs/{job}", f"/api/jobs/{job}/events"):
        assert (await client.ask(path)).status == 200
        assert (await client.ask(path, limit=0)).status == 400
    assert (await client.ask("/api/jobs", at=1)).status == 200
    assert (await client.ask(f"/api/jobs/{job}", at=2)).status == 200
    assert await contents(pool) == before


async def contents(pool: Pool) -> dict[str, list[str]]:
    """Every row that the service can read."""
    tables = [row[0] for row in await pool.fetch("select tablename from pg_tables where schemaname = 'public'")]
    return {
        name: [row[0] for row in await pool.fetch(f"select t::text from {name} t order by 1")]
        for name in tables
        if name != "migration"
    }


async def test_questions_beyond_a_few_at_a_time_are_put_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewbot.api.door.WAIT_SECONDS", 0.05)
    api = client.service.server.api
    assert api is not None
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(AT_A_TIME):
            await taken.enter_async_context(_turn(api._turns))
        answer = await client.ask("/api/jobs")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert (await client.service.get("/health")).status == 200
    assert (await client.ask("/api/jobs")).status == 200


async def test_a_question_that_takes_too_long_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewbot.api.door.ANSWER_SECONDS", 0)
    answer = await client.ask("/api/jobs")
    assert (answer.status, "ask for less" in answer.json["reason"]) == (503, True)


async def test_a_database_that_is_gone_is_a_503_that_says_when_to_come_back(client: Client, pool: Pool) -> None:
    await pool.execute("select 1")
    await pool.close()
    answer = await client.ask("/api/jobs")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "database" in answer.json["reason"]


async def test_a_role_without_webhooks_has_no_api(pool: Pool, log: Log) -> None:
    settings = load({"HOST": "127.0.0.1", "PORT": "0"}, role="projector")
    server = Server(settings, "", pool, log, Metrics(), version="1", vault=None)
    await server.start()
    assert (await Sender(server.port).get("/api/openapi.json")).status == 404
    await server.stop()
