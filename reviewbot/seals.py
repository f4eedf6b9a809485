"""The seal of the log, as settings, metrics and Check Runs know it."""

from __future__ import annotations

import asyncpg

from reviewbot.config import SealSettings
from reviewbot.metrics import Metrics
from schema.log import as_persistence_errors
from schema.notes import Checkpoint, from_base64
from schema.outside import Copies, Keys
from schema.processes import Processes
from schema.seal import Sealer
from schema.sql import load


def make_keys(settings: SealSettings) -> Keys:
    """The configured keys."""
    return Keys(
        origin=settings.origin,
        seed=from_base64(settings.key.reveal()) if settings.key else None,
        path=settings.key_file,
        old=settings.keys_old,
    )


def make_sealer(
    settings: SealSettings, pool: asyncpg.Pool[asyncpg.Record], processes: Processes, metrics: Metrics
) -> Sealer:
    """The sealer of this process; a metric tells when it may not seal."""

    def tell(fault: str | None) -> None:
        metrics.seal_fault.set(fault is not None)

    return Sealer(pool, processes, make_keys(settings), Copies(settings.checkpoint_file), tell=tell)


async def newest_seal(pool: asyncpg.Pool[asyncpg.Record]) -> str | None:
    """size:root of the newest checkpoint, for people; None before the first. Raises OperationalError."""
    with as_persistence_errors():
        row = await pool.fetchrow(load("schema.queries", "newest_tree_head"))
    return Checkpoint("", row["size"], row["root"]).brief if row else None
