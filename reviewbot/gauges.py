"""Keeps the gauges that a query answers: queue, log and seal, projector lag, drift."""

from __future__ import annotations

import asyncio

import asyncpg
import structlog
from eventsourcing.persistence import PersistenceError

from projections.jobs import read
from projections.projector import lag
from reviewbot.metrics import Metrics
from schema.log import Log, as_persistence_errors
from schema.sql import load

logger = structlog.get_logger(__name__)

SECONDS = 5.0
DRIFT_EVERY = 12  # rounds; it counts all open jobs


async def keep_gauges(pool: asyncpg.Pool[asyncpg.Record], log: Log, metrics: Metrics) -> None:
    """Refresh every few seconds, for ever."""
    rounds = 0
    while True:
        try:
            with as_persistence_errors():
                await _refresh(pool, log, metrics, with_drift=rounds % DRIFT_EVERY == 0)
        except PersistenceError as error:
            logger.info("gauges are old: the database does not answer", error=str(error))
        rounds += 1
        await asyncio.sleep(SECONDS)


async def _refresh(pool: asyncpg.Pool[asyncpg.Record], log: Log, metrics: Metrics, *, with_drift: bool) -> None:
    stats = await read.stats(pool)
    for state in ("pending", "processing", "ending", "failed"):
        metrics.jobs.labels(state).set(getattr(stats, state))
    metrics.oldest_job.set(max(0.0, stats.oldest_seconds))
    metrics.paused.set(stats.paused)
    metrics.log_waiting.set(log.waiting)
    for each in await lag(pool):
        metrics.projection_lag.labels(each.projection).set(each.behind)
        metrics.projection_fault.labels(each.projection).set(each.fault is not None)
        metrics.log_position.set(each.position + each.behind)
    newest = await pool.fetchrow(load("schema.queries", "newest_tree_head"))
    metrics.sealed_events.set(newest["size"] if newest else 0)
    if with_drift:
        metrics.drift.set(await read.drift(pool))
