"""The seal on the command line: is the log what was sealed, a proof for somebody else, going on after a restore."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import click
import msgspec
from rich.progress import Progress

from reviewbot import config, logs, terminal
from reviewbot.app import database
from reviewbot.audit.history import history
from reviewbot.commands import EXIT_FINDINGS, run
from reviewbot.config import Settings
from reviewbot.errors import ConfigError
from reviewbot.seals import make_keys
from schema import verify as verification
from schema.adoption import AdoptionRefused, adopt, propose
from schema.database import open_pool
from schema.log import Log
from schema.notes import Checkpoint, NoteError, Verifier, checked_reason
from schema.outside import Copies, Copy, OutsideError, collect
from schema.proofs import Bundle, NotProvable, prove
from schema.verify import Verdict, verify

KEPT = click.option(
    "--since",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Checkpoints that somebody kept: a copy of CHECKPOINT_FILE, saved log lines, notes, or lines of size:root "
    "from Check Runs. May be given several times; CHECKPOINT_FILE itself is always read.",
)


@click.command(name="verify", short_help="Check that the log is what was sealed.")
@KEPT
@click.option(
    "--restored", is_flag=True, help="The log comes from a backup: what it lacks at its end is told, and is no fault."
)
@click.option("--proof", metavar="JOB", type=click.UUID, help="Then write a proof bundle for the events of this job.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to (default: JOB.proof.json).")
def verify_command(since: Sequence[Path], restored: bool, proof: UUID | None, out: Path | None) -> None:
    """Check that the log is what was sealed: nothing changed, removed, inserted, reordered, cut off or rolled back.

    Every event is read and hashed again, and compared with the tiles, with the signed checkpoints, and with every copy
    of a checkpoint outside the database. Exit codes: 0 it is, 1 it is not, 2 configuration.

    What this cannot show: whoever has the signing key and every outside copy can rewrite the log. Nothing proves that
    an event was never received. The newest events, about a second's, may not be sealed yet; they are durable, but
    nothing vouches for them. Without a copy outside, a log that was cut or rolled back looks whole. Artifacts and raw
    deliveries are not sealed themselves: events name artifacts by their digests.
    """

    async def command() -> None:
        settings = config.load(role="projector")
        logs.configure(level="warning", form="text", stream=sys.stderr)
        with terminal.event_progress() as progress:
            verdict = await verify_log(settings, since, progress, restored=restored)
        for line in told(verdict):
            click.echo(line)
        if verdict.problems:
            sys.exit(EXIT_FINDINGS)
        if proof is not None:
            path = out or Path(f"{proof}.proof.json")
            write_bundle(await prove_job(settings, proof, since), path)
            click.echo(f"Proof written to {path}; check it with ops/verify_offline.py.")

    run(command)


@click.group()
def seal() -> None:
    """What becomes of the seal of the log."""


@seal.command(name="adopt", short_help="Go on with a log restored from a backup.")
@click.argument("reason")
@KEPT
@click.option("--yes", is_flag=True, help="Do not ask.")
def seal_adopt(reason: str, since: Sequence[Path], yes: bool) -> None:
    """Go on with a log that was restored from a backup, though more of it had been sealed. REASON says why.

    The sealer refuses such a log until this is done. All of the log is checked first; if it differs in any other way,
    it is refused. What is given up, and the reason, become part of the next signed checkpoint and are told by every
    `verify` from then on. Exit codes: 0 it goes on, 1 it was not agreed to, 2 it is refused.
    """

    async def command() -> None:
        settings = config.load(role="projector")
        logs.configure(level="warning", form="text", stream=sys.stderr)
        with terminal.event_progress() as progress:
            checkpoint = await propose_adoption(settings, reason, since, progress)
        click.echo(_given_up(checkpoint))
        if not yes:
            click.confirm("Is this the log to go on with?", abort=True)
        try:
            adopt(checkpoint, make_keys(settings.seal), Copies(settings.seal.checkpoint_file))
        except OutsideError as error:
            raise ConfigError(f"{error}.") from error
        click.echo("The log is sealed again from here on. Now run reviewbot deliveries recover.")

    run(command)


def _given_up(checkpoint: Checkpoint) -> str:
    gone = checkpoint.given_up
    assert gone is not None
    if gone.size > checkpoint.size:
        return f"The log ends at {checkpoint.size}: {gone.size - checkpoint.size} events that were sealed are given up."
    return (
        f"Events after {gone.after} are not those that were sealed, up to {gone.size}: those are given up, and the log "
        f"goes on with the {checkpoint.size - gone.after} events that stand there now, which nothing vouches for."
    )


async def verify_log(
    settings: Settings, since: Sequence[Path], progress: Progress, *, restored: bool = False
) -> Verdict:
    """The verdict on the whole log, by the copies given and those of CHECKPOINT_FILE. Raises ConfigError."""
    verifiers = _verifiers(settings)
    async with database(settings) as url:
        pool = await open_pool(url, size=1)
        try:
            return await verify(pool, verifiers, _outside(settings, since), _shown(progress), restored=restored)
        except OSError as error:
            raise ConfigError(f"The checkpoints cannot be read: {error}") from error
        finally:
            await pool.close()


async def propose_adoption(settings: Settings, reason: str, since: Sequence[Path], progress: Progress) -> Checkpoint:
    """The checkpoint from which a restored log would go on. Changes nothing. Raises ConfigError."""
    _verifiers(settings)  # a key that is not there is told of in full sentences
    try:
        checked = checked_reason(reason)
    except NoteError as error:
        raise ConfigError(f"The reason {error}.") from error
    async with database(settings) as url:
        pool = await open_pool(url, size=1)
        try:
            keys = make_keys(settings.seal)
            return await propose(pool, keys, _outside(settings, since), checked, _shown(progress))
        except AdoptionRefused as error:
            raise ConfigError(f"Nothing was changed: {str(error).rstrip('.')}.") from error
        except OSError as error:
            raise ConfigError(f"The checkpoints cannot be read: {error}") from error
        finally:
            await pool.close()


def _outside(settings: Settings, since: Sequence[Path]) -> list[Path]:
    """The files of copies: CHECKPOINT_FILE, if there is one, and those given."""
    usual = settings.seal.checkpoint_file
    return list(dict.fromkeys([*since, *([usual] if usual.exists() else [])]))


def _shown(progress: Progress) -> verification.Progress:
    task = progress.add_task("log", total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def told(verdict: Verdict) -> list[str]:
    """The verdict in sentences, the judgement last."""
    if verdict.problems:
        more = f" {verdict.untold} more problems are not shown." if verdict.untold else ""
        judgement = f"The log is NOT what was sealed.{more}"
        if verdict.lost:
            judgement = f"Was it restored on purpose? Then see reviewbot seal adopt.\n{judgement}"
    else:
        judgement = (
            f"The log is whole: {verdict.events} events, {verdict.sealed} of them sealed, {verdict.checkpoints} "
            f"checkpoints in the database and {verdict.copies} outside."
        )
    return [*verdict.remarks, *verdict.problems, judgement]


async def prove_job(settings: Settings, job: UUID, since: Sequence[Path]) -> Bundle:
    """The proof bundle of a job's events; it continues the newest checkpoint of each file. Raises ConfigError."""
    verifiers = _verifiers(settings)
    async with database(settings) as url:
        pool = await open_pool(url, size=2)
        try:
            events = await history(Log(pool), job)
            if not events:
                raise ConfigError(f"The log knows no job {job}.")
            return await prove(pool, verifiers, events, _newest_of_each(since, verifiers))
        except NotProvable as error:
            raise ConfigError(f"No proof can be given: {error}.") from error
        finally:
            await pool.close()


def write_bundle(bundle: Bundle, path: Path) -> None:
    """Write a proof bundle. Raises ConfigError."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(bundle)) + b"\n")
    except OSError as error:
        raise ConfigError(f"The proof cannot be written to {path}: {error.strerror}.") from error


def _verifiers(settings: Settings) -> tuple[Verifier, ...]:
    try:
        verifiers = make_keys(settings.seal).verifiers()
    except OutsideError as error:
        raise ConfigError(f"{error}.") from error
    if not verifiers:
        raise ConfigError(
            f"There is no key to check signatures with: {settings.seal.key_file} does not exist. "
            "Set SEAL_KEY, or the public key as SEAL_KEYS_OLD, or DATA_DIR."
        )
    return verifiers


def _newest_of_each(files: Sequence[Path], verifiers: tuple[Verifier, ...]) -> list[Copy]:
    newest = []
    for path in files:
        try:
            copies = collect([path], verifiers).copies
        except OSError as error:
            raise ConfigError(f"The checkpoints cannot be read: {error}") from error
        newest += [copies[size] for size in sorted(copies)[-1:]]
    return newest
