"""Erasures: a data key is destroyed, which the log records and a list outside the database remembers.

The list keeps an old backup from bringing a key back.

Its file only grows. Each line is an object of JSON with

    installation  whose texts were erased
    key           the id of the destroyed data key, a UUID: what must never be in the table data_key again
    erased_at     when it was written down, ISO 8601 in UTC

and a line stands here before the key is destroyed. After a restore every key that is listed is destroyed again, before
anything is read or served.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4, uuid5

import msgspec
import structlog

from schema.codec import encode
from schema.events import InstallationErased
from schema.outside import OutsideError, append_line
from schema.sql import load
from schema.tree import Connection

HERE = "schema.queries"
NAMESPACE = UUID("5d2c4f0e-93b1-5c7a-8e46-0f7b1d9a62c3")

logger = structlog.get_logger(__name__)


class Erasure(msgspec.Struct, frozen=True):
    """One line."""

    installation: int
    key: UUID
    erased_at: str


class Erasures:
    """The file of erasures."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, installation: int, key: UUID) -> None:
        """Write an erasure down; it is on the disk when this returns. Raises OutsideError."""
        line = Erasure(installation, key, datetime.now(UTC).isoformat(timespec="seconds"))
        try:
            append_line(self.path, msgspec.json.encode(line))
        except OSError as error:
            raise OutsideError(
                f"the erasure cannot be written to {self.path} ({error.strerror}): "
                "set ERASURE_FILE to a place that lasts and can be written"
            ) from error

    def read(self) -> list[Erasure]:
        """Every erasure, the oldest first; none when there is no file. Raises OutsideError.

        A line that a crash tore is passed over: its key was not destroyed yet, and the erasure was not acknowledged.
        """
        found = []
        try:
            lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        except OSError as error:
            raise OutsideError(f"the erasures in {self.path} cannot be read ({error.strerror})") from error
        for number, line in enumerate(lines, start=1):
            try:
                found.append(msgspec.json.decode(line, type=Erasure))
            except msgspec.ValidationError as error:
                raise OutsideError(
                    f"line {number} of {self.path} is no erasure: bring the file back from a backup"
                ) from error
            except msgspec.DecodeError:
                continue
        return found


def erasure_stream(installation: int) -> UUID:
    """The stream of an installation's erasures."""
    return uuid5(NAMESPACE, str(installation))


async def erase(connection: Connection, erasures: Erasures, installation: int, actor: str) -> UUID | None:
    """Destroy an installation's data key; returns its id, None when it has none.

    It is written down outside first: should the rest fail, `erase_again` completes it. Raises OutsideError, in which
    case nothing was done, and what asyncpg raises.
    """
    row = await connection.fetchrow(load(HERE, "find_key"), installation)
    if row is None:
        return None
    key: UUID = row["id"]
    await asyncio.to_thread(erasures.append, installation, key)
    await _destroy(connection, installation, key, actor)
    return key


async def erase_again(connection: Connection, erasures: Erasures, actor: str) -> list[Erasure]:
    """Destroy every listed key that is in the database, and return which were: a backup brought them back.

    Raises OutsideError, and what asyncpg raises.
    """
    listed = {erasure.key: erasure for erasure in await asyncio.to_thread(erasures.read)}
    rows = await connection.fetch(load(HERE, "living_keys"), list(listed)) if listed else []
    returned = [listed[row["id"]] for row in rows]
    for erasure in returned:
        if await _destroy(connection, erasure.installation, erasure.key, actor):
            logger.error(
                "an erased key was in the database again, and is destroyed",
                installation=erasure.installation,
                key=str(erasure.key),
                erased_at=erasure.erased_at,
            )
    return returned


async def _destroy(connection: Connection, installation: int, key: UUID, actor: str) -> bool:
    """False: somebody else destroyed it meanwhile. The row's lock lets one at a time have the next version."""
    fact = InstallationErased(installation=installation, key=key)
    stream = erasure_stream(installation)
    async with connection.transaction():
        if await connection.fetchval(load(HERE, "destroy_key"), key) is None:
            return False
        version = await connection.fetchval(load(HERE, "next_version"), stream)
        columns = (0, stream, version, fact.TOPIC, encode(fact), installation, None, actor, uuid4(), None)
        await connection.fetchrow(load(HERE, "append"), *([value] for value in columns))
        return True
