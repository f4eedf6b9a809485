"""The `jobs` projection: load the rows of a page, fold, write them back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from projections.base import Connection, fact_of
from projections.jobs.fold import Needs, fold, needs
from projections.jobs.rows import Installation, Job, ProviderPause, PullRequest, Rows
from schema.codec import Recorded
from schema.sql import load

HERE = "projections.jobs"

_jobs = msgspec.json.Decoder(list[Job])
_installations = msgspec.json.Decoder(list[Installation])
_pulls = msgspec.json.Decoder(list[PullRequest])
_providers = msgspec.json.Decoder(list[ProviderPause])
_encoder = msgspec.json.Encoder()


class Jobs:
    """The queryable job table with the rows that the claim needs."""

    name = "jobs"
    version = 6
    tables: tuple[str, ...] = ("jobs", "pull_requests", "installations", "providers")
    functions: tuple[str, ...] = ("jobs_count_inserted", "jobs_count_updated")
    prompt = True

    @property
    def script(self) -> str:
        return load(HERE, "table")

    @property
    def finish(self) -> str:
        return load(HERE, "finish")

    @property
    def ahead(self) -> str:
        return load(HERE, "ahead")

    async def apply(self, connection: Connection, events: Sequence[Recorded]) -> None:
        rows = await _fold(connection, events)
        await _save(connection, rows, [rows.jobs[job] for job in rows.changed], rows.pulls.values())

    async def replay(self, connection: Connection, events: Sequence[Recorded]) -> None:
        rows = await _fold(connection, events)
        await _copy(connection, "jobs", (job for key, job in rows.jobs.items() if key not in rows.stored_jobs))
        await _copy(
            connection, "pull_requests", (pull for key, pull in rows.pulls.items() if key not in rows.stored_pulls)
        )
        jobs = [rows.jobs[job] for job in rows.changed & rows.stored_jobs]
        await _save(connection, rows, jobs, [rows.pulls[pull] for pull in rows.stored_pulls])


async def _fold(connection: Connection, events: Sequence[Recorded]) -> Rows:
    facts = [fact_of(event) for event in events]
    rows = await _load(connection, needs(events, facts))
    for event, fact in zip(events, facts, strict=True):
        fold(rows, event, fact)
    return rows


async def _load(connection: Connection, wanted: Needs) -> Rows:
    if wanted.nothing:
        return Rows()
    found = await connection.fetchrow(
        load(HERE, "load"),
        list(wanted.jobs),
        [repository for repository, _ in wanted.pulls],
        [number for _, number in wanted.pulls],
        list(wanted.installations),
        list(wanted.providers),
    )
    assert found is not None
    jobs, pulls, installations, providers = found
    return Rows(
        _jobs.decode(jobs), _pulls.decode(pulls), _installations.decode(installations), _providers.decode(providers)
    )


async def _save(connection: Connection, rows: Rows, jobs: Collection[Job], pulls: Collection[PullRequest]) -> None:
    written = (jobs, rows.installations.values(), pulls, rows.providers.values())
    if any(written):
        await connection.execute(load(HERE, "save"), *(_encoder.encode(list(each)) for each in written))


async def _copy(connection: Connection, table: str, rows: Iterable[Job | PullRequest]) -> None:
    await connection.copy_records_to_table(table, records=map(msgspec.structs.astuple, rows))
