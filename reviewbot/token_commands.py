"""`reviewbot tokens`: who may read over HTTP."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import TypeAlias

import asyncpg
import click

from reviewbot import config, logs
from reviewbot.api import tokens
from reviewbot.api.tokens import Token
from reviewbot.app import database
from reviewbot.commands import run
from schema.database import open_pool

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
UNITS = {"h": "hours", "d": "days", "w": "weeks"}
LONGEST_LIFE = timedelta(days=3650)


class Life(click.ParamType[timedelta]):
    """How long something lives, such as 90d."""

    name = "90d"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", str(value), re.ASCII)
        life = timedelta(**{UNITS[found[2]]: int(found[1])}) if found else LONGEST_LIFE
        if not found or life >= LONGEST_LIFE:
            self.fail(f"{value!r} is no life of a token: write 12h, 90d or 52w, less than ten years.", param, ctx)
        return life


@click.group(name="tokens")
def group() -> None:
    """Who may read over HTTP: tokens for /api."""


@group.command(name="create")
@click.argument("name")
@click.option("--expires", type=Life(), help="How long it opens the API, such as 90d (default: until it is revoked).")
def create(name: str, expires: timedelta | None) -> None:
    """Make a token and show it, this once: only its digest is stored.

    Whoever has it may read all events and jobs, of every installation, and change nothing.
    """

    async def command() -> None:
        async with _pool() as pool:
            token = await tokens.create(pool, name, expires)
        click.echo("This is shown once; keep it where secrets are kept.", err=True)
        click.echo(token)

    run(command)


@group.command(name="list", short_help="All tokens: made, last used, and until when.")
def list_all() -> None:
    """All tokens by name: when each was made and last used, and until when it opens the API."""

    async def command() -> None:
        async with _pool() as pool:
            found = await tokens.list_all(pool)
        for line in told(found):
            click.echo(line)

    run(command)


@group.command(name="revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """End a token at once, in every process of the service."""

    async def command() -> None:
        async with _pool() as pool:
            await tokens.revoke(pool, name)
        click.echo(f"The token {name!r} opens nothing any more.")

    run(command)


@contextlib.asynccontextmanager
async def _pool() -> AsyncIterator[Pool]:
    settings = config.load(role="projector")
    logs.configure(level="warning", form="text", stream=sys.stderr)
    async with database(settings) as url:
        pool = await open_pool(url, size=1)
        try:
            yield pool
        finally:
            await pool.close()


def told(found: list[Token]) -> list[str]:
    """One line for each token, in columns."""
    if not found:
        return ["There are no tokens. `reviewbot tokens create NAME` makes one."]
    width = max(len(token.name) for token in found)
    return [
        f"{token.name:<{width}}  made {_day(token.created_at)}, used {_day(token.last_used_at)}, "
        f"{'EXPIRED' if token.expired else 'expires'} {_day(token.expires_at)}"
        for token in found
    ]


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
