"""OpenAI, and every endpoint that speaks its Chat Completions protocol: llama.cpp, vLLM, Ollama and many more."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import openai
from openai.types.shared_params import ResponseFormatJSONSchema

from reviewbot.llm.base import Finish, Prompt, Usage
from reviewbot.llm.connection import Connection
from reviewbot.llm.remote import RemoteProvider, Reply, tokens
from reviewbot.llm.wire import PLACEHOLDER_KEY

_FINISH: dict[str | None, Finish] = {"length": "truncated", "content_filter": "refused"}


class OpenAIProvider(RemoteProvider):
    """Chat Completions rather than Responses: it is the one of the two that other servers speak as well."""

    _sdk_error = openai.OpenAIError

    def __init__(self, connection: Connection, *, official: bool = True) -> None:
        super().__init__(connection, {"authorization": f"Bearer {connection.api_key}"})
        self._official = official
        client = openai.AsyncOpenAI(
            api_key=PLACEHOLDER_KEY,
            base_url=connection.base_url,
            max_retries=0,
            timeout=None,
            http_client=self._http,
        )
        self._completions = client.chat.completions.with_raw_response

    async def _send(self, prompt: Prompt, schema: dict[str, Any] | None) -> Reply:
        limit = prompt.max_output_tokens
        response = await self._completions.create(
            model=self.model,
            messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            response_format=_response_format(schema) if schema else openai.omit,
            # OpenAI's newer models refuse the old name, other servers may not know the new one.
            max_completion_tokens=limit if self._official else openai.omit,
            max_tokens=openai.omit if self._official else limit,
        )
        raw = response.http_response
        return _read(raw.content, raw.headers.get("x-request-id"))


def _response_format(schema: dict[str, Any]) -> ResponseFormatJSONSchema:
    return {"type": "json_schema", "json_schema": {"name": "review", "schema": schema, "strict": True}}


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    model: str | None = None
    id: str | None = None
    usage: _Usage | None = None


def _read(body: bytes, request_id: str | None) -> Reply:
    completion = msgspec.json.decode(body, type=_Completion)
    choice = completion.choices[0]
    refusal = choice.message.refusal
    usage = completion.usage or _Usage()
    details = usage.prompt_tokens_details or _PromptDetails()
    return Reply(
        text=refusal or choice.message.content or "",
        finish="refused" if refusal else _FINISH.get(choice.finish_reason, "complete"),
        usage=Usage(
            input_tokens=tokens(usage.prompt_tokens),
            output_tokens=tokens(usage.completion_tokens),
            cached_input_tokens=tokens(details.cached_tokens),
        ),
        model=completion.model,
        request_id=request_id or completion.id,
    )
