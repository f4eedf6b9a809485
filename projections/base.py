"""What a projection is: a name, a version, tables made by one script, and a fold of the log into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import asyncpg
from eventsourcing.persistence import MapperDeserialisationError

from schema.codec import Recorded
from schema.events import Fact

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class FoldError(Exception):
    """An event that a projection cannot take in; the projection stands still before it until someone acts."""

    def __init__(self, event: Recorded, reason: str) -> None:
        super().__init__(f"event {event.position} ({event.topic}, version {event.version} of {event.stream}): {reason}")
        self.position = event.position


def fact_of(event: Recorded) -> Fact:
    """What an event says, for a fold. Raises FoldError when this version cannot read it."""
    try:
        return event.fact
    except MapperDeserialisationError as error:
        raise FoldError(event, str(error)) from error


class Projection(Protocol):
    """Raise `version` whenever the tables or the fold change: at the next start they are then built anew.

    Its SQL names tables without a schema: which ones it works on is up to the search path.
    """

    name: str
    version: int
    tables: tuple[str, ...]
    functions: tuple[str, ...]
    prompt: bool  # woken by each append, because somebody waits for it; else it looks once a second

    @property
    def script(self) -> str:
        """SQL that makes the tables, as bare as a replay needs them."""
        ...

    @property
    def finish(self) -> str:
        """SQL that makes replayed tables ready for use: what would only slow a replay down."""
        ...

    @property
    def ahead(self) -> str | None:
        """SQL that reads the events after $1, the checkpoint, that the tables show by the hand of another writer.

        None: the projector is the only one.
        """
        ...

    async def apply(self, connection: Connection, events: Sequence[Recorded]) -> None:
        """Fold one page, in order, within the caller's transaction. Raises FoldError."""
        ...

    async def replay(self, connection: Connection, events: Sequence[Recorded]) -> None:
        """As `apply`, for the large pages of a rebuild, into tables that nobody else uses and `finish` has not seen."""
        ...
