"""How fast posted reviews are made again, real pull requests with recorded answers, and what that takes in memory."""

from __future__ import annotations

import asyncio
import itertools
import sys
from uuid import uuid4

from reviewbot.errors import AnswerUnusable
from schema.log import Log
from schema.vault import Vault
from tests.bench.ground import Ground
from tests.helpers import KEYRING, project
from tests.replay.given import recorded_answers, recorded_diffs, reviewed, store


async def measure(ground: Ground) -> None:
    """replay_per_s and replay_rss_mb: a process of its own, as `reviewbot replay --since` is one."""
    async with ground.database() as url:
        async with ground.pool_on(url) as pool:
            await fill(Log(pool), Vault(pool, KEYRING), ground.sizes.replays)
            await project(pool)
        rates, peaks = [], []
        for _ in range(min(3, ground.sizes.rounds)):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.bench.replay_process", url, stdout=asyncio.subprocess.PIPE
            )
            output, _ = await process.communicate()
            replayed, seconds, peak = map(float, output.split())
            assert replayed == ground.sizes.replays, "some of them came out different"
            rates.append(replayed / seconds)
            peaks.append(peak)
    ground.figures.add("replay_per_s", "reviews/s", rates)
    ground.figures.add("replay_rss_mb", "MB", peaks)


async def fill(log: Log, vault: Vault, reviews: int) -> None:
    """So many posted reviews."""
    pairs = itertools.cycle(itertools.product(recorded_diffs(), recorded_answers()))
    made = 0
    while made < reviews:
        changes, text = next(pairs)
        try:
            stored = reviewed(text, changes=changes, job=uuid4())
        except AnswerUnusable:
            continue
        await store(vault, log, stored)
        made += 1
