"""What all remote providers share: one bounded call, structured where the endpoint can, its faults sorted."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx2
import msgspec

from reviewbot.errors import FinalError, RetryableError
from reviewbot.invisible import show_invisible
from reviewbot.llm.answer_schema import narrowed
from reviewbot.llm.base import Answer, Finish, Prompt, Usage
from reviewbot.llm.connection import Connection
from reviewbot.llm.failures import Call, Refusal, lost, timed_out
from reviewbot.llm.wire import open_client

MAX_TOKENS_REPORTED = 2**31 - 1
MAX_NAME = 200  # characters kept of a model's name or a request id as the vendor reports them


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor's answer says, in the same words for all."""

    text: str
    finish: Finish
    usage: Usage
    model: str | None
    request_id: str | None


class RemoteProvider(ABC):
    """A model behind HTTP and its vendor's SDK. Subclasses send one request and read one answer."""

    needs_content = False
    _sdk_error: ClassVar[type[Exception]]  # the root of what the SDK raises

    def __init__(self, connection: Connection, credential: Mapping[str, str]) -> None:
        self.name = connection.provider
        self.model = connection.model
        self.context_tokens = connection.context_tokens
        self._connection = connection
        self._http = open_client(connection.base_url, credential if connection.api_key else {})
        self._structured = True

    @abstractmethod
    async def _send(self, prompt: Prompt, schema: dict[str, Any] | None) -> Reply:
        """One request, one answer, no retry. Raises what the SDK, httpx2 and msgspec raise."""

    async def ask(self, prompt: Prompt) -> Answer:
        """One answer. A call that breaks off raises; one that the vendor cut short comes back as truncated.

        Raises ProviderUnavailable, ProviderRateLimited or ProviderMisconfigured, none of which show key or prompt.
        """
        call = Call(self._connection, prompt)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._connection.timeout_seconds):
                reply, structured = await self._exchange(prompt)
        except TimeoutError:
            raise timed_out(call) from None
        except (self._sdk_error, httpx2.HTTPError, msgspec.MsgspecError, ValueError, RecursionError) as error:
            # In a thread: keeping a prompt of megabytes out of the message takes a second or two.
            # "from None": a chained SDK error would print its own text, which may repeat the prompt.
            raise await asyncio.to_thread(_sorted, call, error) from None
        return Answer(
            text=reply.text,
            provider=self.name,
            model=_name(reply.model) or self.model,
            finish=reply.finish,
            usage=reply.usage,
            latency_ms=round((time.monotonic() - started) * 1000),
            request_id=_name(reply.request_id) or None,
            structured=structured,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def _exchange(self, prompt: Prompt) -> tuple[Reply, bool]:
        """The reply, and whether it is bound to the schema: an endpoint that refuses that is asked once without."""
        if self._structured:
            try:
                return await self._send(prompt, narrowed(prompt.answer_schema)), True
            except self._sdk_error as error:
                refusal = _refusal(error)
                if refusal is None or not refusal.concerns_schema():
                    raise
        reply = await self._send(_with_schema_in_words(prompt), None)
        self._structured = False  # it works without, so the next call need not ask again
        return reply, False


def tokens(count: int | None) -> int:
    """A count of tokens as reported, held to what a database column can hold."""
    return min(max(count or 0, 0), MAX_TOKENS_REPORTED)


def _name(reported: str | None) -> str:
    """A name as it can be stored and shown: what the log keeps of it is what the review was made with."""
    return show_invisible(reported or "")[:MAX_NAME]


def _sorted(call: Call, error: Exception) -> RetryableError | FinalError:
    refusal = _refusal(error)
    return refusal.sort(call) if refusal else lost(call, error.__cause__ or error)


def _refusal(error: Exception) -> Refusal | None:
    response = getattr(error, "response", None)  # every SDK keeps the HTTP answer with its status errors
    if not isinstance(response, httpx2.Response) or response.is_success:
        return None
    return Refusal(response.status_code, response.headers, response.content)


def _with_schema_in_words(prompt: Prompt) -> Prompt:
    schema = msgspec.json.encode(prompt.answer_schema).decode()
    wish = f"Answer with one JSON object and nothing else. It must match this JSON Schema:\n{schema}"
    return msgspec.structs.replace(prompt, system=f"{prompt.system}\n\n{wish}")
