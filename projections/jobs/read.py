"""Questions to the `jobs` tables, and the claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from projections.base import Connection
from projections.jobs.project import Jobs
from projections.jobs.rows import Job, State
from schema.sql import load

HERE = "projections.jobs"
UNINSTALLED = "the App was uninstalled"  # why jobs end whose installation is gone
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Worker(msgspec.Struct, frozen=True):
    """A worker process as the log names it."""

    id: UUID  # new at every start
    instance: str

    @property
    def actor(self) -> str:
        return f"worker:{self.instance}"


class QueueStats(msgspec.Struct, frozen=True):
    """The queue at a glance. `failed` counts the last 24 hours."""

    pending: int
    processing: int
    ending: int
    failed: int
    oldest_seconds: float  # how long the first due job has been waiting
    paused: int  # installations


class Lost(msgspec.Struct, frozen=True):
    """A running job that nobody works on any more; `late`: its worker lives, but the deadline has passed."""

    job: Job
    late: bool


class Standing(msgspec.Struct, frozen=True):
    """What has become of a job that a worker is busy with."""

    job: UUID
    claim_no: int
    state: str
    superseded_by: UUID | None
    cancel_reason: str | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the jobs of a list have in common. A part that is left out excludes nothing."""

    repositories: list[int] | None = None  # any of these ids
    pull_request: int | None = None
    installation: int | None = None
    state: State | None = None
    head: str | None = None  # the first hex digits
    jobs: list[UUID] | None = None  # any of these


class Waiting(msgspec.Struct, frozen=True):
    """What a waiting job waits for."""

    now: datetime
    state: str  # of the installation
    changed_at: datetime | None  # of that state
    paused_until: datetime | None  # the installation
    pause_reason: str | None
    running: int  # reviews of the installation
    max_running: int | None  # None: the operator's default
    before: int  # jobs of the installation that come first
    turns_before: int  # installations that have their turn first
    provider_paused_until: datetime | None
    workers: int  # alive


async def claim(
    pool: Pool, worker: Worker, *, slots: int, limit: timedelta, per_installation: int, provider: str
) -> list[Job]:
    """Take up to `slots` jobs, one per installation, the longest waiting installation first; starts each in the log.

    Raises asyncpg.UniqueViolationError when the log is ahead of the table; the next poll succeeds.
    """
    rows = await pool.fetch(
        load(HERE, "claim"), slots, worker.id, worker.actor, limit, per_installation, provider, Jobs.version
    )
    return [Job(*row) for row in rows]


async def ending(pool: Pool, rows: int = 100) -> list[Job]:
    """Jobs whose ending nobody has written to the log yet."""
    found = []
    for row in await pool.fetch(load(HERE, "ending"), rows):
        columns = dict(row)
        if columns.pop("installation_state") == "deleted":
            columns["cancel_reason"] = UNINSTALLED
        found.append(Job(**columns))
    return found


async def lost(pool: Pool, lease_seconds: float, rows: int = 100) -> list[Lost]:
    """Running jobs whose worker has not beaten for `lease_seconds`, is unknown, or is past the job's deadline."""
    found = []
    for row in await pool.fetch(load(HERE, "lost"), lease_seconds, rows):
        columns = dict(row)
        late = columns.pop("late")
        found.append(Lost(Job(**columns), bool(late)))
    return found


async def unchecked(pool: Pool, rows: int = 50) -> list[Job]:
    """Jobs whose Check Run on GitHub must be created or concluded."""
    return [Job(*row) for row in await pool.fetch(load(HERE, "unchecked"), rows)]


async def held(pool: Pool) -> list[int]:
    """Installations that a used up budget holds back now."""
    return [row["installation"] for row in await pool.fetch(load(HERE, "held"))]


async def held_jobs(pool: Pool, rows: int, told: Mapping[UUID, tuple[int, str]]) -> list[tuple[Job, str]]:
    """Waiting jobs that a used up budget holds back and whose Check Run does not say so, each with the reason.

    `told` are the installations and the reasons that Check Runs give already.
    """
    found = []
    reasons = [reason for _, reason in told.values()]
    for row in await pool.fetch(load(HERE, "held_jobs"), rows, list(told), reasons):
        *columns, reason = row
        found.append((Job(*columns), reason))
    return found


async def open_jobs(pool: Pool, installation: int) -> list[UUID]:
    """The jobs of an installation that have not ended yet."""
    return [row["job"] for row in await pool.fetch(load(HERE, "open_jobs"), installation)]


async def erasable(pool: Pool, after_days: int) -> list[int]:
    """Installations that were deleted so many days ago, or longer, and whose texts can still be read."""
    rows = await pool.fetch(load(HERE, "erasable"), timedelta(days=after_days))
    return [row["installation"] for row in rows]


async def standing(pool: Pool, jobs: Sequence[UUID]) -> list[Standing]:
    """What the table says of jobs that are being worked on."""
    found = []
    for row in await pool.fetch(load(HERE, "wanted"), list(jobs)):
        columns = dict(row)
        if columns.pop("uninstalled"):
            columns["cancel_reason"] = UNINSTALLED
        found.append(Standing(**columns))
    return found


async def page(connection: Connection, wanted: Wanted, *, before: int | None = None, limit: int) -> list[Job]:
    """Jobs in the order of their first requests, the newest first, only those placed before `before`.

    The place of a job, its `first_position`, never changes; so pages that go on from the last one of the page before
    neither lose nor repeat a job, whatever happens meanwhile. The caller is in a transaction.
    """
    # The query leaves out what is null, which only a plan made for the very values can take advantage of.
    await connection.execute("set local plan_cache_mode = force_custom_plan")
    rows = await connection.fetch(
        load(HERE, "list"),
        before,
        limit,
        wanted.repositories,
        wanted.pull_request,
        wanted.installation,
        wanted.state,
        wanted.head,
        wanted.jobs,
    )
    return [Job(*row) for row in rows]


async def get(pool: Pool | Connection, job: UUID) -> Job | None:
    """One job, or None."""
    row = await pool.fetchrow(load(HERE, "get"), job)
    return Job(*row) if row else None


async def of_pull_request(pool: Pool, repositories: Sequence[int], number: int) -> list[Job]:
    """The jobs of a pull request, in the order of their requests."""
    return [Job(*row) for row in await pool.fetch(load(HERE, "of_pull_request"), list(repositories), number)]


async def waiting(pool: Pool, job: UUID, lease_seconds: float) -> Waiting | None:
    """What a job waits for; None for one that is not there."""
    row = await pool.fetchrow(load(HERE, "waiting"), job, lease_seconds)
    return Waiting(*row) if row else None


async def stats(pool: Pool) -> QueueStats:
    """The queue at a glance."""
    row = await pool.fetchrow(load(HERE, "stats"))
    assert row is not None
    return QueueStats(*row)


async def drift(pool: Pool) -> int:
    """Installations whose counters differ from their jobs; anything but 0 is a defect."""
    return int(await pool.fetchval(load(HERE, "drift")))
