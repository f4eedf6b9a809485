"""GitHub's side of a webhook: real payloads, changed as a test needs them, signed, and sent over a plain socket."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec

SECRET = "correct-horse-battery-staple"
OLD_SECRET = "the-secret-of-last-year"
APP_ID = 4711
SLUG = "reviewer"
INSTALLATION = 42
SAMPLES = Path(__file__).parent / "samples" / "github" / "deliveries"

Headers = Sequence[tuple[str, str]]


@cache
def _load(name: str) -> Any:
    return msgspec.json.decode((SAMPLES / f"{name}.json").read_bytes())


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """A real payload such as "pull_request.opened", from our installation. `changes` are put in by path: a__b=1."""
    payload: dict[str, Any] = copy.deepcopy(_load(name))
    if not name.startswith("installation"):
        payload["installation"] = {"id": INSTALLATION}
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = payload
        for parent in parents:
            place = place[parent]
        place[last] = value
    return payload


def event_of(name: str) -> str:
    """The event that a sample belongs to."""
    return name.split(".")[0]


def sign(body: bytes, secret: str = SECRET) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Answer(msgspec.Struct, frozen=True):
    """What came back over the socket."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Sender:
    """Sends to a server on this host."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def deliver(
        self, payload: object, event: str = "pull_request", *, delivery: UUID | None = None, **headers: str
    ) -> Answer:
        """A proper delivery of `payload` (bytes are sent as they are)."""
        body = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        return await self.post(body, proper_headers(body, event, delivery) + list(headers.items()))

    async def post(self, body: bytes, headers: Headers) -> Answer:
        """One POST with exactly these headers, Host and Content-Length."""
        return await self.raw(request(body, headers))

    async def get(self, path: str, **headers: str) -> Answer:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return await self.raw(f"GET {path} HTTP/1.1\r\nHost: test\r\n{lines}Connection: close\r\n\r\n".encode())

    async def raw(self, data: bytes) -> Answer:
        """Exactly these bytes; the answer to the first request in them."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            return await read_answer(reader)
        finally:
            writer.close()


def proper_headers(body: bytes, event: str = "pull_request", delivery: UUID | None = None) -> list[tuple[str, str]]:
    """The headers with which GitHub sends a body."""
    return [
        ("Content-Type", "application/json"),
        ("User-Agent", "GitHub-Hookshot/044aadd"),
        ("X-GitHub-Event", event),
        ("X-GitHub-Delivery", str(delivery or uuid4())),
        ("X-GitHub-Hook-ID", "292430182"),
        ("X-Hub-Signature-256", sign(body)),
    ]


def request(body: bytes, headers: Headers, length: int | None = None) -> bytes:
    """The bytes of a POST. Header values may hold any characters up to U+00FF."""
    lines = [("Host", "test"), *headers, ("Content-Length", str(len(body) if length is None else length))]
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines)
    return b"POST /webhooks/github HTTP/1.1\r\n" + head.encode("latin-1") + b"\r\n" + body


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The next answer of a connection. Raises IncompleteReadError when it is closed without one."""
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(status.split()[1]), headers, body)
