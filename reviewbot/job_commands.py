"""`reviewbot audit jobs`: the job table, as it is or as it was."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import islice
from typing import Any, get_args
from uuid import UUID

import click
import msgspec
from rich.progress import Progress

from projections.jobs.rows import State
from reviewbot import terminal
from reviewbot.api import shapes
from reviewbot.api.parameters import JobsAsked
from reviewbot.api.questions import Questions, Table, check
from reviewbot.audit import formats
from reviewbot.audit.formats import Format
from reviewbot.audit_commands import SHOWN, ground
from reviewbot.commands import run

PAGE = 1_000


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A job as a line of a table."""

    job: UUID
    state: str
    pull_request: str
    head: str
    asked: str
    attempt: int
    findings: int | None
    reason: str


@click.command(name="jobs", short_help="Review jobs, as they are or as they were.")
@click.option("--repository", metavar="OWNER/NAME", help="By any name that it ever had.")
@click.option("--pull-request", type=click.IntRange(1, 2**31 - 1), metavar="NUMBER", help="Of that repository.")
@click.option("--head", metavar="SHA", help="The first digits are enough.")
@click.option("--installation", type=click.IntRange(1, 2**63 - 1), metavar="ID")
@click.option("--state", type=click.Choice(get_args(State)))
@click.option("--at", metavar="WHEN", help="As it was then: a position, an ISO time, or 2h ago as 2h (default: now).")
@click.option(
    "--limit", type=click.IntRange(min=0), default=None,
    help=f"At most so many; 0: all. Default: {SHOWN} on a terminal, else all.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(get_args(Format)), default="table", show_default=True,
    help="A table for people, or JSON lines or CSV for programs, with every column.",
)  # fmt: skip
def show_jobs(*, limit: int | None, form: Format, **parts: Any) -> None:
    """Review jobs, those that were asked for last first; with --at as they were at any moment of the log.

    The past is folded anew from the log, by the code that makes the live table; nothing is changed by it. It takes
    longer the more the log holds up to there, and much less for one repository or pull request.
    """

    async def command() -> None:
        asked = JobsAsked(**parts)
        check(asked)
        most = SHOWN if limit is None and sys.stdout.isatty() else limit or None
        async with ground() as (pool, _):
            with terminal.event_progress() as progress:
                questions = Questions(pool, most_folded=None, progress=_bar(progress))
                async with questions.table(asked) as table:
                    progress.stop()
                    await _show(table, most, form)

    run(command)


async def _show(table: Table, most: int | None, form: Format) -> None:
    if table.moment is not None:
        when = f", recorded {table.moment.recorded_at:%Y-%m-%d %H:%M:%S} UTC" if table.moment.recorded_at else ""
        click.echo(f"As it was after event {table.moment.position}{when}.", err=True)
    shown = 0
    async for jobs in _pages(table, most):
        for line in _lines(jobs, form, heading=not shown):
            click.echo(line)
        shown += len(jobs)
    if not shown:
        click.echo("No such job.", err=True)
    elif shown == most:
        click.echo(f"{most} shown; there may be more: --limit 0 shows all, --limit N so many.", err=True)


async def _pages(table: Table, most: int | None) -> AsyncGenerator[list[shapes.Job], None]:
    before, left = None, most
    while left is None or left > 0:
        rows = await table.page(before, PAGE if left is None else min(PAGE, left))
        if not rows:
            return
        yield [shapes.job(row) for row in rows]
        before, left = rows[-1].first_position, None if left is None else left - len(rows)


def _lines(jobs: list[shapes.Job], form: Format, *, heading: bool) -> Iterator[str]:
    match form:
        case "table":
            names = [name.replace("_", " ") for name in Line.__struct_fields__]
            lines = formats.table(names, [msgspec.structs.astuple(_line(job)) for job in jobs])
            yield from lines if heading else islice(lines, 1, None)
        case "jsonl":
            yield from map(formats.json_line, jobs)
        case "csv":
            if heading:
                yield formats.csv_heading(shapes.Job)
            yield from map(formats.csv_line, jobs)


def _line(job: shapes.Job) -> Line:
    return Line(
        job=job.id,
        state=job.state,
        pull_request=f"{job.repository}#{job.pull_request}",
        head=job.head_sha[:12] if job.head_sha else "",
        asked=f"{job.requested_at:%Y-%m-%d %H:%M}",
        attempt=job.attempt,
        findings=job.findings,
        reason=job.reason or job.cancel_reason or "",
    )


def _bar(progress: Progress) -> Callable[[int, int], None]:
    """A bar that appears with the first page."""
    task = progress.add_task("the past", total=None, visible=False)
    return lambda done, total: progress.update(task, completed=done, total=total, visible=True)
