"""Starts processes of the service by forking one that has loaded everything: a tenth of a second instead of two."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tests.faults import child
from tests.journeys.rig import Launch, Process


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.child", "reviewbot.llm.openai"])
    return context


async def run_forked(target: Callable[..., None], *args: object) -> int:
    """The exit code of a function in a process of its own; negative: the signal that ended it."""
    process = _server().Process(target=target, args=args)
    process.daemon = True
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode is not None
    return process.exitcode


def forked(*changes: str) -> Launch:
    """A way to start the service with these changes of child.py built in; without any it is the service as it is."""

    def launch(arguments: list[str], environment: dict[str, str], output: Path) -> Process:
        output.touch()
        process = _server().Process(target=child.run, args=(arguments, environment, str(output), list(changes)))
        process.daemon = True
        process.start()
        assert process.pid is not None
        return Process(process.pid, output, lambda: process.exitcode)

    return launch
