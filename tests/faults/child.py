"""The service in a forked process, as it is or with one fault built in: what runs on the far side of `forks.py`.

The changes below exist here alone. A crash point kills or freezes the process between two steps; a twin lacks one of
the precautions that the tests of this folder are about, and must be caught by them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from reviewbot import check_runs, cli, intake, publisher, story, worker
from reviewbot.github.transport import Request, Transport
from reviewbot.recorder import Outcome, Recorder
from reviewbot.review import ReviewJob
from schema.log import Log

DIED_AT = "died at: "
Steps = Callable[[str], None]


def run(arguments: list[str], environment: dict[str, str], output: str, changes: list[str]) -> None:
    """Serve, with what is said going to the file `output`. `changes` are names of CHANGES, perhaps with `:argument`."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.clear()
    os.environ.update(environment)
    for change in changes:
        name, _, argument = change.partition(":")
        CHANGES[name](argument)
    sys.argv = ["reviewbot", "serve", *arguments]
    cli.main()


def _die(step: str) -> None:
    os.write(1, f"{DIED_AT}{step}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at(number: str) -> None:
    """kill -9 at the given step, counted from 1."""
    left = int(number)

    def count(step: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            _die(step)

    _count_steps(count)


def crash_after(wanted: str) -> None:
    """kill -9 at the first step of this name."""
    _count_steps(lambda step: _die(step) if step == wanted else None)


def freeze_at(wanted: str) -> None:
    """SIGSTOP at the first step of this name."""
    seen = set[str]()

    def freeze(step: str) -> None:
        if step == wanted and step not in seen:
            seen.add(step)
            os.kill(os.getpid(), signal.SIGSTOP)

    _count_steps(freeze)


def _count_steps(step: Steps) -> None:
    """Call `step` before and after each claim, append and request to GitHub."""
    send, append, claim = Transport._counted, Log.append, worker.read.claim

    async def counted_send(self: Transport, request: Request, url: Any) -> Any:
        name = f"{request.method} {_shape(url.path)}"
        step(f"before {name}")
        reply = await send(self, request, url)
        step(f"after {name}")
        return reply

    async def counted_append(self: Log, events: Any, *args: Any, **kwargs: Any) -> int:
        name = "+".join(event.topic for event in events)
        step(f"before {name}")
        position = await append(self, events, *args, **kwargs)
        step(f"after {name}")
        return position

    async def counted_claim(*args: Any, **kwargs: Any) -> Any:
        jobs = await claim(*args, **kwargs)
        if jobs:
            step("after the claim")
        return jobs

    Transport._counted = counted_send  # type: ignore[method-assign]  # the point of this module
    Log.append = counted_append  # type: ignore[assignment]  # the point of this module
    worker.read.claim = counted_claim


def _shape(path: str) -> str:
    """The path without what differs from run to run: the repository, numbers and commits."""
    parts = path.split("/")
    kept = parts[4:] if parts[1] == "repos" else parts[1:]
    return "/".join("N" if any(letter.isdigit() for letter in part) else part for part in kept)


def without_fence(_: str) -> None:
    """The worker takes any job that it reads for its own, whoever has claimed it since."""

    async def load(self: story.Story) -> None:
        self.job = ReviewJob.replay(self.row.job, await self._log.read_stream(self.row.job))
        self._stale = False

    story.Story.load = load  # type: ignore[method-assign]  # the point of this module


def without_dropping(_: str) -> None:
    """The worker goes on with reviews that it knows to be in other hands."""

    def drop(_: worker._Running) -> None:
        return

    worker._Running.drop = drop  # type: ignore[method-assign]  # the point of this module


def without_looking(_: str) -> None:
    """The publisher does not look for its own review before it posts."""

    async def find(*_: Any, **__: Any) -> None:
        return None

    publisher.Publisher._find = find  # type: ignore[method-assign]  # the point of this module


def without_adopting(_: str) -> None:
    """The keeper makes a Check Run without looking for the one of an earlier try."""

    async def none_found(*_: Any, **__: Any) -> list[Any]:
        return []

    check_runs.checks.list_for_ref = none_found  # type: ignore[assignment]  # the point of this module


def without_waiting_for_the_commit(_: str) -> None:
    """The intake acknowledges what it has yet to store."""
    record = Recorder.record
    running = set[asyncio.Task[Outcome]]()

    async def hasty(self: Recorder, raw: Any, incoming: Any) -> Outcome:
        task = asyncio.create_task(record(self, raw, incoming))
        running.add(task)
        task.add_done_callback(lambda done: running.discard(done) or done.exception())
        return Outcome("queued")

    Recorder.record = hasty  # type: ignore[method-assign]  # the point of this module


def without_handing_back(_: str) -> None:
    """A worker that stops says nothing about the reviews that it drops."""

    async def stop(*_: Any, **__: Any) -> None:
        os._exit(0)

    worker.Worker.stop = stop  # type: ignore[method-assign]  # the point of this module


def without_byte_budget(_: str) -> None:
    """The door takes in as many bodies at a time as are sent."""

    def take(self: intake.Lease, size: int) -> None:
        return

    intake.Lease.take = take  # type: ignore[method-assign]  # the point of this module


CHANGES: dict[str, Callable[[str], None]] = {
    "crash-at": crash_at,
    "crash-after": crash_after,
    "freeze-at": freeze_at,
    "without-fence": without_fence,
    "without-dropping": without_dropping,
    "without-looking": without_looking,
    "without-adopting": without_adopting,
    "without-waiting-for-the-commit": without_waiting_for_the_commit,
    "without-handing-back": without_handing_back,
    "without-byte-budget": without_byte_budget,
}
