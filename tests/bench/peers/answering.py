"""How a peer's runner is asked: a line `NAME COUNT` on standard input, and the rate per second on standard output."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable, Mapping

CALLERS = 64
CONNECTIONS = 8
BATCH = 50


async def answer(measures: Mapping[str, Callable[[int], Awaitable[float]]]) -> None:
    """Measure what is asked for until the input ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, count = line.split()
        print(await measures[name](int(count)), flush=True)


async def shared(count: int, one: Callable[[int], Awaitable[object]]) -> None:
    """`one` for every number below `count`, by callers that each wait for theirs before they take the next."""
    numbers = itertools.count()

    async def caller() -> None:
        while (number := next(numbers)) < count:
            await one(number)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
