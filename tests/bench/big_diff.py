"""What the largest change that GitHub shows costs a worker's process in memory and time."""

from __future__ import annotations

import asyncio
import sys

from tests.bench.ground import Ground


async def measure(ground: Ground) -> None:
    """big_diff_rss_mb and big_diff_s, in a process of its own."""
    sizes = ground.sizes
    peaks, times = [], []
    for _ in range(min(3, sizes.rounds)):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.bench.big_diff_process",
            str(sizes.big_files),
            str(sizes.big_file_bytes),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        peak, seconds = map(float, output.split())
        peaks.append(peak)
        times.append(seconds)
    ground.figures.add("big_diff_rss_mb", "MB", peaks)
    ground.figures.add("big_diff_s", "s", times)
