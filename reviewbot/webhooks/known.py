"""What earlier events say about a delivery that points back at a review of ours."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from reviewbot.story import reviews_drafts
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

    async def reviews_drafts(self, installation: int, repository_id: int) -> bool:
        """Whether the repository's settings, as they stood for its newest review, want drafts reviewed."""
        return await reviews_drafts(self._log, installation, repository_id)

    async def pull_requests_of_head(self, repository_id: int, head_sha: str) -> list[int]:
        """The pull requests in which a commit was to be reviewed, the newest request first."""
        with as_persistence_errors():
            rows = await self._pool.fetch(load("reviewbot.webhooks", "find_pull_requests"), repository_id, head_sha)
        return [row["pull_request"] for row in rows]
