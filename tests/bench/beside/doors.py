"""Our door for deliveries beside the least that such a door can be."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack

from tests.bench.beside.comparisons import Comparison, Measure, Peer, side_by_side
from tests.bench.beside.environment import SCRIPTS
from tests.bench.beside.place import Place
from tests.bench.ingest import OURS, SECRET, load, server

DOOR = str(SCRIPTS / "door_aiohttp.py")
NOTES = {
    "store nothing": "checks the signature, keeps nothing",
    "commit each": "checks the signature, inserts and commits the raw body",
}


async def measure(place: Place) -> list[Comparison]:
    """Signed deliveries of 8 kB over 64 connections that were answered with 202."""
    numbers = itertools.count(1)

    def load_on(port: int) -> Measure:
        async def rate() -> float:
            return (await load(port, place.scale.seconds, numbers))[0]

        return rate

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(place.ground.database())
        ours = await stack.enter_async_context(server(*OURS, url, "store"))
        peers = {}
        for mode, note in NOTES.items():
            other = await stack.enter_async_context(place.ground.empty())
            port = await stack.enter_async_context(server(DOOR, other, mode.split()[-1], SECRET.decode()))
            peers[f"aiohttp, {mode}"] = Peer(load_on(port), note)
        return await side_by_side("ingest", "deliveries/s", place.scale.rounds, load_on(ours), peers)
