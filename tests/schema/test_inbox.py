"""The inbox and the artifacts: the plain bytes come back, or an error says what became of them."""

from __future__ import annotations

import hashlib
import zlib
from uuid import uuid4

import pytest

from schema.database import connect
from schema.inbox import pack, pack_delivery, read_artifact, read_delivery
from schema.log import Log
from tests.schema.given import Pool, event, meta


async def test_the_bytes_that_were_signed_come_back(log: Log, pool: Pool) -> None:
    body = bytes(range(256)) * 50  # nothing that JSON or a text column could hold
    delivery = pack_delivery(uuid4(), "push", {"X-Hook": "ü"}, body)
    await log.append([event()], meta(), delivery=delivery)
    assert await read_delivery(pool, delivery.id) == ("push", body)
    assert await pool.fetchval("select headers from inbox") == '{"X-Hook":"ü"}'.encode()


async def test_an_unknown_delivery_or_artifact_is_named(pool: Pool) -> None:
    number = uuid4()
    with pytest.raises(LookupError, match=str(number)):
        await read_delivery(pool, number)
    with pytest.raises(LookupError, match="installation 7 has no artifact abcd"):
        await read_artifact(pool, 7, "abcd")


async def test_an_artifact_is_known_by_the_digest_of_its_plain_bytes(log: Log, pool: Pool) -> None:
    text = "a prompt with a \0 in it, ünd so weiter".encode() * 100
    artifact = pack(7, "prompt", text)
    assert artifact.ref == hashlib.sha256(text).hexdigest()
    assert artifact.size == len(text) > len(artifact.body)
    await log.append([event()], meta(), artifacts=[artifact])
    assert await read_artifact(pool, 7, artifact.ref) == text


async def test_one_text_is_kept_once_for_each_installation_and_no_other_can_read_it(log: Log, pool: Pool) -> None:
    mine, again, theirs = pack(1, "prompt", b"same"), pack(1, "answer", b"same"), pack(2, "prompt", b"same")
    await log.append([event()], meta(), artifacts=[mine, again, theirs])
    await log.append([event()], meta(), artifacts=[mine])
    assert await pool.fetchval("select count(*) from artifact") == 2
    with pytest.raises(LookupError):
        await read_artifact(pool, 3, mine.ref)


async def test_an_artifact_that_was_tampered_with_is_noticed(log: Log, pool: Pool, database: str) -> None:
    artifact = pack(1, "answer", b"no findings")
    await log.append([event()], meta(), artifacts=[artifact])
    owner = await connect(database)
    await owner.execute("alter table artifact disable trigger all")
    await owner.execute("update artifact set body = $1", zlib.compress(b"nine findings"))
    with pytest.raises(ValueError, match="was changed after it was stored"):
        await read_artifact(pool, 1, artifact.ref)
    await owner.close()
