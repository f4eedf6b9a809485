"""`reviewbot keys` and `reviewbot erase`: the encryption key is exchanged, an installation's texts are destroyed."""

from __future__ import annotations

import asyncio
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
from reviewbot.erasure import erase_installation
from reviewbot.errors import ConfigError
from reviewbot.keyrings import make_keyring
from schema.database import open_pool
from schema.erasures import Erasures, erase_again
from schema.keys import Changed, Keyring, WrongKey
from schema.log import Log, as_persistence_errors
from schema.outside import OutsideError
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


@click.command(name="erase", short_help="Make an installation's texts unreadable for ever.")
@click.argument("installation", type=click.IntRange(0, 2**63 - 1), required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--again", is_flag=True, help="Destroy every key that ERASURE_FILE lists and a backup brought back.")
def erase_command(installation: int | None, yes: bool, again: bool) -> None:
    """Make all texts of an installation unreadable, for ever: deliveries, prompts, diffs, answers, reviews as posted.

    Its open reviews end as cancelled, its data key is destroyed, and ERASURE_FILE remembers that, so that no backup
    brings the key back. Events, jobs and Check Runs stay. Installation 0 stands for deliveries that name none. The
    service does it by itself ERASE_AFTER_DAYS after an installation was deleted.

    Not promised: who has a backup or WAL from before and the ENCRYPTION_KEY of that time can still read.
    """

    async def command() -> None:
        async with _opened() as (settings, pool):
            erasures = Erasures(settings.keys.erasure_file)
            if again:
                async with pool.acquire() as connection:
                    returned = await erase_again(connection, erasures, "operator")
                click.echo(f"{len(returned)} keys had come back, and are destroyed.")
            if installation is not None:
                click.echo(await _erased(pool, erasures, installation, yes=yes))

    if (installation is None) != again:
        raise click.UsageError("Give an installation, or --again.")
    run(command)


async def _erased(pool: Pool, erasures: Erasures, installation: int, *, yes: bool) -> str:
    if await pool.fetchrow(load("schema.queries", "find_key"), installation) is None:
        raise ConfigError(f"Installation {installation} has no data key: it has no texts, or they are erased already.")
    if not yes:
        question = f"Make all texts of installation {installation} unreadable for ever?"
        await asyncio.to_thread(click.confirm, question, abort=True, err=True)
    await erase_installation(pool, Log(pool), erasures, installation, "operator")
    return f"The texts of installation {installation} are erased. Written down in {erasures.path}; keep that file."


@contextlib.asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Settings, Pool]]:
    settings = config.load(role="projector")
    logs.configure(level="warning", form="text", stream=sys.stderr, secrets=settings.secrets())
    async with database(settings) as url:
        pool = await open_pool(url, size=2)
        try:
            with as_persistence_errors():
                yield settings, pool
        except OutsideError as error:
            raise ConfigError(f"Nothing was erased: {error}.") from error
        finally:
            await pool.close()
