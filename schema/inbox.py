"""What is kept as it came: raw webhook deliveries, and the long texts that events refer to by digest."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from schema.sql import load

Kind = Literal["changes", "prompt", "answer", "coverage", "plan"]


class Delivery(msgspec.Struct, frozen=True):
    """A webhook delivery on its way into the inbox. Make it with `pack_delivery`."""

    id: UUID
    event: str
    headers: bytes  # JSON object
    body: bytes  # zlib of the bytes that were signed


class Artifact(msgspec.Struct, frozen=True):
    """A long text on its way into the log. Make it with `pack`."""

    installation: int
    digest: bytes  # SHA-256 of the plain bytes
    kind: Kind
    size: int
    body: bytes  # zlib

    @property
    def ref(self) -> str:
        """How events refer to it: the digest in hex."""
        return self.digest.hex()


def pack_delivery(delivery: UUID, event: str, headers: Mapping[str, str], body: bytes) -> Delivery:
    """Compressed at the fastest level: it happens inside the web request."""
    return Delivery(delivery, event, msgspec.json.encode(dict(headers)), zlib.compress(body, 1))


def pack(installation: int, kind: Kind, text: bytes) -> Artifact:
    """An artifact of an installation."""
    return Artifact(installation, hashlib.sha256(text).digest(), kind, len(text), zlib.compress(text))


async def read_artifact(pool: asyncpg.Pool[asyncpg.Record], installation: int, ref: str) -> bytes:
    """The plain bytes. Raises LookupError when there is none, ValueError when its bytes are not what was stored."""
    row = await pool.fetchrow(load("schema.queries", "read_artifact"), installation, bytes.fromhex(ref))
    if row is None:
        raise LookupError(f"installation {installation} has no artifact {ref}")
    plain = zlib.decompress(row["body"])
    if hashlib.sha256(plain).hexdigest() != ref:
        raise ValueError(f"artifact {ref} of installation {installation} was changed after it was stored")
    return plain


async def read_delivery(pool: asyncpg.Pool[asyncpg.Record], delivery: UUID) -> tuple[str, bytes]:
    """Event name and the bytes as they were signed. Raises LookupError."""
    row = await pool.fetchrow(load("schema.queries", "read_delivery"), delivery)
    if row is None:
        raise LookupError(f"no delivery {delivery} in the inbox")
    return row["event"], zlib.decompress(row["body"])
