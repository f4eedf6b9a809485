"""`reviewbot audit`: questions to the log, answered on the terminal or for programs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias, get_args
from uuid import UUID

import asyncpg
import click
import msgspec
from eventsourcing.persistence import OperationalError

from reviewbot import config, logs
from reviewbot.app import database
from reviewbot.audit import formats
from reviewbot.audit.failures import failures
from reviewbot.audit.filters import REPOSITORY, BadFilter, Filter, read_moment
from reviewbot.audit.formats import Format
from reviewbot.audit.fresh import catch_up
from reviewbot.audit.history import Links, story_of_job, story_of_pull, summaries
from reviewbot.audit.select import stream
from reviewbot.audit.shapes import Event
from reviewbot.audit.shapes import event as shape
from reviewbot.audit.stats import Day, stats
from reviewbot.audit.why import Limits, known, why
from reviewbot.commands import run
from reviewbot.config import Settings
from reviewbot.errors import ConfigError, ReviewBotError
from schema.codec import Recorded
from schema.database import open_pool
from schema.log import UNREACHABLE

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
SHOWN = 100  # events on a terminal, unless more are asked for
USUAL_DAYS = "7d"


class DatabaseGone(ReviewBotError):
    """The database does not answer any more."""


_format = click.option(
    "--format", "form", type=click.Choice(get_args(Format)), default="table", show_default=True,
    help="A table for people, or JSON lines or CSV for programs.",
)  # fmt: skip
_since = click.option("--since", metavar="WHEN", help="From here: 2h ago as 2h, an ISO time, or a position.")
_until = click.option("--until", metavar="WHEN", help="Up to here, likewise.")
_repository = click.option("--repository", metavar="OWNER/NAME", help="By any name that it ever had.")


@click.group()
def audit() -> None:
    """Ask the log what happened."""


@audit.command(name="events")
@_repository
@click.option("--pull-request", type=int, metavar="NUMBER", help="Of that repository.")
@click.option("--head", metavar="SHA", help="The first digits are enough.")
@click.option("--job", type=click.UUID, metavar="JOB", help="With its Check Run and repeated requests.")
@click.option("--delivery", type=click.UUID, metavar="ID", help="And all that followed from it.")
@click.option("--installation", type=int, metavar="ID")
@click.option("--type", "topics", multiple=True, metavar="EVENT", help="Such as ReviewFailed; may be repeated.")
@click.option("--actor", metavar="WHO", help="Such as user:583231, worker:one, github, operator.")
@_since
@_until
@click.option("--oldest-first", is_flag=True, help="In the order of the log (default: the newest first).")
@click.option(
    "--limit", type=click.IntRange(min=0), default=None,
    help=f"At most so many; 0: all. Default: {SHOWN} on a terminal, else all.",
)  # fmt: skip
@_format
def show_events(*, oldest_first: bool, limit: int | None, form: Format, **parts: Any) -> None:
    """Events by what they are about; all that is given must hold."""

    async def command() -> None:
        asked = _filter(**parts)
        most = SHOWN if limit is None and sys.stdout.isatty() else limit or None
        async with ground() as (pool, _):
            _print_heading(form)
            shown = 0
            async with contextlib.aclosing(stream(pool, asked, newest_first=not oldest_first)) as events:
                async for event in events:
                    if shown == most:
                        click.echo(f"There are more: --limit 0 shows all, --limit N so many. {most} shown.", err=True)
                        break
                    click.echo(_event_line(event, form))
                    shown += 1
        if not shown:
            click.echo("No such event.", err=True)

    run(command)


@audit.command(name="history", short_help="The story of a job or pull request, in order.")
@click.argument("what", metavar="JOB|OWNER/REPO#NUMBER")
@click.option("--at", metavar="WHEN", help="As it stood then: 2h ago as 2h, an ISO time, or a position.")
@_format
def tell_history(what: str, at: str | None, form: Format) -> None:
    """The story of a job or of a pull request in order: who, when, what it cost, and where to look."""

    async def command() -> None:
        meant = _meant(what)
        until = None if at is None else read_moment(at, datetime.now(UTC), "at")
        async with ground() as (pool, settings):
            told = story_of_job(pool, meant, until) if isinstance(meant, UUID) else story_of_pull(pool, *meant, until)
            events = [event async for event in told]
            if not events:
                raise ConfigError(f"The log knows nothing of {what}.")
            _print_heading(form)
            for event in events:
                click.echo(_event_line(event, form))
            if form == "table":
                click.echo()
                for line in summaries(events, Links.of(settings.github.api_url), settings.provider.prices):
                    click.echo(formats.one_line(line))

    run(command)


@audit.command(name="why")
@click.argument("what", metavar="OWNER/REPO#NUMBER")
@click.option("--head", metavar="SHA", help="The first digits are enough (default: the newest head).")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def tell_why(what: str, head: str | None, as_json: bool) -> None:
    """Why a head was or was not reviewed, from the log alone."""

    async def command() -> None:
        meant = _meant(what)
        if isinstance(meant, UUID):
            raise ConfigError(f"{what} is a job: ask for the pull request, such as owner/repo#7.")
        Filter(repository=meant[0], pull_request=meant[1], head=head).checked()
        async with ground() as (pool, settings):
            limits = Limits(settings.concurrency_per_installation, settings.lease_seconds)
            for answer in why(await known(pool, *meant, limits), limits, head):
                for line in [formats.json_line(answer)] if as_json else map(formats.one_line, answer.sentences):
                    click.echo(line)

    run(command)


@audit.command(name="failures", short_help="What failed lately, by code, and what to do.")
@_since
@_until
@_format
def show_failures(since: str | None, until: str | None, form: Format) -> None:
    """What failed in the last seven days, or the time given: by code, with the newest example and what to do."""

    async def command() -> None:
        asked = _filter(since=since or USUAL_DAYS, until=until)
        async with ground() as (pool, _):
            found = await failures(pool, asked)
        if not found:
            click.echo("Nothing failed.", err=True)
        if form != "table":
            _print_rows(found, form)
            return
        heading = ("code", "failed", "tried again", "repositories", "last (UTC)", "newest job")
        rows = [
            (each.code, each.failed, each.tried_again, each.repositories, f"{each.last_at:%Y-%m-%d %H:%M}", each.job)
            for each in found
        ]
        for line in formats.table(heading, rows) if rows else ():
            click.echo(line)
        for each in found:
            click.echo(formats.one_line(f"\n{each.code}: {each.reason}").replace(" ", "\n", 1))
            click.echo(f"  {each.what_to_do}")

    run(command)


@audit.command(name="stats", short_help="Reviews by day and repository: count, time, cost.")
@_repository
@_since
@_until
@_format
def show_stats(repository: str | None, since: str | None, until: str | None, form: Format) -> None:
    """Reviews by day, repository and installation in the last seven days, or the time given, and what they cost."""

    async def command() -> None:
        asked = _filter(repository=repository, since=since or USUAL_DAYS, until=until)
        async with ground() as (pool, settings):
            found = await stats(pool, asked, settings.provider.prices)
        days = found.days
        if not days:
            click.echo("No review ended in that time, and no model was asked.", err=True)
        elif form == "table":
            heading = [name.replace("_", " ") for name in Day.__struct_fields__]
            for line in formats.table(heading, [_to_four_digits(day) for day in days]):
                click.echo(line)
        if form != "table":
            _print_rows(days, form)
        if found.priced_now:
            click.echo(f"{found.priced_now:,} calls were recorded without a price: priced by today's list.", err=True)

    run(command)


def _to_four_digits(day: Day) -> list[object]:
    return [round(cell, 4) if isinstance(cell, Decimal) else cell for cell in msgspec.structs.astuple(day)]


@contextlib.asynccontextmanager
async def ground() -> AsyncIterator[tuple[Pool, Settings]]:
    """The database with projections that have read to the end of the log, and the settings."""
    settings = config.load(role="projector")
    logs.configure(level="warning", form="text", stream=sys.stderr)
    async with database(settings) as url:
        pool = await open_pool(url, size=2)
        try:
            for missing in await catch_up(pool):
                click.echo(missing, err=True)
            yield pool, settings
        except BrokenPipeError:
            raise  # whoever reads our output has enough
        except (OperationalError, *UNREACHABLE) as error:
            raise DatabaseGone from error
        finally:
            await pool.close()


def _filter(*, since: str | None = None, until: str | None = None, **parts: Any) -> Filter:
    """The filter that the options ask for. Raises BadFilter."""
    now = datetime.now(UTC)
    return Filter(
        since=None if since is None else read_moment(since, now, "since"),
        until=None if until is None else read_moment(until, now, "until"),
        **parts,
    ).checked()


def _meant(what: str) -> UUID | tuple[str, int]:
    """A job, or a repository and the number of a pull request. Raises BadFilter."""
    repository, hash_sign, number = what.partition("#")
    if hash_sign and REPOSITORY.fullmatch(repository) and number.isascii() and number.isdecimal():
        Filter(repository=repository, pull_request=int(number)).checked()
        return repository, int(number)
    try:
        return UUID(what)
    except ValueError as error:
        raise BadFilter(f"{what!r} is neither a job's id nor a pull request such as owner/repo#7.") from error


def _print_heading(form: Format) -> None:
    if form == "table":
        click.echo(formats.HEADING)
    elif form == "csv":
        click.echo(formats.csv_heading(Event))


def _event_line(event: Recorded, form: Format) -> str:
    match form:
        case "table":
            return formats.line(event)
        case "jsonl":
            return formats.json_line(shape(event))
        case "csv":
            return formats.csv_line(shape(event))


def _print_rows(rows: Sequence[msgspec.Struct], form: Format) -> None:
    lines: Iterable[str]
    if form == "jsonl":
        lines = map(formats.json_line, rows)
    else:
        lines = [formats.csv_heading(type(rows[0])), *map(formats.csv_line, rows)] if rows else ()
    for line in lines:
        click.echo(line)
