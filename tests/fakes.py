"""A model that says what it is told, in process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from reviewbot.llm.base import Answer, Finish, Prompt, Usage

Told = str | Exception | Callable[[Prompt], Awaitable[str]]


def finding(**changes: Any) -> dict[str, Any]:
    """A finding as a model writes it; by default on a changed line of src/app.py."""
    said = {
        "path": "src/app.py",
        "line": 5,
        "end_line": None,
        "side": "RIGHT",
        "severity": "high",
        "category": "bug",
        "title": "Five is no line",
        "body": "It should be a number.",
        "quote": "line five",
        "suggestion": None,
    }
    return said | changes


def says(*findings: dict[str, Any], summary: str = "One thing to look at.") -> str:
    """A whole answer."""
    return msgspec.json.encode({"summary": summary, "findings": findings}).decode()


class FakeProvider:
    """Does the next thing it was told at each call: says a text, raises, or awaits; the last one repeats."""

    name = "fake"
    model = "fake-1"
    context_tokens = 200_000

    def __init__(self, *told: Told, finish: Finish = "complete", needs_content: bool = False) -> None:
        self.told: list[Told] = list(told or [says(finding())])
        self.finish, self.needs_content = finish, needs_content
        self.prompts: list[Prompt] = []
        self.closed = False

    async def ask(self, prompt: Prompt) -> Answer:
        self.prompts.append(prompt)
        told = self.told[0] if len(self.told) == 1 else self.told.pop(0)
        if isinstance(told, Exception):
            raise told
        return Answer(
            text=told if isinstance(told, str) else await told(prompt),
            provider=self.name,
            model=self.model,
            finish=self.finish,
            usage=Usage(input_tokens=1_000, output_tokens=100, cached_input_tokens=10),
            latency_ms=7,
            request_id="request-1",
        )

    async def close(self) -> None:
        self.closed = True
