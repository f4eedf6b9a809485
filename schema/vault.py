"""The vault: texts go in sealed with their installation's data key, and come out as long as that key lives.

A key that was used is remembered, so that packing asks the database for nothing. Every FRESH_SECONDS one question for
all remembered keys finds out which were destroyed: that is how long another process may go on sealing with an erased
key, which makes what it seals unreadable from the start. Reading always takes the key from the database.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import asyncpg
from eventsourcing.persistence import OperationalError

from schema.inbox import Artifact, Delivery, Kind, artifact_place, delivery_place, pack, pack_delivery
from schema.keys import Changed, DataKey, Keyring, Place, WrappedKey
from schema.log import as_persistence_errors
from schema.sql import load

HERE = "schema.queries"
FRESH_SECONDS = 5.0
TIMEOUT_SECONDS = 5.0
MOST_KEYS = 10_000  # remembered at a time: a few megabytes
LARGE_BYTES = 256 * 1024  # packed in a thread from here on, so that nobody waits for it


class Erased(Exception):
    """The text cannot be read any more: its key was destroyed on purpose."""

    def __init__(self, installation: int, at: datetime) -> None:
        super().__init__(f"the texts of installation {installation} were erased on {at:%Y-%m-%d}")
        self.installation, self.at = installation, at


class KeyLost(Exception):
    """The text cannot be read: its key is gone, and nobody erased it. The message says what to do."""


class Vault:
    """Packs and reads for one pool of connections. Raises OperationalError when the database does not answer."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], keyring: Keyring) -> None:
        self._pool, self._keyring = pool, keyring
        self._keys: dict[int, DataKey] = {}  # by installation, the longest remembered first
        self._fresh_until = 0.0  # monotonic

    async def pack(self, installation: int, kind: Kind, text: bytes) -> Artifact:
        """An artifact for `Log.append`. Raises WrongKey when the installation's key does not open."""
        key = await self._key(installation)
        return await asyncio.to_thread(pack, key, kind, text) if len(text) >= LARGE_BYTES else pack(key, kind, text)

    async def pack_delivery(
        self, installation: int, delivery: UUID, event: str, headers: Mapping[str, str], body: bytes
    ) -> Delivery:
        """A delivery for `Log.append`; installation 0 when it names none. Raises WrongKey."""
        parts = (await self._key(installation), delivery, event, headers, body)
        return await asyncio.to_thread(pack_delivery, *parts) if len(body) >= LARGE_BYTES else pack_delivery(*parts)

    async def read_artifact(self, installation: int, ref: str) -> bytes:
        """The plain bytes of an artifact. `ref` is what an event calls it.

        Raises LookupError when there is none, Erased, KeyLost, WrongKey, and Changed (a ValueError) when the row does
        not hold what was stored in it.
        """
        with as_persistence_errors():
            row = await self._pool.fetchrow(load(HERE, "read_artifact"), installation, bytes.fromhex(ref))
        if row is None:
            raise LookupError(f"installation {installation} has no artifact {ref}")
        if row["key"] is None:
            return _plain_artifact(row["body"], installation, ref)
        return self._opened(row, artifact_place(bytes.fromhex(ref), row["kind"]))

    async def read_delivery(self, delivery: UUID) -> tuple[str, bytes]:
        """Event name and the bytes as they were signed. Raises as `read_artifact` does."""
        with as_persistence_errors():
            row = await self._pool.fetchrow(load(HERE, "read_delivery"), delivery)
        if row is None:
            raise LookupError(f"no delivery {delivery} in the inbox")
        event: str = row["event"]
        if row["key"] is None:  # stored before there was encryption
            return event, zlib.decompress(row["body"])
        return event, self._opened(row, delivery_place(delivery, event))

    def _opened(self, row: asyncpg.Record, place: Place) -> bytes:
        if row["wrapped"] is None:
            raise _gone(row)
        key = self._keyring.unwrap(WrappedKey(row["key"], row["installation"], row["wrapped"], row["fingerprint"]))
        return zlib.decompress(key.open(place, row["body"]))

    async def _key(self, installation: int) -> DataKey:
        if time.monotonic() >= self._fresh_until:
            await self._forget_destroyed()
        return self._keys.get(installation) or await self._fetch(installation)

    async def _forget_destroyed(self) -> None:
        self._fresh_until = time.monotonic() + FRESH_SECONDS  # one asks, the others go on for that moment
        known = {key.id: installation for installation, key in self._keys.items()}
        if not known:
            return
        try:
            with as_persistence_errors():
                rows = await self._pool.fetch(load(HERE, "living_keys"), list(known), timeout=TIMEOUT_SECONDS)
        except BaseException:
            self._keys.clear()  # who cannot ask must not go on with what may be gone
            raise
        for destroyed in known.keys() - {row["id"] for row in rows}:
            self._keys.pop(known[destroyed], None)

    async def _fetch(self, installation: int) -> DataKey:
        """The installation's key, made when there is none; two who make one at once agree on one."""
        with as_persistence_errors():
            find = load(HERE, "find_key")
            row = await self._pool.fetchrow(find, installation, timeout=TIMEOUT_SECONDS)
            if row is None:
                made = self._keyring.make(installation)
                await self._pool.execute(
                    load(HERE, "add_key"),
                    made.id,
                    made.installation,
                    made.wrapped,
                    made.fingerprint,
                    timeout=TIMEOUT_SECONDS,
                )
                row = await self._pool.fetchrow(find, installation, timeout=TIMEOUT_SECONDS)
        if row is None:
            raise OperationalError(f"the data key of installation {installation} was destroyed while it was asked for")
        key = self._keys[installation] = self._keyring.unwrap(WrappedKey(*row))
        while len(self._keys) > MOST_KEYS:
            del self._keys[next(iter(self._keys))]
        return key


def _gone(row: asyncpg.Record) -> Erased | KeyLost:
    if row["erased_at"] is not None:
        return Erased(row["installation"], row["erased_at"])
    return KeyLost(
        f"the data key {row['key']} of installation {row['installation']} is missing, and no erasure of it is "
        "recorded: bring the table data_key back from a backup"
    )


def _plain_artifact(body: bytes, installation: int, ref: str) -> bytes:
    """One that was stored before there was encryption: its digest is the SHA-256 of the plain bytes."""
    plain = zlib.decompress(body)
    if hashlib.sha256(plain).hexdigest() != ref:
        raise Changed(f"artifact {ref} of installation {installation} was changed after it was stored")
    return plain
