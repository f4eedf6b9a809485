"""Our jobs beside those of Postgres queues: put in, and brought from request to recorded end."""

from __future__ import annotations

from contextlib import AsyncExitStack

from tests.bench.beside.commits import commits
from tests.bench.beside.comparisons import Comparison, Measure, Peer, side_by_side
from tests.bench.beside.place import Place
from tests.bench.beside.runners import Runner, runner
from tests.bench.cycle import Cycles, cycles

QUEUES = {"procrastinate": "jobs_procrastinate.py", "PgQueuer": "jobs_pgqueuer.py"}
ENQUEUE = {"enqueue": ("", "a job a call, 64 callers"), "enqueue_batch": (" in batches", "50 jobs a call, one caller")}
FLOW = "put in by one caller, 50 a call, while its worker works"


async def measure(place: Place) -> list[Comparison]:
    """enqueue, and the whole cycle one by one and in batches, in jobs a second."""
    return [*await _enqueue(place), *await _single(place), *await _flow(place)]


async def _enqueue(place: Place) -> list[Comparison]:
    count, peers = place.scale.enqueue, {}
    async with AsyncExitStack() as stack:
        going = await _ours(stack, place)
        for queue, process in (await _runners(stack, place, "enqueue")).items():
            for name, (added, how) in ENQUEUE.items():
                peers[queue + added] = Peer(_rate(process, name, count), how)
        return await side_by_side("enqueue", "jobs/s", place.scale.rounds, lambda: going.put_rate(count), peers)


async def _single(place: Place) -> list[Comparison]:
    async with AsyncExitStack() as stack:
        going = await _ours(stack, place)
        peers = await _workers(stack, place, "cycle_single", place.scale.single, "one job after the other")
        bare = await stack.enter_async_context(commits(place, 1))
        peers["bare commits"] = Peer(bare, "one row a commit, one connection")
        count = place.scale.single
        return await side_by_side("cycle_single", "jobs/s", place.scale.rounds, lambda: going.rate(count, 1), peers)


async def _flow(place: Place) -> list[Comparison]:
    count = place.scale.batch
    async with AsyncExitStack() as stack:
        going = await _ours(stack, place)
        peers = await _workers(stack, place, "cycle_batch", count, FLOW)
        return await side_by_side("cycle_batch", "jobs/s", place.scale.rounds, lambda: going.flow_rate(count), peers)


async def _ours(stack: AsyncExitStack, place: Place) -> Cycles:
    pool = await stack.enter_async_context(place.ground.pool())
    return await stack.enter_async_context(cycles(pool))


async def _workers(stack: AsyncExitStack, place: Place, name: str, count: int, how: str) -> dict[str, Peer]:
    processes = await _runners(stack, place, "cycle")
    return {queue: Peer(_rate(one, name, count), how) for queue, one in processes.items()}


async def _runners(stack: AsyncExitStack, place: Place, kind: str) -> dict[str, Runner]:
    """Each in a process and on a database of its own; a worker runs in it unless jobs are only to be put in."""
    if place.peers is None:
        return {}
    found = {}
    for queue, script in QUEUES.items():
        url = await stack.enter_async_context(place.ground.empty())
        found[queue] = await stack.enter_async_context(runner(place.peers, script, url, kind))
    return found


def _rate(process: Runner, name: str, count: int) -> Measure:
    return lambda: process.rate(name, count)
