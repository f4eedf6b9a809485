"""A process that rebuilds `jobs` of the database given and prints: events, seconds, peak memory in MB."""

from __future__ import annotations

import asyncio
import resource
import sys
import time

from projections.jobs.project import Jobs
from projections.rebuild import rebuild
from schema.database import connect


async def main(url: str) -> None:
    connection = await connect(url)
    began = time.perf_counter()
    events = await rebuild(connection, Jobs())
    seconds = time.perf_counter() - began
    await connection.close()
    print(events, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


asyncio.run(main(sys.argv[1]))
