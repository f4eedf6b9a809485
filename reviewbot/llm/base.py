"""What a model provider is: one prompt in, one answer out, with what it cost."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec


class Fragment(msgspec.Struct, frozen=True):
    """A run of consecutive new-side lines of one hunk (context and added lines; removed lines are not in it)."""

    start: int  # 1-based number of the first line
    lines: tuple[str, ...]  # without line terminators


class ChangedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A changed file as a provider that reads code rather than prose sees it."""

    path: str
    fragments: tuple[Fragment, ...]
    added: frozenset[int]  # 1-based new-side numbers of the added lines
    content: str | None = None  # the whole new side, when it was fetched


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one call may see. `files` says the same as `user`, structured, for providers that need no prose."""

    system: str
    user: str
    answer_schema: dict[str, Any]  # JSON Schema of the answer, made from the msgspec types in findings.py
    max_output_tokens: int
    files: tuple[ChangedFile, ...] = ()


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one call. `input_tokens` includes the cached ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0


Finish = Literal["complete", "truncated", "refused"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer exactly as it came. `text` is not parsed yet; a truncated one is returned, not raised."""

    text: str
    provider: str
    model: str  # as the provider reported it, else as it was asked for
    finish: Finish
    usage: Usage
    latency_ms: int
    request_id: str | None = None
    structured: bool = True  # False: the endpoint refused the schema, so the text may be JSON with prose around it


class Provider(Protocol):
    """A model provider. Raises only ProviderUnavailable, ProviderRateLimited and ProviderMisconfigured."""

    name: str  # the catalog's name, e.g. "openai"
    model: str
    context_tokens: int  # how many tokens prompt and answer may have together
    needs_content: bool  # True: fetch whole files into ChangedFile.content

    async def ask(self, prompt: Prompt) -> Answer: ...

    async def close(self) -> None: ...
