"""Bad input at the service's door, sent over plain sockets.

Whatever comes, the answer is 2xx, 4xx or 503, and nothing of it is a surprise to the code: the answer to the unexpected
is a 503 as well, so the surprises are counted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import msgspec
import pytest

from reviewbot.api import tokens
from reviewbot.server import Limits
from schema import events as e
from schema.log import Log
from tests.deliveries import Answer, proper_headers, read_answer, request, sample
from tests.helpers import INSTALLATION, project
from tests.intake import Pool, Service, serving


@pytest.fixture
async def service(pool: Pool, log: Log) -> AsyncIterator[Service]:
    """A server that must not have been surprised when the test is over."""
    async with serving(pool, log, limits=Limits(header_seconds=0.5, body_seconds=0.5)) as service:
        yield service
        assert surprises(service) == 0


def surprises(service: Service) -> float:
    """How often the code met what nobody thought of."""
    return sum(
        sample.value
        for metric in service.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "reviewbot_unexpected_errors_total"
    )


def is_allowed(answer: Answer) -> bool:
    return 200 <= answer.status < 300 or 400 <= answer.status < 500 or answer.status == 503


# --- any bytes --------------------------------------------------------------------------------------------------------

PIECES = (b"\r\n", b"\r\n\r\n", b"\0", b"\xff", b":", b" ", b"0", b"-1", b"chunked", b"HTTP/9.9", b"\t", b"{", b'"')


def damaged(rng: random.Random, good: bytes) -> bytes:
    """A request with a few of its bytes changed, removed, repeated or replaced."""
    data = bytearray(good)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        end = at + rng.choice((1, 1, 2, 30))
        match rng.randrange(4):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end]
            case _:
                data[at:end] = rng.choice(PIECES)
    return bytes(data)


async def answer_to(service: Service, data: bytes) -> Answer | None:
    """The answer to these bytes, with nothing behind them; None when the connection is closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(data)
        return await read_answer(reader)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    finally:
        writer.close()


@pytest.mark.parametrize("seed", range(4))
async def test_a_damaged_request_is_answered_or_closed_and_never_a_surprise(service: Service, seed: int) -> None:
    rng = random.Random(seed)
    body = msgspec.json.encode(sample("pull_request.opened"))[:1_500]
    requests = [damaged(rng, request(body, proper_headers(body))[: rng.choice((400, 2_000))]) for _ in range(100)]
    answers = await asyncio.gather(*(answer_to(service, each) for each in requests))
    found = [answer for answer in answers if answer is not None]
    assert [answer.status for answer in found if not is_allowed(answer)] == []
    assert len({answer.status for answer in found}) >= 3  # it came through to more than one check
    assert (await service.deliver(sample("pull_request.opened"))).status == 202


