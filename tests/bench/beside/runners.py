"""A peer's process: started on a database of its own, asked for one rate after the other, and ended with its input."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.beside.environment import SCRIPTS

MEASURE_SECONDS = 600  # the longest that one round may take
END_SECONDS = 15


class Runner:
    """Asks by lines on standard input, as `answering.py` reads them."""

    def __init__(self, script: str, process: Process) -> None:
        self._script, self._process = script, process

    async def rate(self, name: str, count: int) -> float:
        """How many a second, over so many. Raises RuntimeError when the process ends or hangs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name} {count}\n".encode())
        try:
            async with asyncio.timeout(MEASURE_SECONDS):
                answer = await self._process.stdout.readline()
        except TimeoutError:
            raise RuntimeError(f"{self._script} had not measured {name} within {MEASURE_SECONDS} s") from None
        if not answer:
            raise RuntimeError(f"{self._script} ended before it had measured {name}; what it said stands above")
        return float(answer)


@contextlib.asynccontextmanager
async def runner(python: Path, script: str, *arguments: str) -> AsyncIterator[Runner]:
    """The script of this name, run by the Python that has the peers' packages."""
    process = await asyncio.create_subprocess_exec(python, SCRIPTS / script, *arguments, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    try:
        yield Runner(script, process)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
