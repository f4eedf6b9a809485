"""What the recovery remembers between two steps: how far it compared, what is missing, when it is due again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from schema.log import as_persistence_errors
from schema.sql import load

HERE = "reviewbot.recovery"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Comparison(msgspec.Struct, frozen=True):
    """A comparison under way. Times by the database's clock."""

    now: datetime
    covered_until: datetime | None  # None: nothing was ever compared
    top: datetime  # what `covered_until` becomes
    cursor: str | None


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that GitHub lists and the inbox lacks."""

    delivery: UUID
    attempt: int  # GitHub's id of the attempt to ask for again
    event: str
    action: str | None
    installation: int | None
    delivered_at: datetime
    status: str
    promised: bool
    asked: int = 0
    repository_id: int | None = None


class Due(msgspec.Struct, frozen=True):
    """What is to be done now."""

    recover: bool
    sweep: bool


class Standing(msgspec.Struct, frozen=True):
    """How the recovery stands."""

    covered_until: datetime | None
    under_way: bool
    recovered_at: datetime | None
    swept_at: datetime | None
    now: datetime
    missing: int
    oldest_missing: datetime | None


class Met(msgspec.Struct, frozen=True):
    """A repository as the sweep knows it."""

    since: datetime  # heads pushed before are none of ReviewBot's business
    swept_until: datetime | None
    now: datetime


class OpenHead(msgspec.Struct, frozen=True):
    """The head of an open pull request."""

    number: int
    sha: str
    draft: bool


class Store:
    """The recovery's tables. Every method raises OperationalError when the database does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    # --- comparing ----------------------------------------------------------------------------------------------

    async def begin(self) -> Comparison:
        """Begin a comparison, or take up the one that was broken off."""
        return Comparison(*await self._row("begin"))

    async def save_cursor(self, cursor: str | None) -> None:
        await self._do("save_cursor", cursor)

    async def cover(self) -> None:
        """The comparison under way is complete."""
        await self._do("cover")

    async def skip_gap(self, until: datetime) -> None:
        await self._do("skip_gap", until)

    async def absent(self, deliveries: Sequence[UUID]) -> dict[UUID, bool]:
        """Which of them the inbox lacks, each with whether it is known that a promise was broken with it."""
        return {row["delivery"]: row["alarmed"] for row in await self._rows("absent", list(deliveries))}

    async def add_missing(self, found: Sequence[Missing]) -> list[bool]:
        """Remember what is missing; for each that was not known, whether it was promised."""
        columns: list[list[object]] = [
            [each.delivery for each in found],
            [each.attempt for each in found],
            [each.event for each in found],
            [each.action for each in found],
            [each.installation for each in found],
            [each.repository_id for each in found],
            [each.delivered_at for each in found],
            [each.status for each in found],
            [each.promised for each in found],
        ]
        return [row["promised"] for row in await self._rows("add_missing", *columns)]

    # --- asking again -------------------------------------------------------------------------------------------

    async def settle(self, window: timedelta) -> int:
        """Forget what arrived meanwhile; gives how many did."""
        return int((await self._row("settle", window))[0])

    async def out_of_time(self, window: timedelta, rows: int) -> list[Missing]:
        """What GitHub does not send any more."""
        return [Missing(**row) for row in await self._rows("out_of_time", window, rows)]

    async def due(self, rows: int) -> list[Missing]:
        """What is to be asked for now, the oldest first."""
        return [Missing(**row) for row in await self._rows("due", rows)]

    async def save_asked(self, delivery: UUID, waits: tuple[float, float]) -> None:
        """It was asked for; `waits` are the first and the longest wait until the next time, in seconds."""
        await self._do("save_asked", delivery, *waits)

    async def save_lost(self, delivery: UUID) -> None:
        await self._do("save_lost", delivery)

    # --- sweeping -----------------------------------------------------------------------------------------------

    async def meet(self, repository_id: int, installed_at: datetime, window: timedelta) -> Met:
        """A repository that is about to be swept, perhaps for the first time."""
        return Met(*await self._row("meet", repository_id, installed_at, window))

    async def fresh(self, repositories: Sequence[int], seconds: float) -> set[int]:
        """Those of the repositories whose pull requests were looked at within the last `seconds`."""
        return {row["repository_id"] for row in await self._rows("fresh", list(repositories), seconds)}

    async def unexplained(
        self, repository_id: int, heads: Sequence[OpenHead], asking: Sequence[str]
    ) -> dict[int, bool]:
        """The numbers of those that nobody reviews and nothing explains, and whether the log knows the pull request.

        `asking` are the actions of `pull_request` that ask for a review: to ignore another one explains nothing.
        """
        numbers, shas, drafts = [], [], []
        for head in heads:
            numbers.append(head.number)
            shas.append(head.sha)
            drafts.append(head.draft)
        rows = await self._rows("unexplained", repository_id, numbers, shas, drafts, list(asking))
        return {row["number"]: row["known"] for row in rows}

    async def save_swept(self, repository_id: int, until: datetime) -> None:
        await self._do("save_swept", repository_id, until)

    # --- when ---------------------------------------------------------------------------------------------------

    async def due_now(self, *, starting: bool, repeat_seconds: float) -> Due:
        """What is due. A start makes everything due, but for a sweep younger than `repeat_seconds`."""
        return Due(*await self._row("due_now", starting, repeat_seconds))

    async def plan_recover(self, seconds: float) -> None:
        await self._do("plan_recover", seconds)

    async def plan_sweep(self, seconds: float, *, complete: bool) -> None:
        await self._do("plan_sweep", seconds, complete)

    async def standing(self) -> Standing:
        return Standing(*await self._row("standing"))

    # --- within -------------------------------------------------------------------------------------------------

    async def _rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        with as_persistence_errors():
            return await self._pool.fetch(load(HERE, query), *arguments)

    async def _row(self, query: str, *arguments: Any) -> asyncpg.Record:
        row, *_ = await self._rows(query, *arguments)
        return row

    async def _do(self, query: str, *arguments: Any) -> None:
        with as_persistence_errors():
            await self._pool.execute(load(HERE, query), *arguments)