async def test_an_error_that_nobody_thought_of_is_seen_as_a_surprise(
    pool: Pool, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(pool, log) as service:
        assert service.server.intake is not None
        monkeypatch.setattr(service.server.intake, "_signatures", None)
        assert is_allowed(await service.deliver({}))
        assert surprises(service) == 1


# --- deliveries -------------------------------------------------------------------------------------------------------


async def requests_for(service: Service) -> list[e.ReviewRequested]:
    return [fact for fact in await service.facts() if isinstance(fact, e.ReviewRequested)]


@pytest.mark.parametrize("field", ["installation__id", "repository__id", "pull_request__number", "sender__id"])
async def test_an_id_that_cannot_be_one_is_parked(service: Service, field: str) -> None:
    for value in (0, -1, 2**63, 10**40, 1.5, "1", True, [], {}):
        answer = await service.deliver(sample("pull_request.opened", **{field: value}))
        assert (answer.status, answer.json["status"]) == (202, "parked"), value
    assert await requests_for(service) == []


@pytest.mark.parametrize("part", ["action", "installation", "repository", "sender", "pull_request"])
async def test_a_delivery_without_a_part_asks_for_nothing(service: Service, part: str) -> None:
    payload = sample("pull_request.opened")
    del payload[part]
    answer = await service.deliver(payload)
    assert answer.json["status"] in ("ignored", "parked")
    assert await requests_for(service) == []


async def test_of_a_key_that_is_given_twice_the_last_one_counts(service: Service) -> None:
    body = msgspec.json.encode(sample("pull_request.opened")).replace(b'"number":2,', b'"number":2,"number":3,')
    assert (await service.deliver(body)).json["status"] == "queued"
    assert [fact.pull_request for fact in await requests_for(service)] == [3]


async def test_the_push_of_a_fork_that_is_gone_is_reviewed(service: Service) -> None:
    payload = sample("pull_request.opened", pull_request__head__repo=None, pull_request__user=None)
    assert (await service.deliver(payload)).json["status"] == "queued"


async def test_one_repository_under_two_installations_has_two_jobs_and_two_keys(service: Service) -> None:
    for installation in (INSTALLATION, INSTALLATION + 1):
        answer = await service.deliver(sample("pull_request.opened", installation={"id": installation}))
        assert answer.json["status"] == "queued"
    events = await service.events()
    assert len({event.stream for event in events}) == 2
    assert {event.installation for event in events} == {INSTALLATION, INSTALLATION + 1}
    assert await service.pool.fetchval("select count(distinct key) from inbox") == 2


# --- names ------------------------------------------------------------------------------------------------------------

HOSTILE_NAMES = {
    "script": "<script>alert(1)</script>/x",
    "attribute": '"onload="alert(1)/x',
    "header": "a/b\r\nSet-Cookie: stolen=1\r\n\r\n<b>",
    "label": 'a/b"} 1\nreviewbot_leases_total{x="',
    "path": "../../../../etc/passwd",
    "right to left": "a/\u202egpj.exe\u2066",
    "tags": "a/\U000e0041\U000e0042",
    "SQL": "a/'; drop table event; --",
    "template": "{{7*7}}/${jndi:ldap://x}",
    "terminal": "a/\x1b]0;owned\x07\x1b[2J",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
async def test_hostile_names_stay_text_wherever_they_are_shown(
    service: Service, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    payload = sample(
        "pull_request.opened",
        repository__full_name=name,
        pull_request__title=name,
        pull_request__head__ref=name,
        sender__login=name,
    )
    answer = await service.deliver(payload)
    assert answer.json["status"] == "queued"
    await project(service.pool)
    token = await tokens.create(service.pool, "test")
    told = await service.get("/api/jobs", Authorization=f"Bearer {token}")
    assert [job["repository"] for job in told.json["jobs"]] == [name]
    assert told.headers["content-type"].startswith("application/json")
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["content-security-policy"].startswith("default-src 'none'")
    for page in ("/metrics", "/health", "/ready", "/"):
        shown = await service.get(page)
        assert (shown.status, name.encode() in shown.body) == (200, False)
        assert "set-cookie" not in shown.headers


# --- the pages about the service --------------------------------------------------------------------------------------


async def test_no_page_sets_a_cookie_or_lets_another_site_read_it(service: Service) -> None:
    token = await tokens.create(service.pool, "test")
    for path in ("/", "/health", "/ready", "/metrics", "/api/jobs", "/api/openapi.json", "/nowhere"):
        answer = await service.get(
            path, Authorization=f"Bearer {token}", Origin="https://evil.example", Cookie="session=fixed"
        )
        assert is_allowed(answer)
        assert not {"set-cookie", "access-control-allow-origin"} & answer.headers.keys()
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_guessing_tokens_tells_nothing_and_keeps_nobody_out(service: Service) -> None:
    token = await tokens.create(service.pool, "test")
    guesses = [tokens.new_token() for _ in range(50)]
    answers = [await service.get("/api/jobs", Authorization=f"Bearer {guess}") for guess in guesses]
    assert {(answer.status, answer.body) for answer in answers} == {(401, answers[0].body)}
    assert (await service.get("/api/jobs", Authorization=f"Bearer {token}")).status == 200
