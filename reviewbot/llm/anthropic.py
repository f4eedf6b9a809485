"""Anthropic's Claude models over the Messages API."""

from __future__ import annotations

from typing import Any

import anthropic
import msgspec

from reviewbot.llm.base import Finish, Prompt, Usage
from reviewbot.llm.connection import Connection
from reviewbot.llm.remote import RemoteProvider, Reply, tokens
from reviewbot.llm.wire import PLACEHOLDER_KEY

_FINISH: dict[str | None, Finish] = {
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
    "refusal": "refused",
}


class AnthropicProvider(RemoteProvider):
    """Structured by `output_config.format`; no tool is offered, so none can be called."""

    _sdk_error = anthropic.AnthropicError

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, {"x-api-key": connection.api_key})
        client = anthropic.AsyncAnthropic(
            api_key=PLACEHOLDER_KEY,
            base_url=connection.base_url,
            max_retries=0,
            timeout=None,
            http_client=self._http,
            open_telemetry=False,  # or else its tracing is set up from the environment
        )
        self._messages = client.messages.with_raw_response

    async def _send(self, prompt: Prompt, schema: dict[str, Any] | None) -> Reply:
        response = await self._messages.create(
            model=self.model,
            max_tokens=prompt.max_output_tokens,
            system=prompt.system,
            messages=[{"role": "user", "content": prompt.user}],
            output_config={"format": {"type": "json_schema", "schema": schema}} if schema else anthropic.omit,
        )
        raw = response.http_response
        return _read(raw.content, raw.headers.get("request-id"))


class _Block(msgspec.Struct):
    type: str
    text: str = ""


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Message(msgspec.Struct):
    content: list[_Block]
    stop_reason: str | None = None
    model: str | None = None
    id: str | None = None
    usage: _Usage | None = None


def _read(body: bytes, request_id: str | None) -> Reply:
    message = msgspec.json.decode(body, type=_Message)
    usage = message.usage or _Usage()
    # Anthropic counts what was read from or written to the cache apart from the rest of the input.
    read, written = tokens(usage.cache_read_input_tokens), tokens(usage.cache_creation_input_tokens)
    return Reply(
        text="".join(block.text for block in message.content if block.type == "text"),
        finish=_FINISH.get(message.stop_reason, "complete"),
        usage=Usage(
            input_tokens=tokens(tokens(usage.input_tokens) + read + written),
            output_tokens=tokens(usage.output_tokens),
            cached_input_tokens=read,
        ),
        model=message.model,
        request_id=request_id or message.id,
    )
