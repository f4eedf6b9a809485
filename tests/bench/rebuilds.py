"""How fast the whole log is folded into fresh tables, and what that takes in memory."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from schema.database import connect
from tests.bench.ground import Ground

INSTALLATIONS = 1_000


class Rebuilt(msgspec.Struct, frozen=True):
    """What one rebuild of the job list took: its seconds, its memory in MB at its highest, and its pause in ms."""

    events: int
    seconds: float
    peak: float
    pause: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


async def measure(ground: Ground) -> None:
    """rebuild_per_s, rebuild_events and rebuild_rss_mb: a process of its own, as `reviewbot rebuild` is one."""
    async with ground.database() as url:
        await fill(url, ground.sizes.rebuild_jobs)
        rebuilt = [await rebuild_aside(url) for _ in range(min(3, ground.sizes.rounds))]
    ground.figures.add("rebuild_events", "events", [rebuilt[-1].events])
    ground.figures.add("rebuild_per_s", "events/s", [one.rate for one in rebuilt])
    ground.figures.add("rebuild_rss_mb", "MB", [one.peak for one in rebuilt])


async def fill(url: str, jobs: int) -> None:
    """The log of the lives of so many jobs, 3.2 events each."""
    owner = await connect(url)
    log = Path(__file__).with_name("log_of_jobs.sql").read_text("utf-8")
    await owner.execute(log, jobs, INSTALLATIONS, timeout=900)
    await owner.execute("vacuum analyze event", timeout=600)
    await owner.close()


async def rebuild_aside(url: str) -> Rebuilt:
    """Rebuild the job list in a process of its own. Raises RuntimeError when that fails."""
    command = (sys.executable, "-m", "tests.bench.rebuild_process", url)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the rebuild ended with {process.returncode}; what it said stands above")
    events, *rest = output.split()
    return Rebuilt(int(events), *map(float, rest))
