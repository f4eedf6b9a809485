"""The `trail` projection: load the subjects of a page, fold, write what is new."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from projections.base import Connection, fact_of
from projections.trail.fold import TELLING, Rows, Subject, fold, needs
from schema.codec import Recorded
from schema.sql import load

HERE = "projections.trail"


class Trail:
    """Where in the log a repository, a pull request, a head, a job, an actor and so on are found."""

    name = "trail"
    version = 1
    tables: tuple[str, ...] = ("trail", "trail_subjects", "trail_names")
    functions: tuple[str, ...] = ()
    ahead = None
    prompt = False

    @property
    def script(self) -> str:
        return load(HERE, "table")

    @property
    def finish(self) -> str:
        return load(HERE, "finish")

    async def apply(self, connection: Connection, events: Sequence[Recorded]) -> None:
        facts = [fact_of(event) if event.topic in TELLING else None for event in events]
        known = await connection.fetch(load(HERE, "load"), list(needs(events, facts)))
        rows = Rows(Subject(*row) for row in known)
        for event, fact in zip(events, facts, strict=True):
            fold(rows, event, fact)
        await _save(connection, rows)

    async def replay(self, connection: Connection, events: Sequence[Recorded]) -> None:
        await self.apply(connection, events)


async def _save(connection: Connection, rows: Rows) -> None:
    subjects = msgspec.json.encode([rows.subjects[stream] for stream in rows.changed])
    marks = rows.marks()
    facets, values, blocks = ([mark[n] for mark in marks] for n in range(3))
    names, ids = ([name[n] for name in rows.names] for n in range(2))
    await connection.execute(load(HERE, "save"), subjects, facets, values, blocks, names, ids)
