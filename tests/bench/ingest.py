"""Signed deliveries of 8 kB over 64 connections: what the door takes in durably, beside the same door without storing.

The server is a process of its own. The client shares the machine with it and with Postgres, so it is kept lean.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

from tests.bench.figures import percentile
from tests.bench.ground import Ground

CONNECTIONS = 64
SECRET = b"a secret for the benchmark alone"
SIZE = 8_000  # bytes of a body
OURS = ("-m", "tests.bench.ingest_process")


async def measure(ground: Ground) -> None:
    """ingest_per_s, ingest_p99_ms and ingest_ratio, the two servers in alternation."""
    rates, tails, limits, ratios = [], [], [], []
    async with (
        ground.database() as url,
        server(*OURS, url, "store") as stores,
        server(*OURS, url, "discard") as discards,
    ):
        numbers = iter(range(1, 1 << 30))
        await load(discards, 0.5, numbers)
        await load(stores, 0.5, numbers)
        for _ in range(ground.sizes.rounds):
            rate, tail = await load(stores, ground.sizes.seconds, numbers)
            limit, _ = await load(discards, ground.sizes.seconds, numbers)
            rates.append(rate)
            tails.append(tail)
            limits.append(limit)
            ratios.append(rate / limit)
    ground.figures.add("ingest_per_s", "deliveries/s", rates)
    ground.figures.add("ingest_p99_ms", "ms", tails)
    ground.figures.add("ingest_limit_per_s", "deliveries/s", limits)
    ground.figures.add("ingest_ratio", "of the same server without storing", ratios)


@contextlib.asynccontextmanager
async def server(*command: str) -> AsyncIterator[int]:
    """The port of a server that this Python runs as `command` says, and that prints its port first."""
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


async def load(port: int, seconds: float, numbers: Iterator[int]) -> tuple[float, float]:
    """Deliveries per second and the 99th percentile of their answers in ms, for so many seconds."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    began = time.perf_counter()
    await asyncio.gather(*(_caller(port, end, numbers, taken) for _ in range(CONNECTIONS)))
    return len(taken) / (time.perf_counter() - began), percentile(taken, 99) * 1000


async def _caller(port: int, end: float, numbers: Iterator[int], taken: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.perf_counter()) < end:
        writer.write(_request(next(numbers)))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"the server answered {head.splitlines()[0].decode()}")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
        taken.append(time.perf_counter() - began)
    writer.close()


def _body() -> tuple[bytes, bytes]:
    """A pull request's delivery before and after its number, padded as GitHub's are with fields that nobody reads."""
    body = {
        "action": "opened",
        "number": 1,
        "installation": {"id": 42},
        "repository": {"id": 7, "full_name": "octo/hello"},
        "sender": {"id": 5, "login": "octocat", "type": "User"},
        "pull_request": {
            "number": "NUMBER",
            "updated_at": "2026-01-01T00:00:00Z",
            "draft": False,
            "head": {"sha": "a" * 40},
            "base": {"sha": "b" * 40},
        },
    }
    links = {f"_link_{n}": f"https://api.example/repos/octo/hello/pulls/1/{n:04}{n * 7919:08x}" for n in range(200)}
    text = json.dumps({**body, "links": links})[:-2]
    before, _, after = text.encode().partition(b'"NUMBER"')
    after = after[: SIZE - len(before) - 60].rpartition(b", ")[0]
    return before, after + b"}}"


BEFORE, AFTER = _body()


def _request(number: int) -> bytes:
    body = b"%s%d%s" % (BEFORE, number, AFTER)
    signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    head = (
        "POST /webhooks/github HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: {uuid4()}\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
