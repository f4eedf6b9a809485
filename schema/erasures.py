"""The list of destroyed keys outside the database, so that an old backup does not bring one back.

The file only grows. Each line is an object of JSON with

    installation  whose texts were erased
    key           the id of the destroyed data key, a UUID: what must never be in the table data_key again
    erased_at     when it was written down, ISO 8601 in UTC

and a line stands here before the key is destroyed. After a restore every key that is listed is destroyed again, before
anything is read or served.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec

from schema.outside import OutsideError, append_line


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
