"""What the HTTP API answers: the shapes that clients may rely on, and how rows become them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, TypeAlias
from uuid import UUID

import msgspec

from projections.jobs import rows
from projections.past import Moment
from reviewbot.audit.shapes import Event, Time
from schema.events import Conclusion, Trigger

Digits: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40,64}$")]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no answer, and what to do about it."""

    reason: str
    parameter: str | None = None  # the one at fault


class At(msgspec.Struct, frozen=True):
    """The moment that an answer stands for: after the event at this position of the log."""

    position: Annotated[int, msgspec.Meta(ge=0)]
    recorded_at: Time | None  # of that event; null before the first


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A review job: one head of one pull request, or one deliberate request for its review."""

    id: UUID
    state: rows.State
    installation: int
    repository_id: int
    repository: str  # owner/name when it was asked for
    pull_request: int
    head_sha: Digits | None  # null: a comment asked, and nobody has looked yet
    base_sha: Digits | None
    trigger: Trigger
    requested_by: int | None  # GitHub user id
    comment_id: int | None
    correlation: UUID  # the delivery or command that began it
    asked_at: Time  # by GitHub's clock
    requested_at: Time
    run_at: Time  # not before
    attempt: int
    releases: int  # times that it was handed back unfinished
    started_at: Time | None
    deadline: Time | None
    superseded_by: UUID | None  # while its ending is not written yet
    cancel_reason: str | None  # likewise
    reason: str | None  # why it failed, was skipped, cancelled or put back
    files: int | None
    files_left_out: int | None
    provider: str | None
    model: str | None
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal  # of the answers that were recorded with a price
    findings: int | None
    conclusion: Conclusion | None
    review_id: int | None
    review_url: str | None
    check_run_id: int | None
    finished_at: Time | None
    first_position: int  # of its first event: its place in lists
    position: int  # of its newest event
    version: int  # how many events it has


class OneJob(msgspec.Struct, frozen=True):
    """A job as it is, or as it was."""

    job: Job
    at: At | None  # null: now


class Jobs(msgspec.Struct, frozen=True):
    """A page of jobs; those that were asked for last come first."""

    jobs: list[Job]
    next: str | None  # the `cursor` of the next page; null: this is the last
    at: At | None  # null: now


class Events(msgspec.Struct, frozen=True):
    """A page of events."""

    events: list[Event]
    next: str | None  # the `cursor` of the next page; null: there is nothing more up to `position`
    position: int  # everything up to here was looked at: ask again later with since= the next position


def job(row: rows.Job) -> Job:
    """A row of the job table as clients see it."""
    return Job(id=row.job, **{name: getattr(row, name) for name in _SAME})


_SAME = tuple(name for name in Job.__struct_fields__ if name != "id")


def at(moment: Moment | None) -> At | None:
    """The moment that an answer stands for."""
    return None if moment is None else At(moment.position, moment.recorded_at)
