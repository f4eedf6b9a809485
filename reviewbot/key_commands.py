"""`reviewbot keys` and `reviewbot erase`: the encryption key is exchanged, an installation's texts are destroyed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

import asyncpg
import click
import msgspec

from reviewbot import config, logs, terminal
from reviewbot.app import database
from reviewbot.commands import EXIT_FINDINGS, run
from reviewbot.config import Settings
from reviewbot.errors import ConfigError
from reviewbot.keyrings import make_keyring
from schema.database import open_pool
from schema.keys import Changed, Keyring, WrongKey
from schema.rotation import rotate
from schema.sql import load

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Wrapping(msgspec.Struct, frozen=True):
    """How many data keys one encryption key wraps."""

    fingerprint: str
    keys: int


@click.group(name="keys")
def group() -> None:
    """The keys that the stored texts are encrypted with."""


@group.command(name="rotate")
def rotate_command() -> None:
    """Rewrap every data key from ENCRYPTION_KEY_OLD to ENCRYPTION_KEY.

    First start every process of the service with the new key as ENCRYPTION_KEY and the one before as
    ENCRYPTION_KEY_OLD. Interrupted, it is simply run again. Afterwards ENCRYPTION_KEY_OLD is not needed any more.
    """

    async def command() -> None:
        async with _opened() as (settings, pool):
            keyring = make_keyring(settings.keys)
            with terminal.counting("keys") as progress:
                task = progress.add_task("rotation", total=None)
                rewrapped = await _rotated(
                    pool, keyring, lambda done, total: progress.update(task, completed=done, total=total)
                )
        click.echo(f"{rewrapped:,} data keys rewrapped; ENCRYPTION_KEY_OLD is not needed any more.")

    run(command)


async def _rotated(pool: Pool, keyring: Keyring, tell: terminal.Tell) -> int:
    try:
        return await rotate(pool, keyring, tell)
    except (WrongKey, Changed) as error:
        raise ConfigError(f"Nothing was rewrapped: {error}.") from error


@group.command(name="status")
def status_command() -> None:
    """How many data keys there are, and which encryption key opens them.

    Exit code 1 when one of them is opened by none that is given.
    """

    async def command() -> None:
        async with _opened() as (settings, pool):
            keyring = make_keyring(settings.keys)
            rows = await pool.fetch(load("schema.queries", "count_keys"))
        found = [Wrapping(*row) for row in rows]
        for line in told(found, keyring):
            click.echo(line)
        if {wrapping.fingerprint for wrapping in found} - keyring.fingerprints:
            sys.exit(EXIT_FINDINGS)

    run(command)


def told(found: Sequence[Wrapping], keyring: Keyring) -> list[str]:
    """One line for each encryption key: what it wraps, and whether it is there."""
    lines = [f"ENCRYPTION_KEY is {keyring.current.fingerprint}."]
    for wrapping in found:
        if wrapping.fingerprint == keyring.current.fingerprint:
            which = "the one in force"
        elif wrapping.fingerprint in keyring.fingerprints:
            which = "ENCRYPTION_KEY_OLD; `reviewbot keys rotate` rewraps them"
        else:
            which = "NOT GIVEN; their texts cannot be read"
        lines.append(f"{wrapping.keys:>8,} data keys wrapped by {wrapping.fingerprint}: {which}")
    return lines if found else [*lines, "There are no data keys yet."]


@contextlib.asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Settings, Pool]]:
    settings = config.load(role="projector")
    logs.configure(level="warning", form="text", stream=sys.stderr, secrets=settings.secrets())
    async with database(settings) as url:
        pool = await open_pool(url, size=2)
        try:
            yield settings, pool
        finally:
            await pool.close()
