"""What is kept as it came, compressed and sealed: raw webhook deliveries, and the long texts that events refer to."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Literal
from uuid import UUID

import msgspec

from schema.keys import DataKey, Place

Kind = Literal["changes", "settings", "prompt", "answer", "coverage", "plan"]


class Delivery(msgspec.Struct, frozen=True):
    """A webhook delivery on its way into the inbox. Make it with `pack_delivery`."""

    id: UUID
    event: str
    headers: bytes  # JSON object
    body: bytes  # zlib of the bytes that were signed, sealed
    installation: int  # 0: it names none, or none that could be read
    key: UUID


class Artifact(msgspec.Struct, frozen=True):
    """A long text on its way into the log. Make it with `pack`."""

    installation: int
    digest: bytes  # keyed, of the kind and the plain bytes
    kind: Kind
    size: int
    body: bytes  # zlib, sealed
    key: UUID

    @property
    def ref(self) -> str:
        """How events refer to it: the digest in hex."""
        return self.digest.hex()


def pack_delivery(key: DataKey, delivery: UUID, event: str, headers: Mapping[str, str], body: bytes) -> Delivery:
    """Compressed at the fastest level: it happens inside the web request."""
    sealed = key.seal(delivery_place(delivery, event), zlib.compress(body, 1))
    return Delivery(delivery, event, msgspec.json.encode(dict(headers)), sealed, key.installation, key.id)


def pack(key: DataKey, kind: Kind, text: bytes) -> Artifact:
    """An artifact of the key's installation. The same text of the same kind has the same digest."""
    digest = key.digest(kind, text)
    sealed = key.seal(artifact_place(digest, kind), zlib.compress(text))
    return Artifact(key.installation, digest, kind, len(text), sealed, key.id)


def delivery_place(delivery: UUID, event: str) -> Place:
    return Place("inbox", delivery.bytes, event)


def artifact_place(digest: bytes, kind: str) -> Place:
    return Place("artifact", digest, kind)
