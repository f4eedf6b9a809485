"""The log folded into fresh tables, at full speed: large pages, the next one on its way while the last is folded."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TypeAlias

import asyncpg

from schema.codec import Recorded
from schema.log import recorded
from schema.sql import load

PAGE = 20_000  # events; what one page holds in memory
Progress: TypeAlias = Callable[[int, int], None]  # gets (events folded, events in all)


def unseen(done: int, total: int) -> None:
    """The progress that nobody watches."""


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Within this block nobody looks for cycles of garbage: events and rows form none, and looking costs a third."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


async def pages(
    reader: asyncpg.Connection[asyncpg.Record], after: int, until: int, size: int = PAGE
) -> AsyncGenerator[list[Recorded], None]:
    """The log after one position up to another, in order. `reader` is busy in between and must serve nothing else."""

    def fetch() -> asyncio.Task[list[asyncpg.Record]]:
        # Positions have no holes, so that many rows are exactly those up to `until`.
        return asyncio.create_task(
            reader.fetch(load("schema.queries", "read_after"), after, min(size, max(until - after, 0)))
        )

    coming = fetch()
    try:
        while rows := await coming:
            after = rows[-1]["position"]
            coming = fetch()
            yield recorded(rows)
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
