"""The rows of the `jobs` tables as they are in memory while a page of events is folded."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

from schema.events import Budget

State = Literal["queued", "ending", "running", "completed", "failed", "superseded", "cancelled", "skipped"]
OPEN: frozenset[State] = frozenset({"queued", "ending", "running"})


class Job(msgspec.Struct, gc=False):
    """A row of `jobs`, its fields in the order of the columns; table.sql says what they mean."""

    job: UUID
    version: int
    position: int
    state: State
    installation: int
    repository_id: int
    repository: str
    pull_request: int
    head_sha: str | None
    base_sha: str | None
    trigger: str
    requested_by: int | None
    comment_id: int | None
    correlation: UUID
    request_version: int
    request_position: int
    first_position: int
    asked_at: datetime
    requested_at: datetime
    run_at: datetime
    attempt: int = 0
    releases: int = 0
    claim_no: int = 0
    started_position: int = 0
    started_at: datetime | None = None
    worker: UUID | None = None
    deadline: datetime | None = None
    superseded_by: UUID | None = None
    cancel_reason: str | None = None
    reason: str | None = None
    files: int | None = None
    files_left_out: int | None = None
    provider: str | None = None
    model: str | None = None
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    plan: str | None = None
    findings: int | None = None
    conclusion: str | None = None
    review_id: int | None = None
    review_url: str | None = None
    check_run_id: int | None = None
    check_version: int | None = None
    check_concluded: bool = False
    finished_at: datetime | None = None

    @property
    def pull(self) -> tuple[int, int]:
        return self.repository_id, self.pull_request


class PullRequest(msgspec.Struct, kw_only=True):
    """A row of `pull_requests`: what orders the requests of one pull request."""

    repository_id: int
    pull_request: int
    asked_at: datetime | None = None
    job: UUID | None = None
    stopped_at: datetime | None = None
    stop_reason: str | None = None


class Installation(msgspec.Struct, kw_only=True):
    """The part of a row of `installations` that facts decide; the counters follow the jobs."""

    installation: int
    state: Literal["active", "suspended", "deleted"] = "active"
    changed_at: datetime | None = None
    paused_until: datetime | None = None
    pause_reason: str | None = None
    budget: Budget | None = None


class ProviderPause(msgspec.Struct, kw_only=True):
    """A row of `providers`: until when nobody may ask it."""

    provider: str
    paused_until: datetime
    pause_reason: str


class Rows:
    """The rows that a page of events touches, as loaded and then folded."""

    def __init__(
        self,
        jobs: Iterable[Job] = (),
        pulls: Iterable[PullRequest] = (),
        installations: Iterable[Installation] = (),
        providers: Iterable[ProviderPause] = (),
    ) -> None:
        self.jobs = {row.job: row for row in jobs}
        self.pulls = {(row.repository_id, row.pull_request): row for row in pulls}
        self.installations = {row.installation: row for row in installations}
        self.providers = {row.provider: row for row in providers}
        self.stored_jobs, self.stored_pulls = frozenset(self.jobs), frozenset(self.pulls)
        self.changed: set[UUID] = set()  # jobs to write back
        self.open: dict[tuple[int, int], set[UUID]] = {}
        for job in self.jobs.values():
            if job.state in OPEN:
                self.open.setdefault(job.pull, set()).add(job.job)

    def pull(self, key: tuple[int, int]) -> PullRequest:
        row = self.pulls.get(key)
        if row is None:
            row = self.pulls[key] = PullRequest(repository_id=key[0], pull_request=key[1])
        return row

    def installation(self, installation: int) -> Installation:
        if installation not in self.installations:
            self.installations[installation] = Installation(installation=installation)
        return self.installations[installation]
