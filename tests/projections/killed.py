"""A rebuild in a process of its own that is killed before one of its statements: the far side of its test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from projections import replay
from projections.build import Build
from projections.jobs.project import Jobs
from projections.rebuild import rebuild

PAGE = 20  # events: several pages of a short log


@contextlib.asynccontextmanager
async def torn(build: Build) -> AsyncIterator[Any]:
    """The twin of `Build.inside`: each statement is for good by itself, and so is a page without its checkpoint."""
    await build.writer.execute("select set_config('search_path', $1, false)", f"{build.schema}, {build.home}")
    yield build.writer
    await build.writer.execute("select set_config('search_path', $1, false)", build.home)


def run(url: str, number: int, twin: bool) -> None:
    """Rebuild, but die before statement `number`, counted from 1. Statements that only read are not counted."""
    left = number
    execute = asyncpg.Connection.execute

    async def counted(self: Any, *arguments: Any, **options: Any) -> str:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await execute(self, *arguments, **options)

    asyncpg.Connection.execute = counted  # type: ignore[assignment,method-assign]  # the point of this module
    replay.pages.__defaults__ = (PAGE,)
    if twin:
        Build.inside = torn  # type: ignore[method-assign,assignment]  # the point of this module
    asyncio.run(rebuild(url, Jobs()))
