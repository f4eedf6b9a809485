"""A process that replays every review of a database and prints: how many are equal, seconds, peak memory in MB."""

from __future__ import annotations

import asyncio
import resource
import sys
import time

from rich.progress import Progress

from reviewbot.audit.filters import Filter
from reviewbot.counterfactual import Question
from reviewbot.replay_commands import Replayer
from schema.database import open_pool
from schema.events import ReviewPrepared
from schema.vault import Vault
from tests.helpers import KEYRING


async def main(url: str) -> None:
    pool = await open_pool(url, size=2)
    replayer = Replayer(pool, Vault(pool, KEYRING), Question(), ())
    began, equal = time.perf_counter(), 0
    with Progress(disable=True) as progress:
        async for replayed in replayer.many(Filter(topics=(ReviewPrepared.TOPIC,)), progress):
            equal += replayed.outcome == "equal"
    seconds = time.perf_counter() - began
    await pool.close()
    print(equal, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


asyncio.run(main(sys.argv[1]))
