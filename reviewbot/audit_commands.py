"""What `reviewbot audit` does: questions to the log, answered on the terminal or for programs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import click

from reviewbot import config, logs
from reviewbot.app import database
from reviewbot.audit.history import history, jobs_of
from reviewbot.audit.sentences import sentence
from reviewbot.commands import run
from reviewbot.config import Settings
from reviewbot.errors import ConfigError
from schema.codec import Recorded
from schema.database import open_pool
from schema.log import Log


@click.group()
def audit() -> None:
    """Ask the log what happened."""


@audit.command(name="history")
@click.argument("what", metavar="JOB|OWNER/REPO#NUMBER")
def tell_history(what: str) -> None:
    """The story of a job or of a pull request, in order."""

    async def command() -> None:
        settings = config.load(role="projector")
        logs.configure(level="warning", form="text", stream=sys.stderr)
        async for event in stories(settings, what):
            click.echo(
                f"{event.recorded_at:%Y-%m-%d %H:%M:%S} {event.position:>8}  {event.actor:<24} {sentence(event)}"
            )

    run(command)


async def stories(settings: Settings, what: str) -> AsyncIterator[Recorded]:
    """The events of a job (its id) or of a pull request (owner/repo#number), job by job. Raises ConfigError."""
    async with database(settings) as url:
        pool = await open_pool(url, size=2)
        try:
            log = Log(pool)
            for job in await _jobs_meant(pool, what):
                for event in await history(log, job):
                    yield event
        finally:
            await pool.close()


async def _jobs_meant(pool: asyncpg.Pool[asyncpg.Record], what: str) -> list[UUID]:
    repository, hash_sign, number = what.partition("#")
    if hash_sign and number.isdecimal():
        jobs = await jobs_of(pool, repository, int(number))
        if not jobs:
            raise ConfigError(f"No review of {what} was ever asked for.")
        return jobs
    try:
        return [UUID(what)]
    except ValueError as error:
        raise ConfigError(f"{what!r} is neither a job's id nor a pull request such as owner/repo#7.") from error
