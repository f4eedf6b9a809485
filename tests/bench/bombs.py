"""What the service holds in memory while the largest bodies without a signature and gzip bombs are thrown at it."""

from __future__ import annotations

import asyncio

from yarl import URL

from tests.bench.ground import Ground
from tests.journeys.repository import make_repository
from tests.journeys.rig import make_rig
from tests.siege import besiege, peak_mb


async def measure(ground: Ground) -> None:
    """bombs_rss_mb: the peak of a fresh `reviewbot serve` under one siege."""
    peaks = []
    repository = await asyncio.to_thread(make_repository, ground.folder / "siege-repository")
    async with ground.database() as url, make_rig(url, repository) as rig:
        for _ in range(min(3, ground.sizes.rounds)):
            process = await rig.serve()
            port = URL(process.url).port
            assert port
            await besiege(port, ground.sizes.bombs)
            peaks.append(peak_mb(process.pid))
            await process.stop()
    ground.figures.add("bombs_rss_mb", "MB", peaks)
