"""What is kept outside the database: keys that are made once, the copies of checkpoints, and the files they are in."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from schema.notes import (
    SEED_BYTES,
    Checkpoint,
    GivenUp,
    NoteError,
    Signer,
    Verifier,
    from_base64,
    open_checkpoint,
    parse_root,
    parse_size,
    to_base64,
)

TAIL_BYTES = 64 << 10  # of a file of copies, in which its newest one surely lies
LONGEST_LINE = 64 << 10  # bytes


class OutsideError(Exception):
    """The key or the copies cannot be read or written; the message says what to do."""


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """The signing key, given or in a file, and the public keys of its predecessors."""

    origin: str  # the name of the log and of the key
    seed: bytes | None  # 32 bytes; None: in `path`
    path: Path
    old: tuple[Verifier, ...] = ()

    def signer(self) -> Signer:
        """The signing key; the file is made when there is none. Raises OutsideError."""
        if self.seed is None and not self.path.exists():
            self._make()
        return Signer(self.origin, self.seed or self._read())

    def verifiers(self) -> tuple[Verifier, ...]:
        """Whose signatures are believed. Makes no key. Raises OutsideError."""
        if self.seed is None and not self.path.exists():
            return self.old
        return (self.signer().verifier, *self.old)

    def _make(self) -> None:
        try:
            make_once(self.path, to_base64(secrets.token_bytes(SEED_BYTES)))
        except OSError as error:
            raise OutsideError(
                f"the key that seals the log cannot be made in {self.path} ({error.strerror}): "
                "set SEAL_KEY, or DATA_DIR to a folder that lasts and can be written"
            ) from error

    def _read(self) -> bytes:
        try:
            seed = from_base64(self.path.read_text(encoding="ascii").strip())
        except OSError as error:
            raise OutsideError(f"the key in {self.path} cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise OutsideError(f"{self.path} holds no key: bring it back from a backup, or set SEAL_KEY") from error
        if len(seed) != SEED_BYTES:
            raise OutsideError(f"{self.path} holds no key of {SEED_BYTES} bytes: bring it back from a backup")
        return seed


class Line(msgspec.Struct):
    """A line of a file of copies; the service's own log lines about checkpoints have these fields as well."""

    note: str
    sealed_at: str = ""


class Copies:
    """A file of checkpoints, a line of JSON each, the newest last. It only grows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, note: str) -> None:
        """Add a signed checkpoint; it is on the disk when this returns. Raises OutsideError."""
        line = msgspec.json.encode(Line(note=note, sealed_at=datetime.now(UTC).isoformat(timespec="seconds")))
        try:
            append_line(self.path, line)
        except OSError as error:
            raise OutsideError(
                f"checkpoints cannot be kept in {self.path} ({error.strerror}): "
                "set CHECKPOINT_FILE to a place that lasts and can be written"
            ) from error

    def newest(self) -> str | None:
        """The note that was appended last; None when there is no file yet. Raises OutsideError."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = file.read().splitlines()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutsideError(f"the checkpoints in {self.path} cannot be read ({error.strerror})") from error
        for line in reversed(lines):
            with contextlib.suppress(msgspec.MsgspecError):
                return msgspec.json.decode(line, type=Line).note
        if lines:
            raise OutsideError(f"{self.path} ends in what are no checkpoints: bring the file back from a backup")
        return None


def make_once(path: Path, text: str) -> None:
    """Write a secret to a file that only its owner may read, unless there is one already. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # whoever finds the name finds the whole secret: two processes that start together agree on one
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file that only grows; it is on the disk when this returns. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        # after a line that a crash tore, begin a new one
        file.write((b"" if _ends_a_line(path) else b"\n") + line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


class Copy(msgspec.Struct, frozen=True):
    """A checkpoint that somebody kept, and where it stands."""

    size: int
    root: bytes
    note: str | None  # None: only size:root was kept, which nobody signed
    place: str
    given_up: GivenUp | None = None  # what no longer counts since it was made


class Flaw(msgspec.Struct, frozen=True):
    """What in a file of copies is no checkpoint. A line torn by a crash is harmless: nobody was told of it."""

    sentence: str
    harmless: bool = False


def read_copies(path: Path, verifiers: tuple[Verifier, ...]) -> Iterator[Copy | Flaw]:
    """Every checkpoint of a file, and every flaw. Raises OSError.

    A line is one of JSON with a `note` (of CHECKPOINT_FILE, or the service's log), or size:root as a Check Run shows
    it; other lines of JSON and empty ones are passed over. A file may also hold one note as it is.
    """
    with path.open("rb") as file:
        start = file.read(LONGEST_LINE)
        if b"\n\n\xe2\x80\x94 " in start and not start.lstrip().startswith(b"{"):
            yield _signed(start.decode(errors="replace"), path.name, verifiers)
            return
        file.seek(0)
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            copy = _read_line(line.strip().decode(errors="replace"), f"{path.name} line {number}", verifiers)
            if copy is not None:
                yield copy


def _read_line(line: str, place: str, verifiers: tuple[Verifier, ...]) -> Copy | Flaw | None:
    if not line:
        return None
    if line.startswith("{"):
        try:
            return _signed(msgspec.json.decode(line, type=Line).note, place, verifiers)
        except msgspec.ValidationError:
            return None  # a line of the service's log about something else
        except msgspec.DecodeError:
            return Flaw(f"{place} is torn, and was passed over", harmless=True)
    size, _, root = line.partition(":")
    try:
        return Copy(parse_size(size), parse_root(root), None, place)
    except NoteError:
        return Flaw(f"{place} is no checkpoint: {line[:60]!r}")


def _signed(note: str, place: str, verifiers: tuple[Verifier, ...]) -> Copy | Flaw:
    try:
        checkpoint: Checkpoint = open_checkpoint(note, verifiers)
    except NoteError as error:
        return Flaw(f"{place} {error}")
    return Copy(checkpoint.size, checkpoint.root, note, place, checkpoint.given_up)


class Collected(msgspec.Struct):
    """The checkpoints of several files, but for those that were given up when the log was restored."""

    copies: dict[int, Copy] = {}
    given_up: list[GivenUp] = []
    flaws: list[Flaw] = []


def collect(paths: Iterable[Path], verifiers: tuple[Verifier, ...]) -> Collected:
    """What counts of the checkpoints that somebody kept. Raises OSError.

    In a file with the checkpoint that gave others up, those before it do not count. In another file nothing tells
    before from after: there none of the sizes given up counts.
    """
    collected = Collected()
    files = [_read_file(path, verifiers, collected) for path in paths]
    for copies, told in files:
        untold = [given_up for given_up in collected.given_up if given_up not in told]
        for copy in copies:
            if any(given_up.covers(copy.size) for given_up in untold):
                continue
            known = collected.copies.setdefault(copy.size, copy)
            if known.root != copy.root:
                collected.flaws.append(Flaw(f"{known.place} and {copy.place} speak of two logs of {copy.size} events"))
    return collected


def _read_file(path: Path, verifiers: tuple[Verifier, ...], collected: Collected) -> tuple[list[Copy], list[GivenUp]]:
    """The copies of one file that count by its own order, and what it tells to be given up."""
    copies: list[Copy] = []
    told: list[GivenUp] = []
    for found in read_copies(path, verifiers):
        if isinstance(found, Flaw):
            collected.flaws.append(found)
            continue
        if found.given_up is not None and found.given_up not in told:
            told.append(found.given_up)
            copies = [copy for copy in copies if not found.given_up.covers(copy.size)]
            if found.given_up not in collected.given_up:
                collected.given_up.append(found.given_up)
        copies.append(found)
    return copies, told
