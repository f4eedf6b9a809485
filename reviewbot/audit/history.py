"""The story of a job or a pull request, told from the log."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from reviewbot.review import check_stream
from schema.codec import Recorded
from schema.erasures import erasure_stream
from schema.log import Log
from schema.sql import load


async def jobs_of(pool: asyncpg.Pool[asyncpg.Record], repository: str, pull_request: int) -> list[UUID]:
    """The jobs of a pull request, in the order of their requests."""
    rows = await pool.fetch(load("projections.jobs", "of_pull_request"), repository, pull_request)
    return [row["job"] for row in rows]


async def history(log: Log, job: UUID) -> list[Recorded]:
    """All events of a job and of its Check Runs, in order, and the erasures of its texts."""
    events = await log.read_stream(job) + await log.read_stream(check_stream(job))
    if events and events[0].installation is not None:
        erased = await log.read_stream(erasure_stream(events[0].installation))
        events += [event for event in erased if event.position > events[0].position]
    return sorted(events, key=lambda event: event.position)
