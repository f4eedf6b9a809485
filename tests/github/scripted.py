"""A GitHub that says what a test tells it to, over real HTTP, and keeps every request it got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import RawTestServer

from reviewbot.github.clock import Clock


@dataclass(frozen=True)
class Answer:
    """One scripted answer; `body` is sent as JSON unless it is bytes."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: asyncio.Event | None = None  # answer only once this is set
    drop: bool = False  # hang up instead of answering


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    method: str
    target: str  # path and query, undecoded
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        decoded = json.loads(self.body)
        assert isinstance(decoded, dict)
        return decoded


def issued(token: str, expires_at: str = "2126-01-01T00:00:00Z") -> Answer:
    return Answer({"token": token, "expires_at": expires_at}, status=201)


class ScriptedGitHub:
    """Answers per method and target, in order; the last one stays. What is not in the script is a 404."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._scripts: dict[tuple[str, str], list[Answer]] = {}
        self.server = RawTestServer(self._handle, host="127.0.0.1")

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    def script(self, method: str, target: str, *answers: Answer) -> None:
        self._scripts[method, target] = list(answers)

    def requests(self, method: str, target: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.target) == (method, target)]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        self.seen.append(Seen(request.method, target, request.headers.copy(), await request.read()))
        answers = self._scripts.get((request.method, target))
        if answers is None:
            return web.json_response({"message": "Not Found"}, status=404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.hold is not None:
            await answer.hold.wait()
        if answer.drop:
            assert request.transport is not None
            request.transport.abort()
        if isinstance(answer.body, bytes):
            return web.Response(body=answer.body, status=answer.status, headers=answer.headers)
        headers = {"content-type": "application/json; charset=utf-8", **answer.headers}
        return web.Response(body=json.dumps(answer.body).encode(), status=answer.status, headers=headers)


class Hands:
    """A clock whose hands move only when somebody sleeps, or when the test turns them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.epoch = 1_800_000_000.0  # 2027-01-15T08:00:00Z at `now` 1000
        self.slept: list[float] = []
        self.clock = Clock(monotonic=lambda: self.now, wall=lambda: self.epoch, sleep=self._sleep)

    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.epoch += seconds

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.turn(seconds)
        await asyncio.sleep(0)
