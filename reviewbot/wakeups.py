"""Wake-up calls, within this process and from other nodes: LISTEN, for ever. A lost one costs a poll, no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog
from eventsourcing.persistence import OperationalError

from schema.database import connect
from schema.log import as_persistence_errors

logger = structlog.get_logger(__name__)

Wake = Callable[[], None]


class Hub:
    """One wake-up call for many."""

    def __init__(self) -> None:
        self._wakes: list[Wake] = []

    def add(self, wake: Wake) -> None:
        self._wakes.append(wake)

    def __call__(self) -> None:
        for wake in self._wakes:
            wake()


async def listen(url: str, channels: Mapping[str, Wake], *, process: str, retry_seconds: float = 1.0) -> None:
    """Call the channel's `Wake` at every notification, over one connection that is made again whenever it is lost.

    Those that `process` signed itself are left alone: it has woken its own loops already, and sooner.
    """
    while True:
        try:
            await _listen_once(url, channels, process)
        except OperationalError as error:
            logger.warning("no hints from the database for now", error=str(error))
        await asyncio.sleep(retry_seconds)


async def _listen_once(url: str, channels: Mapping[str, Wake], process: str) -> None:
    ended = asyncio.Event()
    with as_persistence_errors():
        connection = await connect(url, application_name="reviewbot listen")
    try:
        connection.add_termination_listener(lambda _: ended.set())
        with as_persistence_errors():
            for channel, wake in channels.items():
                await connection.add_listener(channel, _others(process, wake))
        for wake in channels.values():
            wake()  # something may have happened while nobody listened
        await ended.wait()
    finally:
        connection.terminate()


def _others(process: str, wake: Wake) -> Callable[..., None]:
    """A listener of asyncpg: (connection, pid, channel, payload)."""

    def heard(_connection: object, _pid: int, _channel: str, sender: object) -> None:
        if sender != process:
            wake()

    return heard
