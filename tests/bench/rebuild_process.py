"""A process that rebuilds `jobs` of the database given and prints: events, seconds, peak memory in MB, pause in ms."""

from __future__ import annotations

import asyncio
import resource
import sys
import time

from projections.jobs.project import Jobs
from projections.rebuild import rebuild


async def main(url: str) -> None:
    began = time.perf_counter()
    rebuilt = await rebuild(url, Jobs())
    seconds = time.perf_counter() - began
    print(
        rebuilt.events, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, rebuilt.pause_seconds * 1000
    )


asyncio.run(main(sys.argv[1]))
