"""What the command line asks of the seal: is the log what was sealed, and a proof that somebody else can check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import msgspec
from rich.progress import Progress

from reviewbot.app import database
from reviewbot.audit import history
from reviewbot.config import Settings
from reviewbot.errors import ConfigError
from reviewbot.seals import make_keys
from schema.database import open_pool
from schema.log import Log
from schema.notes import Verifier
from schema.outside import Copy, OutsideError, read_copies
from schema.proofs import Bundle, NotProvable, prove
from schema.verify import Verdict, verify


async def verify_log(settings: Settings, since: Sequence[Path], progress: Progress) -> Verdict:
    """The verdict on the whole log, by the copies given and those of CHECKPOINT_FILE. Raises ConfigError."""
    verifiers = _verifiers(settings)
    usual = settings.seal.checkpoint_file
    outside = dict.fromkeys([*since, *([usual] if usual.exists() else [])])
    task = progress.add_task("log", total=None)
    async with database(settings) as url:
        pool = await open_pool(url, size=1)
        try:
            return await verify(
                pool, verifiers, list(outside), lambda done, total: progress.update(task, completed=done, total=total)
            )
        except OSError as error:
            raise ConfigError(f"The checkpoints cannot be read: {error}") from error
        finally:
            await pool.close()


def told(verdict: Verdict) -> list[str]:
    """The verdict in sentences, the judgement last."""
    if verdict.problems:
        more = f" {verdict.untold} more problems are not shown." if verdict.untold else ""
        judgement = f"The log is NOT what was sealed.{more}"
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
            copies = [found for found in read_copies(path, verifiers) if isinstance(found, Copy)]
        except OSError as error:
            raise ConfigError(f"The checkpoints cannot be read: {error}") from error
        newest += sorted(copies, key=lambda copy: copy.size)[-1:]
    return newest
