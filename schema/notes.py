"""Checkpoints of the tree as signed notes, after the C2SP specifications tlog-checkpoint and signed-note. Pure.

A checkpoint is signed with Ed25519 and reads, for example:

    reviewbot
    1234
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — reviewbot Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"  # the kind of key, as signed-note numbers them
SEED_BYTES = 32
LARGEST_SIZE = 2**63 - 1
LONGEST_NOTE = 10_000  # characters
LONGEST_REASON = 500  # characters
GIVEN_UP = "given-up"


class NoteError(ValueError):
    """A note, checkpoint or key that cannot be read or believed; the message says why."""


class GivenUp(msgspec.Struct, frozen=True):
    """What was sealed once and a restored log lacks: what stood after position `after`, up to `size` events.

    It is signed as the fourth line of the checkpoint that the log goes on from: given-up AFTER SIZE:ROOT REASON
    """

    after: int
    size: int
    root: bytes  # of the newest checkpoint that no longer counts
    reason: str  # one line, by whoever decided it

    @property
    def line(self) -> str:
        return f"{GIVEN_UP} {self.after} {self.size}:{to_base64(self.root)} {self.reason}"

    def covers(self, size: int) -> bool:
        """Whether a checkpoint of this size, made before, no longer counts."""
        return self.after < size <= self.size


class Checkpoint(msgspec.Struct, frozen=True):
    """The log `origin` had `size` events, and the tree over them the hash `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes
    given_up: GivenUp | None = None

    @property
    def text(self) -> str:
        """What is signed."""
        extension = f"{self.given_up.line}\n" if self.given_up else ""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n{extension}"

    @property
    def brief(self) -> str:
        """size:root, for places where a person reads it."""
        return f"{self.size}:{to_base64(self.root)}"


class Verifier(msgspec.Struct, frozen=True):
    """A public key by which signatures are checked; written as NAME+HASH+KEY."""

    name: str
    public: bytes  # 32 bytes

    @property
    def hash(self) -> bytes:
        """The 4 bytes by which a signature names its key."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The key in note form, to be handed to whoever checks the log from outside."""
        return f"{self.name}+{self.hash.hex()}+{to_base64(ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """The key of note form. Raises NoteError."""
        name, _, rest = text.strip().partition("+")
        key_hash, _, encoded = rest.partition("+")
        key = from_base64(encoded)
        if not key.startswith(ED25519) or len(key) != 1 + SEED_BYTES:
            raise NoteError("is no Ed25519 verifier key in note form: NAME+HASH+KEY")
        verifier = cls(checked_name(name), key[1:])
        if verifier.hash.hex() != key_hash:
            raise NoteError("is a verifier key whose hash does not fit its name and key: copy it again")
        return verifier

    def accepts(self, text: str, signature: bytes) -> bool:
        """Whether the signature (64 bytes) is this key's, over this text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, UnicodeEncodeError):  # what has no bytes was never signed
            return False
        return True


class Signer:
    """The private key, by its seed of 32 bytes, and the name under which it signs."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(checked_name(name), self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The note: the text, which ends with a line feed, and the line of the signature."""
        signature = to_base64(self.verifier.hash + self._key.sign(text.encode()))
        return f"{text}\n\u2014 {self.verifier.name} {signature}\n"


def open_note(note: str, verifiers: Iterable[Verifier]) -> str:
    """The text of a note that one of these keys signed. Signatures of other keys do not count. Raises NoteError."""
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or len(note) > LONGEST_NOTE:
        raise NoteError("is no signed note")
    text += "\n"
    by_key = {(verifier.name, verifier.hash): verifier for verifier in verifiers}
    signed = False
    for line in signatures.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        signature = from_base64(encoded)
        if dash != "\u2014" or len(signature) <= 4:
            raise NoteError("has a line that is no signature")
        verifier = by_key.get((name, signature[:4]))
        if verifier is not None:
            if not verifier.accepts(text, signature[4:]):
                raise NoteError(f"has a signature of {name} that is not genuine")
            signed = True
    if not signed:
        raise NoteError("is not signed by a key that is trusted here")
    return text


def open_checkpoint(note: str, verifiers: Iterable[Verifier]) -> Checkpoint:
    """The checkpoint of a note that one of these keys signed. Raises NoteError."""
    return parse_checkpoint(open_note(note, verifiers))


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text states; lines after the third are extensions. Raises NoteError."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[0]:
        raise NoteError("is no checkpoint: origin, size and root, a line each")
    return Checkpoint(lines[0], parse_size(lines[1]), parse_root(lines[2]), _parse_given_up(lines[3:]))


def _parse_given_up(extensions: Sequence[str]) -> GivenUp | None:
    for line in extensions:
        word, _, rest = line.partition(" ")
        if word == GIVEN_UP:
            after, _, rest = rest.partition(" ")
            newest, _, reason = rest.partition(" ")
            size, _, root = newest.partition(":")
            return GivenUp(parse_size(after), parse_size(size), parse_root(root), reason)
    return None


def parse_size(text: str) -> int:
    """A number of leaves. Raises NoteError."""
    if (
        not (text.isascii() and text.isdigit() and len(text) <= 19)
        or int(text) > LARGEST_SIZE
        or text != str(int(text))
    ):
        raise NoteError(f"has a size that is no number: {text[:40]!r}")
    return int(text)


def parse_root(text: str) -> bytes:
    """A root hash from base64. Raises NoteError."""
    root = from_base64(text)
    if len(root) != sha256().digest_size:
        raise NoteError("has a root that is not 32 bytes in base64")
    return root


def checked_reason(text: str) -> str:
    """The reason, if it can be signed as part of a line. Raises NoteError."""
    if not text.strip() or not text.isprintable() or len(text) > LONGEST_REASON:
        raise NoteError(f"must be one line of up to {LONGEST_REASON} characters that says why")
    return text.strip()


def checked_name(name: str) -> str:
    """The name, if a key may have it. Raises NoteError."""
    if not name or "+" in name or not name.isprintable() or any(character.isspace() for character in name):
        raise NoteError("must be a name without spaces and without +")
    return name


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Raises NoteError for anything but the one spelling that encoding gives."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("holds what is no base64") from error
    if to_base64(data) != text:
        raise NoteError("holds what is no proper base64")
    return data
