"""What earlier events say about a delivery that points back at a review of ours."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from schema.events import ReviewRequested
from schema.log import Log, as_persistence_errors
from schema.sql import load


class Known:
    """Looks requests up. Raises OperationalError when the database does not answer."""

    def __init__(self, log: Log, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._log, self._pool = log, pool

    async def request(self, job: UUID) -> ReviewRequested | None:
        """The newest request of a job, or None when there is no such job."""
        for event in reversed(await self._log.read_stream(job)):
            if event.topic == ReviewRequested.TOPIC and isinstance(fact := event.fact, ReviewRequested):
                return fact
        return None

    async def request_of_head(self, repository_id: int, head_sha: str) -> ReviewRequested | None:
        """The newest request for a commit, or None when it was never reviewed."""
        with as_persistence_errors():
            job = await self._pool.fetchval(load("reviewbot.webhooks", "find_job"), repository_id, head_sha)
        return None if job is None else await self.request(job)
