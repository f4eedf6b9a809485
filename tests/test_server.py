"""The server around the door: its pages, its limits on connections, and how it stops."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from projections.jobs.project import Jobs
from reviewbot.config import load
from reviewbot.metrics import Metrics
from reviewbot.server import Limits, Server
from schema.log import Log
from tests.deliveries import Sender, proper_headers, read_answer, request, sample
from tests.helpers import append, job_of, project, requested, wait_until
from tests.intake import Pool, Service, serving


@pytest.fixture
async def service(pool: Pool, log: Log) -> AsyncIterator[Service]:
    async with serving(pool, log) as service:
        yield service


# --- pages ----------------------------------------------------------------------------------------------------------


async def test_the_first_page_says_what_this_is_and_nothing_about_how_it_is_made(service: Service) -> None:
    answer = await service.get("/")
    assert answer.status == 200
    assert b"ReviewBot reviews pull requests" in answer.body
    assert answer.headers["server"] == "reviewbot"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_health_tells_the_queue_the_database_and_what_runs(service: Service) -> None:
    for number in (1, 2):
        request = requested(pull_request=number)
        await append(service.log, job_of(request), request)
    await project(service.pool)
    await service.server.watch.refresh()
    answer = await service.get("/health")
    health = answer.json
    assert answer.status == 200
    assert health.pop("uptime_seconds") >= 0
    assert health.pop("timestamp").endswith("Z")
    assert health == {
        "status": "ok",
        "database": "ok",
        "problems": [],
        "queue": {"pending": 2, "processing": 0, "failed": 0},
        "seal": {"sealed_events": 0, "unsealed_events": 2, "sealed_at": None, "fault": None},
        "version": "1.2.3",
        "provider": "rules",
    }


async def test_a_service_that_keeps_up_is_ready(service: Service) -> None:
    answer = await service.get("/ready")
    assert (answer.status, answer.json) == (200, {"ready": True, "problems": []})


async def test_a_projection_that_stands_still_makes_it_unready_and_health_stays_200(service: Service) -> None:
    await service.pool.execute("update checkpoint set fault = 'event 7 makes no sense'")
    await service.server.watch.refresh()
    ready, health = await service.get("/ready"), await service.get("/health")
    assert ready.status == 503
    assert ready.json["problems"] == ["projection jobs stands still: event 7 makes no sense"]
    assert (health.status, health.json["status"], health.json["database"]) == (200, "degraded", "ok")


async def test_a_projection_far_behind_makes_it_unready(service: Service) -> None:
    service.server.watch._late = 0
    first = requested()
    await append(service.log, job_of(first), first)
    await service.server.watch.refresh()
    assert (await service.get("/ready")).json["problems"] == ["projection jobs is 1 events behind"]


async def test_a_projection_of_another_version_makes_it_unready(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Jobs, "version", 99)
    assert (await service.get("/ready")).json["problems"] == ["projection jobs has yet to be made by the migrations"]


async def test_the_numbers_are_there_for_prometheus(service: Service) -> None:
    await service.deliver(sample("pull_request.opened"))
    answer = await service.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    text = answer.body.decode()
    assert 'reviewbot_deliveries_total{event="pull_request",outcome="queued"} 1.0' in text
    assert 'aiohttp_http_requests_total{handler="webhook",method="POST",status="2xx"} 1.0' in text
    assert 'aiohttp_http_request_duration_seconds_bucket{handler="webhook",le="0.01",method="POST"}' in text
    assert "process_resident_memory_bytes" in text


async def test_with_a_token_the_numbers_are_for_its_bearer_only(pool: Pool, log: Log) -> None:
    async with serving(pool, log, environ={"METRICS_TOKEN": "only-for-prometheus"}) as service:
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "only-for-prometheus"}):
            assert (await service.get("/metrics", **given)).status == 401
        assert (await service.get("/metrics", Authorization="Bearer only-for-prometheus")).status == 200


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"GET /nowhere", 404), (b"GET /webhooks/github", 405), (b"DELETE /health", 405), (b"POST /health", 405)],
)
async def test_any_other_path_or_method_is_refused_and_counted_under_few_names(
    service: Service, line: bytes, status: int
) -> None:
    answer = await service.raw(line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.status == status
    assert answer.json["reason"]
    assert answer.headers["server"] == "reviewbot"
    assert (status == 405) == ("allow" in answer.headers)
    method = line.split()[0].decode()
    known = method if method in ("GET", "POST") else "other"
    assert service.count("aiohttp_http_requests_total", handler="none", method=known, status="4xx") == 1


async def test_a_worker_serves_its_pages_and_takes_no_deliveries(pool: Pool, log: Log) -> None:
    settings = load({"HOST": "127.0.0.1", "PORT": "0"}, role="projector")
    server = Server(settings, "", pool, log, Metrics(), vault=None, version="1")
    await server.start()
    sender = Sender(server.port)
    assert (await sender.get("/health")).status == 200
    assert (await sender.deliver({})).status == 404
    await server.stop()


# --- connections ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start", [b"", b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["nothing", "half of the headers"]
)
async def test_a_connection_that_does_not_get_to_the_point_is_closed(pool: Pool, log: Log, start: bytes) -> None:
    async with serving(pool, log, limits=Limits(header_seconds=0.3)) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        began = time.monotonic()
        writer.write(start)
        drip = asyncio.create_task(_drip(writer if start else None))
        assert await asyncio.wait_for(reader.read(), 10) == b""
        assert time.monotonic() - began >= 0.25
        drip.cancel()
        writer.close()


async def _drip(writer: asyncio.StreamWriter | None) -> None:
    while writer is not None:
        writer.write(b"x")
        await asyncio.sleep(0.05)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux can tell the kernel")
async def test_a_client_that_never_reads_its_answers_is_cut_off(pool: Pool, log: Log) -> None:
    async with serving(pool, log, limits=Limits(unread_seconds=0.5)) as service:
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.setblocking(False)
            asking = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000
            with suppress(TimeoutError, OSError):
                await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(client, asking), 3)
            await wait_until(lambda: service.count("reviewbot_connections") == 1)
            await wait_until(lambda: service.count("reviewbot_connections") == 0)


async def test_connections_beyond_the_limit_are_told_to_come_back(pool: Pool, log: Log) -> None:
    async with serving(pool, log, limits=Limits(connections=2)) as service:
        idle = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(2)]
        await wait_until(lambda: service.count("reviewbot_connections") == 2)
        answer = await service.get("/health")
        assert (answer.status, answer.headers["retry-after"]) == (503, "10")
        assert service.count("reviewbot_connections_refused_total") == 1
        for _, writer in idle:
            writer.close()
        await wait_until(lambda: service.count("reviewbot_connections") == 0)
        assert (await service.get("/health")).status == 200


async def test_a_sender_that_hangs_up_is_no_unexpected_error(service: Service) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request(b"{", proper_headers(b"{"), length=100))
    await wait_until(lambda: service.count("aiohttp_http_requests_in_progress", handler="webhook") == 1)
    writer.close()
    await wait_until(lambda: service.count("reviewbot_deliveries_refused_total", reason="broken_body") == 1)
    assert service.count("reviewbot_unexpected_errors_total", where="webhook") == 0


async def test_an_early_answer_reaches_a_sender_that_sends_all_before_it_listens(service: Service) -> None:
    body = bytes(8_000_000)
    data = request(body, [*proper_headers(body), ("Content-Encoding", "gzip")])

    def send() -> bytes:
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as client:
            client.sendall(data)
            return client.recv(12)

    assert await asyncio.to_thread(send) == b"HTTP/1.1 415"


# --- stopping -------------------------------------------------------------------------------------------------------


async def test_stopping_finishes_what_is_in_flight_and_takes_nothing_more(service: Service) -> None:
    data = request(b"{}", proper_headers(b"{}", "ping"))
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(data[:-1])
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", service.port)
    await wait_until(lambda: service.count("aiohttp_http_requests_in_progress", handler="webhook") == 1)
    stopping = asyncio.create_task(service.server.stop())
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await service.get("/health")
    writer.write(data[-1:])
    answer = await read_answer(reader)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await asyncio.wait_for(idle.read(), 5) == b""
    await asyncio.wait_for(stopping, 5)
    await service.server.stop()
    assert await service.inbox() == 1
    writer.close()
    idle_writer.close()


async def test_an_address_that_is_taken_is_an_error_at_start(service: Service, pool: Pool, log: Log) -> None:
    with pytest.raises(OSError, match="in use"):
        async with serving(pool, log, environ={"PORT": str(service.port)}):
            pass
