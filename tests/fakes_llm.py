"""A stand-in for the three vendors: one real HTTP server that speaks each protocol and misbehaves on demand."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Body = dict[str, Any]
FLOODED = web.AppKey("flooded", asyncio.Queue)
Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Vendor:
    """One vendor's dialect: where it is called, how the key arrives, and what its answers and errors look like."""

    name: str
    base_path: str
    path: str  # where a question to "some-model" must arrive
    key_header: str
    request_id: str
    answer: Callable[..., Body]
    error: Callable[[str], Body]
    schema_in: Callable[[Body], Any]
    text_limit_in: Callable[[Body], Any]


@dataclass
class Seen:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: Body


@dataclass
class FakeVendors:
    """Answers each request with the next behaviour; the last one repeats."""

    behaviours: list[Behaviour]
    seen: list[Seen] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    flooded: asyncio.Queue[int] = field(default_factory=asyncio.Queue)  # MiB that were taken of each flood
    server: TestServer | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app[FLOODED] = self.flooded
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(app, host="127.0.0.1")
        await self.server.start_server(shutdown_timeout=0.01)

    async def stop(self) -> None:
        assert self.server is not None
        await self.server.close()

    def url(self, path: str = "") -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.port}{path}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.seen.append(Seen(request.path, request.headers.copy(), json.loads(raw) if raw else {}))
        self.arrived.set()
        behave = self.behaviours[0] if len(self.behaviours) == 1 else self.behaviours.pop(0)
        return await behave(request)


# --- what the vendors say ---------------------------------------------------------------------------------------


def _openai_answer(text: str, finish: str = "complete", cached: int = 0) -> Body:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "model-as-reported",
        "choices": [
            {
                "index": 0,
                "finish_reason": {"complete": "stop", "truncated": "length", "refused": "content_filter"}[finish],
                "message": {"role": "assistant", "content": text, "refusal": None},
            }
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }


def _anthropic_answer(text: str, finish: str = "complete", cached: int = 0) -> Body:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "model-as-reported",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": text}],
        "stop_reason": {"complete": "end_turn", "truncated": "max_tokens", "refused": "refusal"}[finish],
        "usage": {
            "input_tokens": 100 - cached - 10,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": cached,
            "output_tokens": 20,
        },
    }


def _google_answer(text: str, finish: str = "complete", cached: int = 0) -> Body:
    return {
        "responseId": "resp-1",
        "modelVersion": "model-as-reported",
        "candidates": [
            {
                "finishReason": {"complete": "STOP", "truncated": "MAX_TOKENS", "refused": "SAFETY"}[finish],
                "content": {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": text}]},
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 100,
            "candidatesTokenCount": 15,
            "thoughtsTokenCount": 5,
            "cachedContentTokenCount": cached,
        },
    }


OPENAI = Vendor(
    name="openai",
    base_path="/v1",
    path="/v1/chat/completions",
    key_header="Authorization",
    request_id="x-request-id",
    answer=_openai_answer,
    error=lambda said: {"error": {"message": said, "type": "some_error", "param": None, "code": None}},
    schema_in=lambda body: body.get("response_format", {}).get("json_schema", {}).get("schema"),
    text_limit_in=lambda body: body.get("max_completion_tokens"),
)
ANTHROPIC = Vendor(
    name="anthropic",
    base_path="",
    path="/v1/messages",
    key_header="x-api-key",
    request_id="request-id",
    answer=_anthropic_answer,
    error=lambda said: {"type": "error", "error": {"type": "some_error", "message": said}},
    schema_in=lambda body: body.get("output_config", {}).get("format", {}).get("schema"),
    text_limit_in=lambda body: body.get("max_tokens"),
)
GOOGLE = Vendor(
    name="google",
    base_path="",
    path="/v1beta/models/some-model:generateContent",
    key_header="x-goog-api-key",
    request_id="x-none",
    answer=_google_answer,
    error=lambda said: {"error": {"code": 0, "message": said, "status": "SOME_ERROR"}},
    schema_in=lambda body: body.get("generationConfig", {}).get("responseJsonSchema"),
    text_limit_in=lambda body: body.get("generationConfig", {}).get("maxOutputTokens"),
)
VENDORS = (OPENAI, ANTHROPIC, GOOGLE)


# --- how they behave --------------------------------------------------------------------------------------------


def says(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    """A whole JSON answer."""

    async def behave(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return behave


def sends(body: bytes, content_type: str = "application/json", status: int = 200, **headers: str) -> Behaviour:
    """Exactly these bytes, whatever they are."""

    async def behave(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Content-Type": content_type, **headers})

    return behave


def redirects(to: str, status: int) -> Behaviour:
    async def behave(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": to})

    return behave


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError("nobody waits that long")


async def _begin(request: web.Request, length: int | None, **headers: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", **headers})
    response.content_length = length
    await response.prepare(request)
    return response


async def drips(request: web.Request) -> web.StreamResponse:
    """One byte every few milliseconds: never silent for long, never done."""
    response = await _begin(request, 1_000_000)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.005)


async def drops_mid_body(request: web.Request) -> web.StreamResponse:
    response = await _begin(request, 10_000)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def floods(request: web.Request) -> web.StreamResponse:
    """A body without end, or nearly."""
    response = await _begin(request, None)
    block = b" " * 2**20
    taken = 0
    try:
        while taken < 256:
            await response.write(block)
            taken += 1
    finally:
        request.app[FLOODED].put_nowait(taken)
    return response


@cache
def gzip_bomb(mebibytes: int = 64) -> Behaviour:
    bomb = gzip.compress(b" " * (mebibytes * 2**20), compresslevel=1)
    return sends(bomb, **{"Content-Encoding": "gzip"})
