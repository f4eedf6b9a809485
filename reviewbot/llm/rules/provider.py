"""The provider that needs no model: it answers a prompt by running the offline checks in a thread."""

from __future__ import annotations

import asyncio
import time

import msgspec

from reviewbot.llm.base import Answer, Prompt, Usage
from reviewbot.llm.rules.model import Clock
from reviewbot.llm.rules.report import review

RULES_VERSION = "1"


class RulesProvider:
    """A `Provider` in process and offline: no key, no network, no other program, no cost.

    `file_seconds` bounds the work on one file and `total_seconds` that on one prompt; what does not fit is left out
    and named in the answer's summary. Never raises.
    """

    name = "rules"
    model = f"rules-{RULES_VERSION}"
    context_tokens = 10_000_000
    needs_content = True

    def __init__(self, *, file_seconds: float = 5.0, total_seconds: float = 60.0) -> None:
        self._file_seconds = file_seconds
        self._total_seconds = total_seconds

    async def ask(self, prompt: Prompt) -> Answer:
        """Reviews `prompt.files`; the answer's text is JSON of the shape that every model is asked for."""
        clock = Clock(file_seconds=self._file_seconds, total_seconds=self._total_seconds)
        started = time.monotonic()
        try:
            report = await asyncio.to_thread(review, prompt.files, clock)
        finally:
            clock.cancel()  # a thread cannot be cancelled from outside: it sees this and stops by itself
        return Answer(
            text=msgspec.json.encode(report).decode(),
            provider=self.name,
            model=self.model,
            finish="complete",
            usage=Usage(),
            latency_ms=round((time.monotonic() - started) * 1000),
        )

    async def close(self) -> None:
        """Nothing is held open."""
