"""How fast the whole log is folded into fresh tables, and what that takes in memory."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from schema.database import connect
from tests.bench.ground import Ground

INSTALLATIONS = 1_000


async def measure(ground: Ground) -> None:
    """rebuild_per_s, rebuild_events and rebuild_rss_mb: a process of its own, as `reviewbot rebuild` is one."""
    async with ground.database() as url:
        owner = await connect(url)
        fill = Path(__file__).with_name("log_of_jobs.sql").read_text("utf-8")
        await owner.execute(fill, ground.sizes.rebuild_jobs, INSTALLATIONS, timeout=600)
        await owner.execute("vacuum analyze event")
        await owner.close()
        rates, peaks, events = [], [], 0.0
        for _ in range(min(3, ground.sizes.rounds)):
            events, seconds, peak, _ = await rebuild_aside(url)
            rates.append(events / seconds)
            peaks.append(peak)
    ground.figures.add("rebuild_events", "events", [events])
    ground.figures.add("rebuild_per_s", "events/s", rates)
    ground.figures.add("rebuild_rss_mb", "MB", peaks)


async def rebuild_aside(url: str) -> list[float]:
    """Rebuild in a process of its own; gives events, seconds, peak memory in MB and the pause in ms."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.rebuild_process", url, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return [float(figure) for figure in output.split()]
