"""The webhook door: what it lets in, what it refuses, and that nothing is stored which should not be."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from reviewbot import intake
from reviewbot.review import job_id
from reviewbot.server import Limits
from schema import events as e
from schema.log import Log
from tests.deliveries import (
    APP_ID,
    OLD_SECRET,
    Answer,
    Headers,
    event_of,
    proper_headers,
    read_answer,
    request,
    sample,
    sign,
)
from tests.helpers import INSTALLATION, wait_until
from tests.intake import Pool, Service, serving

HEAD = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
JOB = job_id(INSTALLATION, 186853002, 2, HEAD)
OPENED = sample("pull_request.opened")


@pytest.fixture
async def service(pool: Pool, log: Log) -> AsyncIterator[Service]:
    async with serving(pool, log) as service:
        yield service


def changed(headers: Headers, **changes: str | list[str] | None) -> list[tuple[str, str]]:
    """Headers with others in their place: None leaves one out, a list sends it several times."""
    names = {name.replace("_", "-").lower(): value for name, value in changes.items()}
    kept = [(name, value) for name, value in headers if name.lower() not in names]
    for name, value in names.items():
        kept += [(name, each) for each in ([value] if isinstance(value, str) else value or [])]
    return kept


async def refused(service: Service, answer: Answer, status: int) -> None:
    """The door said no with a sentence, and nothing at all was stored."""
    assert (answer.status, answer.json["status"]) == (status, "refused")
    assert answer.json["reason"]
    assert ("retry-after" in answer.headers) == (status == 503)
    assert await service.events() == []
    assert await service.inbox() == 0


# --- what is let in -------------------------------------------------------------------------------------------------


async def test_a_push_is_queued_and_its_delivery_kept_as_it_came(service: Service) -> None:
    delivery, body = uuid4(), msgspec.json.encode(OPENED)
    answer = await service.deliver(body, delivery=delivery)
    assert (answer.status, answer.json) == (202, {"status": "queued", "job": str(JOB)})
    (event,) = await service.events()
    assert isinstance(event.fact, e.ReviewRequested)
    assert (event.stream, event.version, event.delivery) == (JOB, 1, delivery)
    assert (event.actor, event.correlation, event.installation) == ("user:21031067", delivery, INSTALLATION)
    assert await service.vault.read_delivery(delivery) == ("pull_request", body)
    headers = await service.pool.fetchval("select headers from inbox")
    assert b'"X-GitHub-Hook-ID":"292430182"' in headers
    assert b"ignature" not in headers


async def test_all_checks_of_a_commit_in_two_pull_requests_are_rerun_at_once_and_each_only_once(
    service: Service,
) -> None:
    rerun = sample("check_suite.rerequested", check_suite__app={"id": APP_ID}, sender__type="User")
    (named,) = rerun["check_suite"]["pull_requests"]
    await service.deliver(rerun, "check_suite")
    rerun["check_suite"]["pull_requests"] = [named, named | {"number": 8}]
    for expected in ((202, "queued"), (200, "duplicate")):
        answer = await service.deliver(rerun, "check_suite")
        assert (answer.status, answer.json["status"]) == expected
    requests = [fact for fact in await service.facts() if isinstance(fact, e.ReviewRequested)]
    assert [fact.pull_request for fact in requests] == [2, 8]


@pytest.mark.parametrize("name", ["pull_request.closed", "installation.created"])
async def test_a_fact_is_recorded(service: Service, name: str) -> None:
    answer = await service.deliver(sample(name), event_of(name))
    assert (answer.status, answer.json) == (202, {"status": "recorded"})
    assert len(await service.events()) == await service.inbox() == 1


async def test_what_asks_for_nothing_is_kept_with_the_reason_and_what_it_was_about(service: Service) -> None:
    answer = await service.deliver(sample("pull_request.labeled"))
    reason = "pull_request.labeled asks for nothing"
    assert (answer.status, answer.json) == (200, {"status": "ignored", "reason": reason})
    assert await service.facts() == [
        e.DeliveryIgnored(
            event="pull_request",
            reason=reason,
            action="labeled",
            installation=INSTALLATION,
            repository_id=186853002,
            repository="Codertocat/Hello-World",
            pull_request=2,
            head_sha=HEAD,
        )
    ]


async def test_the_old_secret_is_good_while_both_are_set(service: Service) -> None:
    body = b"{}"
    headers = changed(proper_headers(body, "ping"), x_hub_signature_256=sign(body, OLD_SECRET))
    assert (await service.post(body, headers)).json == {"status": "ignored", "reason": "ping"}


async def test_one_connection_carries_many_deliveries(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    for _ in range(3):
        writer.write(request(b"{}", proper_headers(b"{}", "ping")))
        assert (await read_answer(reader)).status == 200
    writer.close()


async def test_a_body_in_chunks_is_put_together(service: Service) -> None:
    body = b'{"action": "created"}'
    head = request(body, proper_headers(body, "star")).split(b"Content-Length")[0]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    answer = await service.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert (answer.status, answer.json["status"]) == (200, "ignored")


# --- signatures -----------------------------------------------------------------------------------------------------

BODY = b'{"zen": "x"}'
GOOD = sign(BODY)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha1=" + "0" * 40,
        "sha256=\xe9" + "0" * 63,
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD.removeprefix("sha256="),
        [GOOD, GOOD],
        sign(b'{"zen": "y"}'),
        sign(BODY, "the-secret-before-the-last"),
        sign(BODY, ""),
    ],
    ids=[
        "missing",
        "empty",
        "sha1",
        "not ASCII",
        "upper case",
        "short",
        "long",
        "no prefix",
        "twice",
        "of another body",
        "of a secret no longer valid",
        "of the empty secret",
    ],
)
async def test_a_delivery_that_is_not_signed_properly_is_refused(
    service: Service, signature: str | list[str] | None
) -> None:
    headers = changed(proper_headers(BODY, "ping"), x_hub_signature_256=signature)
    await refused(service, await service.post(BODY, headers), 401)
    assert service.count("reviewbot_deliveries_refused_total", reason="signature") == 1


async def test_a_sha1_signature_is_not_even_looked_at(service: Service) -> None:
    headers = [
        *changed(proper_headers(BODY, "ping"), x_hub_signature_256=None),
        ("X-Hub-Signature", "sha1=" + "0" * 40),
    ]
    await refused(service, await service.post(BODY, headers), 401)


# --- headers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [None, "", "Pull_Request", "a" * 65, "a b", "push\xe9", ["push", "ping"]])
async def test_an_event_that_is_no_name_is_refused(service: Service, event: str | list[str] | None) -> None:
    await refused(service, await service.post(BODY, changed(proper_headers(BODY), x_github_event=event)), 400)


@pytest.mark.parametrize(
    "delivery",
    [None, "", "17", "not-a-uuid", "{72d3162e-cc78-11e3-81ab-4c9367dc0958}", "72d3162ecc7811e381ab4c9367dc0958", "é"],
)
async def test_a_delivery_without_a_proper_id_is_refused(service: Service, delivery: str | None) -> None:
    await refused(service, await service.post(BODY, changed(proper_headers(BODY), x_github_delivery=delivery)), 400)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application/jsonp", None])
async def test_another_content_type_is_refused_with_what_to_do(service: Service, kind: str | None) -> None:
    answer = await service.post(BODY, changed(proper_headers(BODY), content_type=kind))
    await refused(service, answer, 415)
    assert "application/json" in answer.json["reason"]


async def test_a_charset_behind_the_content_type_changes_nothing(service: Service) -> None:
    headers = changed(proper_headers(BODY, "ping"), content_type="application/json; charset=nonsense")
    assert (await service.post(BODY, headers)).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "identity"])
async def test_an_encoded_body_is_refused_and_never_unpacked(service: Service, encoding: str) -> None:
    bomb = gzip.compress(bytes(32 << 20))
    headers = [*proper_headers(bomb), ("Content-Encoding", encoding)]
    await refused(service, await service.post(bomb, headers), 415)


async def test_header_bytes_that_are_no_text_do_not_get_in_the_way(service: Service) -> None:
    answer = await service.post(BODY, changed(proper_headers(BODY, "ping"), user_agent="\xff\xfe GitHub"))
    assert answer.status == 200
    assert b"GitHub" in await service.pool.fetchval("select headers from inbox")


# --- sizes and broken HTTP ------------------------------------------------------------------------------------------


async def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(service: Service) -> None:
    head = request(b"", proper_headers(b""), length=intake.MAX_BODY_BYTES + 1)
    await refused(service, await service.raw(head), 413)


async def test_a_chunked_body_without_end_is_cut_off_at_the_limit(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_BODY_BYTES", 100_000)
    head = request(b"", proper_headers(b"")).split(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = await service.raw(head + (b"4000\r\n" + bytes(0x4000) + b"\r\n") * 10)
    await refused(service, answer, 413)
    assert service.count("reviewbot_body_bytes") == 0


async def test_bodies_beyond_the_budget_are_refused_and_those_within_go_on(pool: Pool, log: Log) -> None:
    slow = request(b" " * 40_000, proper_headers(b" " * 40_000))
    async with serving(pool, log, limits=Limits(bytes_in_flight=50_000)) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(slow[:-1])
        await wait_until(lambda: service.count("reviewbot_body_bytes") > 30_000)
        await refused(service, await service.deliver(b" " * 20_000), 503)
        assert service.count("reviewbot_deliveries_refused_total", reason="busy") == 1
        writer.write(slow[-1:])
        assert (await read_answer(reader)).status == 202
        assert service.count("reviewbot_body_bytes") == 0
        writer.close()


async def test_an_announced_length_alone_takes_nothing_from_the_budget(service: Service) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(5)]
    for _, writer in idle:
        writer.write(request(b"", proper_headers(b""), length=intake.MAX_BODY_BYTES))
    assert (await service.deliver(OPENED)).status == 202
    for _, writer in idle:
        writer.close()


async def test_a_body_that_does_not_arrive_in_time_is_given_up(pool: Pool, log: Log) -> None:
    async with serving(pool, log, limits=Limits(body_seconds=0.1)) as service:
        answer = await service.raw(request(b"{", proper_headers(b"{}"), length=2))
        await refused(service, answer, 408)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"POST /webhooks/github HTTP/1.1\r\nHost : x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS by mistake\r\n\r\n",
    ],
    ids=["two framings", "two lengths", "negative", "flood of headers", "endless header", "space in a name", "TLS"],
)
async def test_a_request_that_is_no_proper_http_is_refused_without_naming_a_version(
    service: Service, head: bytes
) -> None:
    answer = await service.raw(head)
    assert answer.status == 400
    assert answer.headers["server"] == "reviewbot"
    assert b"aiohttp" not in answer.body
    assert await service.events() == []


async def test_a_broken_chunk_is_refused(service: Service) -> None:
    head = request(b"", proper_headers(b"")).split(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = await service.raw(head + b"zz\r\nhello\r\n0\r\n\r\n")
    assert answer.status == 400
    assert await service.events() == []


# --- JSON -----------------------------------------------------------------------------------------------------------


def opened(**changes: Any) -> bytes:
    return msgspec.json.encode(sample("pull_request.opened", **changes))


TITLE = b'"title":"Update the README with new information."'
NUMBER = b'"number":2,'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"\xef\xbb\xbf" + opened(),
        opened().replace(b"Codertocat/Hello-World", b"Codertocat/\xff\xfe"),
        opened().replace(NUMBER, b'"number":%s,' % (b"9" * 5_000)),
        opened().replace(NUMBER, b'"number":1e400,'),
        opened().replace(NUMBER, b'"number":NaN,'),
        opened().replace(NUMBER, b'"number":2.5,'),
        opened(installation=None),
        opened(pull_request=None),
        opened(pull_request__head=None),
        opened(sender=None),
    ],
    ids=[
        "empty",
        "null",
        "list",
        "text",
        "cut off",
        "deep lists",
        "deep objects",
        "byte order mark",
        "not UTF-8",
        "5,000 digits",
        "1e400",
        "NaN",
        "fraction",
        "no installation",
        "no pull request",
        "no head",
        "no sender",
    ],
)
async def test_a_signed_delivery_that_cannot_be_understood_is_kept_and_parked(service: Service, body: bytes) -> None:
    delivery = uuid4()
    answer = await service.deliver(body, delivery=delivery)
    assert (answer.status, answer.json["status"]) == (202, "parked")
    (fact,) = await service.facts()
    assert fact == e.DeliveryParked(event="pull_request", reason=answer.json["reason"])
    assert await service.vault.read_delivery(delivery) == ("pull_request", body)
    assert service.count("reviewbot_deliveries_total", event="pull_request", outcome="parked") == 1


@pytest.mark.parametrize(
    "body",
    [
        opened().replace(TITLE, rb'"title":"nul \u0000"'),
        opened().replace(TITLE, rb'"title":"lone \ud800"'),
        opened().replace(TITLE, b'"title":1e400'),
        opened().replace(TITLE, b'"title":' + b"9" * 5_000),
        opened().replace(TITLE, b'"title":"a","title":"b"'),
        opened(pull_request__title="\u202e \U000e0041 " + "x" * 100_000),
        opened().replace(b"Codertocat/Hello-World", rb"Codertocat/\u0000"),
        opened().replace(b"Codertocat/Hello-World", rb"Codertocat/\ud800"),
    ],
    ids=[
        "NUL",
        "lone surrogate",
        "1e400",
        "5,000 digits",
        "key twice",
        "bidi and tags",
        "NUL needed",
        "lone surrogate needed",
    ],
)
async def test_oddities_in_what_nobody_needs_do_not_stop_a_review(service: Service, body: bytes) -> None:
    assert (await service.deliver(body)).json["status"] == "queued"
    (fact,) = await service.facts()
    assert isinstance(fact, e.ReviewRequested)


async def test_an_unknown_event_and_an_unknown_action_are_ignored_by_name(service: Service) -> None:
    new = await service.deliver({"action": "invented"}, "something_new")
    assert new.json == {"status": "ignored", "reason": "something_new.invented asks for nothing"}
    odd = await service.deliver(opened(action="invented"))
    assert odd.json["reason"] == "pull_request.invented asks for nothing"
    assert service.count("reviewbot_deliveries_total", event="other", outcome="ignored") == 1


async def test_a_large_delivery_is_stored_too(service: Service) -> None:
    body = opened(pull_request__body="x" * 2_000_000)
    assert (await service.deliver(body)).status == 202


# --- what cannot be stored now --------------------------------------------------------------------------------------


async def test_a_full_queue_is_answered_503_until_it_drains(pool: Pool, log: Log) -> None:
    async with serving(pool, log, environ={"QUEUE_MAX": "1"}) as service:
        await service.deliver(OPENED)
        await pool.execute("insert into installations (installation, queued) values (1, 1)")
        await service.server.watch.refresh()
        answer = await service.deliver(sample("pull_request.synchronize"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "10")
        assert await service.inbox() == 1
        await pool.execute("update installations set queued = 0")
        await service.server.watch.refresh()
        assert (await service.deliver(sample("pull_request.closed"))).status == 202


async def test_the_unexpected_is_answered_503_logged_and_counted(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("nobody thought of this")

    assert service.server.intake is not None
    monkeypatch.setattr(service.server.intake._recorder, "record", broken)
    answer = await service.deliver(OPENED)
    assert (answer.status, answer.headers["retry-after"]) == (503, "10")
    assert b"nobody" not in answer.body
    assert service.count("reviewbot_unexpected_errors_total", where="webhook") == 1
