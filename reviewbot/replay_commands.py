"""`reviewbot replay`: is a review what its stored bytes come to, and what would other settings have posted?"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import click
from msgspec.structs import replace
from pathspec import GitIgnoreSpec
from rich.progress import Progress

from projections.jobs import read
from reviewbot import config, logs, policy, terminal
from reviewbot.app import database, make_provider, our_version
from reviewbot.audit.filters import Filter, read_moment
from reviewbot.audit.fresh import catch_up
from reviewbot.audit.select import stream
from reviewbot.commands import run
from reviewbot.config import Settings
from reviewbot.counterfactual import Question, would_have_posted
from reviewbot.differences import Difference
from reviewbot.errors import ConfigError, ReviewBotError
from reviewbot.findings import SEVERITIES, Severity
from reviewbot.keyrings import open_vault
from reviewbot.leaks import leaks
from reviewbot.replay import NotReplayable, Replayed, load, replay, unknown
from reviewbot.replay_report import Show
from reviewbot.reviewer import terms
from schema.codec import Recorded
from schema.database import open_pool
from schema.events import ReviewPrepared, Terms
from schema.log import Log
from schema.sql import load as sql
from schema.vault import Vault

WITHHELD = "(not shown: it repeats a credential of this service)"


class Patterns(click.ParamType[str]):
    """A pattern of a .gitignore."""

    name = "PATTERN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            GitIgnoreSpec.from_lines([str(value)])
        except ValueError as error:
            self.fail(f"{str(value)!r} is no pattern of a .gitignore: {error}", param, ctx)
        return str(value)


@click.command(name="replay", short_help="Make a posted review again, calling nobody.")
@click.argument("job", type=click.UUID, required=False)
@click.option("--since", metavar="TIME", help="Instead of one JOB: every review made since, e.g. 30d or 2026-01-31.")
@click.option("--repository", metavar="OWNER/NAME", help="With --since: of this repository alone.")
@click.option("--installation", type=click.IntRange(min=1), help="With --since: of this installation alone.")
@click.option("--with-rules", is_flag=True, help="What if the offline rules had reviewed?")
@click.option("--with-settings", is_flag=True, help="What if today's settings had been in force?")
@click.option("--max-findings", type=click.IntRange(1, 1_000), help="What if MAX_FINDINGS had been this?")
@click.option("--max-files", type=click.IntRange(1, 3_000), help="What if MAX_FILES had been this?")
@click.option("--min-severity", type=click.Choice(SEVERITIES), help="What if nothing below this had been shown?")
@click.option(
    "--ignore",
    "ignored",
    type=Patterns(),
    multiple=True,
    help="What if files of this .gitignore pattern had been left out? May be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each review, on a line of its own.")
def command(
    job: UUID | None,
    since: str | None,
    repository: str | None,
    installation: int | None,
    with_rules: bool,
    with_settings: bool,
    max_findings: int | None,
    max_files: int | None,
    min_severity: Severity | None,
    ignored: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a posted review again from the stored bytes, without calling anybody, and compare it with what was posted.

    Read again, placed again, and rendered again are the answers of then under the settings of then. The options that
    ask "what if" compare with what other settings would have posted, and say when only a new model call could tell.

    Exit codes: 0 equal, 1 different (the difference is shown), 2 it cannot be told.
    """
    if (job is None) == (since is None):
        raise click.UsageError("Name one JOB, or give --since for all reviews made since then.")
    if since is None and (repository or installation):
        raise click.UsageError("--repository and --installation choose among many reviews: give --since, too.")

    question = Question(
        with_rules=with_rules,
        max_files=max_files,
        max_findings=max_findings,
        min_severity=min_severity or "low",
        ignored=ignored,
    )
    show = Show(as_json=as_json, one=job is not None)

    async def main() -> None:
        asked = _filter(since, repository, installation) if since is not None else None
        settings = config.load(role="projector")
        logs.configure(level="warning", form="text", stream=sys.stderr)
        today = await _terms_of_today(settings) if with_settings else None
        async with _replayer(settings, replace(question, today=today)) as replayer:
            if job is not None:
                show(await replayer.one(job))
            elif asked is not None:
                for doubt in await catch_up(replayer.pool):
                    click.echo(doubt, err=True)
                with terminal.event_progress() as progress:
                    async for replayed in replayer.many(asked, progress):
                        show(replayed)
        sys.exit(show.end())

    run(main)


def _filter(since: str, repository: str | None, installation: int | None) -> Filter:
    moment = read_moment(since, datetime.now(UTC), "since")
    topics = (ReviewPrepared.TOPIC,)
    return Filter(since=moment, repository=repository, installation=installation, topics=topics).checked()


async def _terms_of_today(settings: Settings) -> Terms:
    provider = make_provider(settings)
    await provider.close()
    return terms(
        provider,
        policy.Settings(),
        max_files=settings.max_files,
        max_findings=settings.max_findings,
        max_output_tokens=settings.provider.max_output_tokens,
    )


# --- one review, or many ----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _replayer(settings: Settings, question: Question) -> AsyncIterator[Replayer]:
    async with database(settings) as url:
        pool = await open_pool(url, size=2)
        try:
            vault = await open_vault(settings.keys, pool)
            yield Replayer(pool, vault, question, settings.secrets())
        finally:
            await pool.close()


class Replayer:
    """Replays reviews, or asks what else would have been posted when there is a question."""

    def __init__(self, pool: read.Pool, vault: Vault, question: Question, secrets: Sequence[str]) -> None:
        self.pool, self._log, self._vault = pool, Log(pool), vault
        self._question, self._secrets = question, secrets

    async def one(self, job: UUID) -> Replayed:
        """What the replay of one job came to; "unknown" where it cannot be told."""
        try:
            stored = await load(self._vault, self._log, job)
        except NotReplayable as error:
            return Replayed(job=job, outcome="unknown", told=str(error))
        try:
            if self._question == Question():
                return self._guarded(replay(stored, our_version()))
            return self._guarded(await would_have_posted(stored, self._question, self._secrets))
        except ReviewBotError as error:
            return unknown(stored, str(error))

    async def many(self, asked: Filter, progress: Progress) -> AsyncIterator[Replayed]:
        """The newest reviews of all jobs that fit, in the order of the log. Raises ConfigError when there are none."""
        end = await self.pool.fetchval(sql("schema.queries", "read_head_position"))
        bar, first = progress.add_task("replayed", total=None), 0
        async for prepared in stream(self.pool, asked):
            first = first or prepared.position
            if await self._is_newest(prepared):
                yield await self.one(prepared.stream)
            progress.update(bar, completed=prepared.position - first, total=end - first)
        if not first:
            raise ConfigError("No review that fits was made since then.")
        progress.update(bar, completed=end - first, total=end - first)

    async def _is_newest(self, prepared: Recorded) -> bool:
        """Whether the job has no later review: one that failed to be posted may have been made again."""
        later = await self._log.read_stream(prepared.stream, after=prepared.version)
        return all(event.topic != prepared.topic for event in later)

    def _guarded(self, replayed: Replayed) -> Replayed:
        """A changed reading may bring to light what was withheld: a credential of ours is not shown even then."""
        shown = [
            Difference(each.what, WITHHELD) if leaks(each.diff, self._secrets) else each
            for each in replayed.differences
        ]
        return replace(replayed, differences=tuple(shown))
