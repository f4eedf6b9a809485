"""The `jobs` projection: load the rows of a page, fold, write them back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
import msgspec
from eventsourcing.persistence import MapperDeserialisationError

from projections.base import Connection, FoldError
from projections.jobs.fold import Installation, Job, ProviderPause, PullRequest, Rows, fold, needs
from schema.codec import Recorded
from schema.events import Fact
from schema.sql import load

HERE = "projections.jobs"


class Jobs:
    """The queryable job table with the rows that the claim needs."""

    name = "jobs"
    version = 1
    tables: tuple[str, ...] = ("jobs", "pull_requests", "installations", "providers")
    functions: tuple[str, ...] = ("jobs_count_inserted", "jobs_count_updated")

    @property
    def script(self) -> str:
        return load(HERE, "table")

    async def apply(self, connection: Connection, events: Sequence[Recorded]) -> None:
        decoded = []
        for event in events:
            try:
                decoded.append((event, event.fact))
            except MapperDeserialisationError as error:
                raise FoldError(event, str(error)) from error
        rows = await self._load(connection, decoded)
        for event, fact in decoded:
            fold(rows, event, fact)
        await self._save(connection, rows)

    async def _load(self, connection: Connection, decoded: list[tuple[Recorded, Fact]]) -> Rows:
        wanted = needs(decoded)
        repositories, numbers = [r for r, _ in wanted.pulls], [n for _, n in wanted.pulls]

        async def fetch(query: str, *keys: list[Any]) -> list[asyncpg.Record]:
            return await connection.fetch(load(HERE, query), *keys) if keys[0] else []

        jobs = await connection.fetch(load(HERE, "load_jobs"), list(wanted.jobs), repositories, numbers)
        return Rows(
            (Job(**row) for row in jobs),
            (PullRequest(**row) for row in await fetch("load_pulls", repositories, numbers)),
            (Installation(**row) for row in await fetch("load_installations", list(wanted.installations))),
            (ProviderPause(**row) for row in await fetch("load_providers", list(wanted.providers))),
        )

    async def _save(self, connection: Connection, rows: Rows) -> None:
        for query, changed in (
            ("save_installations", rows.installations.values()),
            ("save_jobs", [rows.jobs[job] for job in rows.changed]),
            ("save_pulls", rows.pulls.values()),
            ("save_providers", rows.providers.values()),
        ):
            if changed:
                await connection.execute(load(HERE, query), _json(changed))


def _json(rows: Iterable[msgspec.Struct]) -> bytes:
    return msgspec.json.encode(list(rows))
