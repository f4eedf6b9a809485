"""Google's Gemini models over the Gemini API."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
from google import genai
from google.genai import errors, types

from reviewbot.llm.base import Finish, Prompt, Usage
from reviewbot.llm.connection import Connection
from reviewbot.llm.remote import RemoteProvider, Reply, tokens
from reviewbot.llm.wire import PLACEHOLDER_KEY

_FINISH: dict[str | None, Finish] = {
    "MAX_TOKENS": "truncated",
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"), "refused"
    ),
}


class GoogleProvider(RemoteProvider):
    """Structured by `response_json_schema`; no tool is offered, so none can be called."""

    _sdk_error = errors.APIError

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, {"x-goog-api-key": connection.api_key})
        client = genai.Client(
            vertexai=False,  # said outright, or else the environment decides
            api_key=PLACEHOLDER_KEY,
            http_options=types.HttpOptions(
                base_url=connection.base_url,
                api_version="v1beta",
                httpx_async_client=self._http,
                # Never used, but without one the SDK makes its own from the environment's proxies and certificates.
                httpx_client=httpx2.Client(transport=httpx2.BaseTransport(), trust_env=False),
            ),
        )
        self._models = client.aio.models

    async def _send(self, prompt: Prompt, schema: dict[str, Any] | None) -> Reply:
        response = await self._models.generate_content(
            model=self.model,
            contents=prompt.user,
            config=types.GenerateContentConfig(
                system_instruction=prompt.system,
                max_output_tokens=prompt.max_output_tokens,
                response_mime_type="application/json" if schema else None,
                response_json_schema=schema,
                automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
                automatic_continuation=False,
                should_return_http_response=True,
            ),
        )
        raw = response.sdk_http_response
        assert raw is not None
        return _read(raw.body or "")


class _Part(msgspec.Struct):
    text: str = ""
    thought: bool = False


class _Content(msgspec.Struct):
    parts: list[_Part] = []


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class _Response(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    model_version: str | None = None
    response_id: str | None = None


def _read(body: str) -> Reply:
    response = msgspec.json.decode(body, type=_Response)
    blocked = response.prompt_feedback is not None and response.prompt_feedback.block_reason is not None
    if not response.candidates and not blocked:
        raise ValueError("the answer holds no candidate")
    candidate = response.candidates[0] if response.candidates else _Candidate()
    parts = candidate.content.parts if candidate.content else []
    usage = response.usage_metadata or _Usage()
    return Reply(
        text="".join(part.text for part in parts if not part.thought),
        finish="refused" if blocked else _FINISH.get(candidate.finish_reason, "complete"),
        usage=Usage(
            input_tokens=tokens(usage.prompt_token_count),
            output_tokens=tokens(tokens(usage.candidates_token_count) + tokens(usage.thoughts_token_count)),
            cached_input_tokens=tokens(usage.cached_content_token_count),
        ),
        model=response.model_version,
        request_id=response.response_id,
    )
