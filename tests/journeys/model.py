"""A model behind an OpenAI-compatible endpoint that answers as it is told, pull request by pull request."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.fakes_llm import OPENAI, Behaviour, says

FINDING = {
    "path": "shop/app.py",
    "line": 11,
    "quote": "    except:",
    "severity": "high",
    "category": "bug",
    "title": "Everything is swallowed",
    "body": "A bare except hides every fault.",
}


def answer(*findings: object, summary: str = "One thing to look at.", finish: str = "complete") -> Behaviour:
    """A good answer with these findings."""
    return answers_text(json.dumps({"summary": summary, "findings": findings}), finish)


def answers_text(text: str, finish: str = "complete") -> Behaviour:
    """An answer that holds this text, whatever it is."""
    return says(OPENAI.answer(text, finish))


class Model:
    """Finds the same one thing in every pull request, unless `behave` says otherwise for those of a title."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()  # by title
        self.asked: dict[str, str] = {}  # the newest prompt, by title
        self._behaviours: dict[str, list[Behaviour]] = {}

    def behave(self, title: str, *behaviours: Behaviour) -> None:
        """Answer the next prompts about `title` so, one after the other; the last one repeats."""
        self._behaviours[title] = list(behaviours)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve until the block ends; gives the base URL."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        messages = (await request.json())["messages"]
        found = re.search(r"^<<<\S+ title\n(.*)\n", messages[-1]["content"], re.MULTILINE)
        assert found is not None, "the prompt does not say the title"
        title = found[1]
        self.calls[title] += 1
        self.asked[title] = "\n".join(message["content"] for message in messages)
        told = self._behaviours.get(title) or [answer(FINDING)]
        behave = told[0] if len(told) == 1 else told.pop(0)
        return await behave(request)


class Gate:
    """A model call that waits for the test: `entered` is set when it arrives, and it goes on when `open` is set."""

    def __init__(self, then: Behaviour) -> None:
        self.entered, self.open = asyncio.Event(), asyncio.Event()
        self._then = then

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.entered.set()
        await self.open.wait()
        return await self._then(request)
