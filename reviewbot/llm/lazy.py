"""A provider that loads its SDK when it is first asked: a process that waits for work stays small and starts fast."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reviewbot.llm.base import Answer, Prompt, Provider
from reviewbot.llm.connection import Connection


class LazyProvider:
    """Stands in for the provider that `load` makes. Importing an SDK takes 1 to 2 s, hence the thread."""

    needs_content = False

    def __init__(self, connection: Connection, load: Callable[[Connection], Provider]) -> None:
        self.name = connection.provider
        self.model = connection.model
        self.context_tokens = connection.context_tokens
        self._connection = connection
        self._load = load
        self._loading = asyncio.Lock()
        self._provider: Provider | None = None

    async def ask(self, prompt: Prompt) -> Answer:
        async with self._loading:
            if self._provider is None:
                self._provider = await asyncio.to_thread(self._load, self._connection)
        return await self._provider.ask(prompt)

    async def close(self) -> None:
        async with self._loading:
            provider, self._provider = self._provider, None
        if provider is not None:
            await provider.close()
