"""How long `reviewbot serve` takes to be ready on an existing database, and what it holds in memory when idle."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import psutil

from tests.bench.ground import Ground
from tests.journeys.repository import make_repository
from tests.journeys.rig import make_rig

IDLE_SECONDS = 2.0


async def measure(ground: Ground) -> None:
    """serve_start_s, from the process's start until /ready answers 200, and idle_rss_mb a moment later."""
    seconds, memory = [], []
    repository = make_repository(ground.folder / "start-repository")
    async with ground.database() as url, make_rig(url, repository) as rig:
        for _ in range(ground.sizes.starts):
            began = time.perf_counter()
            process = rig.launch()
            while not process.said("started"):
                if process.poll() is not None:
                    raise RuntimeError(process.story())
                await asyncio.sleep(0.005)
            async with aiohttp.ClientSession() as session:
                while (await session.get(f"{process.url}/ready")).status != 200:  # noqa: ASYNC110 - asks another process
                    await asyncio.sleep(0.005)
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(IDLE_SECONDS)
            memory.append(psutil.Process(process.pid).memory_info().rss / 2**20)
            await process.stop()
    ground.figures.add("serve_start_s", "s", seconds)
    ground.figures.add("idle_rss_mb", "MB", memory)
