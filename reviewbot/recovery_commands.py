"""What `reviewbot deliveries` does: one recovery at once, whoever else is at it, and the coverage of heads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import aiohttp
import asyncpg
from rich.progress import Progress, TaskID

from reviewbot.app import database, make_github, make_recovery
from reviewbot.config import Settings
from reviewbot.metrics import Metrics
from reviewbot.recovery.coverage import Coverage, coverage
from reviewbot.recovery.deliveries import Recovered
from reviewbot.recovery.keeper import LEASE_SECONDS, Recovery
from reviewbot.recovery.sweep import Swept
from reviewbot.recovery.work import LeaseLost, Tell
from schema.database import open_pool
from schema.log import Log
from schema.processes import Processes


async def recover(settings: Settings, progress: Progress, *, sweep: bool) -> tuple[Recovered, Swept | None]:
    """Compare all deliveries and ask for what is missing, then sweep every open pull request.

    Raises GitHub's errors, among them GitHubRateLimited: what was done is kept, and the next call goes on from there.
    """
    found, swept = Recovered(), Swept() if sweep else None
    async with _recovery(settings) as recovery, _lease(recovery, progress):
        tell = _bars(progress)
        found.unfinished = True
        while found.unfinished:
            found.unfinished = False
            await recovery.recover(found, tell)
        if swept is not None:
            await recovery.sweep(swept, tell, everything=True)
    return found, swept


async def status(settings: Settings) -> Coverage:
    """What became of every head that the log knows."""
    async with database(settings) as url, _pool(url) as pool:
        return await coverage(pool)


@asynccontextmanager
async def _recovery(settings: Settings) -> AsyncIterator[Recovery]:
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(database(settings))
        pool = await stack.enter_async_context(_pool(url))
        log = Log(pool)
        stack.push_async_callback(log.close)
        session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=True, trust_env=False))
        metrics = Metrics()
        processes = Processes(pool, uuid4(), f"{settings.instance} (command)")
        yield make_recovery(settings, pool, log, make_github(settings, session, metrics), processes, metrics)


@asynccontextmanager
async def _pool(url: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    pool = await open_pool(url, size=4)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def _lease(recovery: Recovery, progress: Progress) -> AsyncIterator[None]:
    """Wait for our turn. Raises LeaseLost when another process does not get done."""
    waiting = None
    for _ in range(int(LEASE_SECONDS)):
        async with recovery.lease() as held:
            if held:
                if waiting is not None:
                    progress.remove_task(waiting)
                yield
                return
        if waiting is None:
            waiting = progress.add_task("another process is recovering; waiting for it", total=None)
        await asyncio.sleep(1.0)
    raise LeaseLost("Another process is still recovering: look at its progress with `reviewbot deliveries status`.")


def _bars(progress: Progress) -> Tell:
    """One bar for each thing that is done."""
    bars: dict[str, TaskID] = {}

    def tell(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = progress.add_task(what)
        progress.update(bars[what], completed=done, total=total)

    return tell


def summary(found: Recovered, swept: Swept | None) -> Iterator[str]:
    """What a recovery did, in sentences."""
    yield f"{found.compared:,} attempts at deliveries compared with the inbox."
    if found.gap is not None:
        since, until = found.gap
        yield (
            f"GAP: GitHub has forgotten what it sent between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC; "
            "only a sweep can tell what is missing."
        )
    if found.promised:
        yield f"{found.promised:,} deliveries had been acknowledged and are NOT in the inbox."
    if found.failed:
        yield f"{found.failed:,} deliveries had failed."
    if found.lost:
        yield f"{found.lost:,} deliveries are lost: GitHub does not keep them any more."
    if found.arrived:
        yield f"{found.arrived:,} deliveries that had been missing have arrived."
    if found.asked:
        yield f"{found.asked:,} deliveries asked for again: GitHub sends them to the webhook, so the service must run."
    if not (found.asked or found.lost):
        yield "Nothing had to be asked for."
    if swept is not None:
        yield (
            f"{swept.repositories:,} repositories swept: {swept.heads:,} open heads, {swept.requested:,} reviews asked "
            f"for, {swept.left_out:,} left out for a reason."
        )
        if swept.refused:
            yield f"{swept.refused:,} installations or repositories are not open to the App; the log names them."
        if swept.retry_after is not None:
            yield "Not all could be swept: run this again in a while."
