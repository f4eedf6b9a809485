"""The keys of what is stored: a data key per installation, what it seals, and the encryption key that wraps it. Pure.

AES-256-GCM with random nonces of 96 bits throughout: a sealed text is its nonce, the ciphertext and the tag. What it is
bound to is authenticated with it, so that it opens nowhere else.
"""

from __future__ import annotations

import hmac
import secrets
from typing import NamedTuple
from uuid import UUID, uuid4

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12
FINGERPRINT_BYTES = 6


class WrongKey(Exception):
    """A data key is wrapped by an encryption key that was not given; the message names both by their fingerprints."""


class Changed(ValueError):
    """A stored text or key is not what was stored in this place."""


class Place(NamedTuple):
    """Where a sealed text belongs: it opens in no other table, row or role."""

    table: str
    row: bytes  # what identifies the row: the digest of an artifact, the id of a delivery
    kind: str  # the kind of an artifact, the event of a delivery


class DataKey:
    """What all texts of one installation are sealed with."""

    __slots__ = ("_cipher", "_digest_key", "id", "installation")

    def __init__(self, key: UUID, installation: int, secret: bytes) -> None:
        self.id, self.installation = key, installation
        self._cipher = AESGCM(secret)
        self._digest_key = _derive(secret, "digest")

    def digest(self, kind: str, text: bytes) -> bytes:
        """How events refer to a text: 32 bytes that tell nothing without the key.

        A plain hash would outlive an erasure, and whoever can guess a text could still see that it was there.
        """
        mac = hmac.new(self._digest_key, kind.encode() + b"\0", "sha256")
        mac.update(text)
        return mac.digest()

    def seal(self, place: Place, plain: bytes) -> bytes:
        return _seal(self._cipher, plain, self._bound(place))

    def open(self, place: Place, sealed: bytes) -> bytes:
        """What was sealed. Raises Changed."""
        try:
            return _open(self._cipher, sealed, self._bound(place))
        except InvalidTag:
            raise Changed(
                f"{place.kind} {place.row.hex()} of installation {self.installation} was changed after it was stored"
            ) from None

    def _bound(self, place: Place) -> bytes:
        return msgspec.json.encode((place.table, self.installation, place.row.hex(), place.kind, self.id))


class WrappedKey(msgspec.Struct, frozen=True):
    """A data key as the database has it."""

    id: UUID
    installation: int
    wrapped: bytes
    fingerprint: str  # of the encryption key that wraps it


class EncryptionKey:
    """A key that wraps data keys. It is never stored with them."""

    __slots__ = ("_cipher", "fingerprint")

    def __init__(self, secret: bytes) -> None:
        """`secret` has KEY_BYTES."""
        self._cipher = AESGCM(secret)
        self.fingerprint = _derive(secret, "fingerprint")[:FINGERPRINT_BYTES].hex()  # tells keys apart, gives none away

    def wrap(self, key: UUID, installation: int, secret: bytes) -> WrappedKey:
        sealed = _seal(self._cipher, secret, _names(key, installation))
        return WrappedKey(key, installation, sealed, self.fingerprint)

    def unwrap(self, key: WrappedKey) -> bytes:
        """The data key's secret. Raises Changed."""
        try:
            return _open(self._cipher, key.wrapped, _names(key.id, key.installation))
        except InvalidTag:
            raise Changed(
                f"the data key {key.id} was changed after it was stored, or is not installation {key.installation}'s"
            ) from None


class Keyring:
    """The encryption key in force, and the one before it while a rotation lasts."""

    __slots__ = ("_keys", "current")

    def __init__(self, current: bytes, old: bytes | None = None) -> None:
        self.current = EncryptionKey(current)
        known = [self.current] if old is None else [EncryptionKey(old), self.current]
        self._keys = {key.fingerprint: key for key in known}

    @property
    def fingerprints(self) -> frozenset[str]:
        """Of every key that is known here."""
        return frozenset(self._keys)

    def make(self, installation: int) -> WrappedKey:
        """A new data key."""
        return self.current.wrap(uuid4(), installation, secrets.token_bytes(KEY_BYTES))

    def unwrap(self, key: WrappedKey) -> DataKey:
        """The data key, ready for use. Raises WrongKey and Changed."""
        return DataKey(key.id, key.installation, self._secret(key))

    def rewrap(self, key: WrappedKey) -> WrappedKey:
        """The same data key, wrapped by the key in force. Raises WrongKey and Changed."""
        return self.current.wrap(key.id, key.installation, self._secret(key))

    def _secret(self, key: WrappedKey) -> bytes:
        wrapper = self._keys.get(key.fingerprint)
        if wrapper is None:
            given = " and ".join(self._keys)
            raise WrongKey(
                f"the data key of installation {key.installation} is wrapped by the encryption key "
                f"{key.fingerprint}, and given is {given}"
            )
        return wrapper.unwrap(key)


def _names(key: UUID, installation: int) -> bytes:
    return msgspec.json.encode(("data_key", installation, key))


def _derive(secret: bytes, purpose: str) -> bytes:
    """A key for one purpose. Source: https://www.rfc-editor.org/rfc/rfc5869"""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"reviewbot " + purpose.encode()).derive(secret)


def _seal(cipher: AESGCM, plain: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _open(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    if len(sealed) < NONCE_BYTES:
        raise InvalidTag
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
