"""Our log and its rebuild beside the recorder and the projection runner of `eventsourcing`."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack

from schema.log import Log
from tests.bench.appends import append_rate, insert_rate
from tests.bench.beside.commits import commits
from tests.bench.beside.comparisons import Comparison, Measure, Peer, side_by_side
from tests.bench.beside.place import Place
from tests.bench.beside.runners import Runner, runner
from tests.bench.ground import Pool
from tests.bench.rebuilds import fill, rebuild_aside

SCRIPT = "log_eventsourcing.py"
CONNECTIONS = 8
EVENTS_PER_JOB = 3.2


async def measure(place: Place) -> list[Comparison]:
    """append and rebuild, in events a second."""
    return [*await _append(place), *await _rebuild(place)]


async def _append(place: Place) -> list[Comparison]:
    """64 callers that each wait for their one event to be durable."""
    count = place.scale.append
    async with AsyncExitStack() as stack:
        log = Log(await stack.enter_async_context(place.ground.pool(CONNECTIONS)))
        stack.push_async_callback(log.close)
        peers = {}
        if (process := await _runner(stack, place)) is not None:
            peers["eventsourcing"] = Peer(lambda: process.rate("append", count), "an event a call, 64 threads")
            peers["eventsourcing in batches"] = Peer(
                lambda: process.rate("append_batch", count), "64 events a call, one thread"
            )
        bare = await stack.enter_async_context(commits(place, CONNECTIONS))
        peers["bare commits"] = Peer(bare, "a row of that size a commit, 8 connections")
        other = await stack.enter_async_context(place.ground.pool(1))
        peers["bare batched inserts"] = Peer(
            _inserts(other, count), "64 rows a statement into our table, one connection, nothing else"
        )
        return await side_by_side("append", "events/s", place.scale.rounds, lambda: append_rate(log, count), peers)


def _inserts(pool: Pool, count: int) -> Measure:
    numbers = itertools.count()
    return lambda: insert_rate(pool, count, next(numbers))


async def _rebuild(place: Place) -> list[Comparison]:
    """The whole log made anew into an empty table, until its last event is in."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(place.ground.database())
        await fill(url, round(place.scale.rebuild / EVENTS_PER_JOB))
        process = await _runner(stack, place)
        peers = {}
        if process is not None:
            peers["eventsourcing"] = Peer(
                lambda: process.rate("rebuild", place.scale.rebuild_peer), "its projection runner"
            )

        async def ours() -> float:
            return (await rebuild_aside(url)).rate

        return await side_by_side("rebuild", "events/s", place.scale.rounds, ours, peers)


async def _runner(stack: AsyncExitStack, place: Place) -> Runner | None:
    if place.peers is None:
        return None
    url = await stack.enter_async_context(place.ground.empty())
    return await stack.enter_async_context(runner(place.peers, SCRIPT, url))
