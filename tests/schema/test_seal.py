"""The sealer signs what continues what it signed before, brings it out of the database first, and else refuses."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from schema import seal
from schema.codec import Recorded
from schema.entries import EntryError, entry, leaf
from schema.log import recorded
from schema.merkle import tree_hash
from schema.notes import Signer, open_checkpoint
from schema.outside import Copies, Keys, OutsideError
from schema.seal import EVENTS, PAGE, SealRefused
from schema.sql import load
from schema.tiles import full_tiles
from tests.helpers import wait_until
from tests.house.tree import ROOT
from tests.schema.sealing import Pool, Sealed, attack


@pytest.fixture
def sealed(pool: Pool, tmp_path: Path) -> Sealed:
    return Sealed(pool, tmp_path)


async def rows(pool: Pool) -> list[Recorded]:
    return recorded(await pool.fetch(load("schema.queries", "read_after"), 0, 1_000_000))


VECTORS = json.loads((ROOT / "tests/samples/seal/entries.json").read_text())["events"]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_an_event_has_the_published_bytes_and_leaf(vector: dict[str, Any]) -> None:
    event = msgspec.convert(vector["event"], Recorded)
    assert entry(event).hex() == vector["entry"]
    assert leaf(event).hex() == vector["leaf"]


async def test_every_column_of_an_event_changes_its_leaf(sealed: Sealed) -> None:
    await sealed.append(1)
    (event,) = await rows(sealed.pool)
    other = Recorded(
        position=event.position,
        stream=uuid4(),
        version=2,
        topic="Other",
        data=b"{}",
        installation=None,
        delivery=UUID(int=0),
        actor="nobody",
        correlation=uuid4(),
        causation=0,
        recorded_at=event.recorded_at.replace(microsecond=(event.recorded_at.microsecond + 1) % 1_000_000),
    )
    names = [name for name in Recorded.__struct_fields__ if name != "position"]
    changed = [msgspec.structs.replace(event, **{name: getattr(other, name)}) for name in names]
    assert len({leaf(each) for each in [event, *changed]}) == len(names) + 1


async def test_an_event_with_a_topic_without_end_has_no_entry(sealed: Sealed) -> None:
    await sealed.append(1)
    (event,) = await rows(sealed.pool)
    with pytest.raises(EntryError, match="event 1 has a topic or an actor of more than 65535 bytes"):
        entry(msgspec.structs.replace(event, topic="x" * 65_536))


async def test_what_was_appended_is_sealed_with_its_tiles_and_a_copy_outside(sealed: Sealed) -> None:
    await sealed.append(700)
    assert await sealed.seal() == 700
    head = await sealed.pool.fetchrow(load("schema.queries", "newest_tree_head"))
    assert head is not None
    assert head["root"] == tree_hash([leaf(event) for event in await rows(sealed.pool)])
    assert await sealed.pool.fetchval("select count(*) from tile") == full_tiles(700) == 2
    assert sealed.copies.newest() == head["note"]
    assert open_checkpoint(head["note"], sealed.keys.verifiers()).size == 700


async def test_nothing_new_is_not_sealed_again(sealed: Sealed) -> None:
    await sealed.append(3)
    sealer = sealed.sealer()
    assert [await sealer.step(), await sealer.step()] == [3, 0]
    assert len(sealed.copies.path.read_text().splitlines()) == 1


async def test_a_new_sealer_goes_on_where_the_last_one_ended(sealed: Sealed) -> None:
    for events in (256, 1, 600):
        await sealed.append(events)
        assert await sealed.seal() == events
    assert (await sealed.verdict()).problems == []


async def test_one_sealer_works_at_a_time(sealed: Sealed) -> None:
    await sealed.append(1)
    holder, other = sealed.sealer(), sealed.sealer()
    assert [await holder.step(), await other.step()] == [1, 0]
    await sealed.append(1)
    assert [await other.step(), await holder.step()] == [0, 1]


async def test_a_sealer_that_lost_its_lease_for_a_while_goes_on_from_what_the_other_sealed(sealed: Sealed) -> None:
    first, second = sealed.sealer(), sealed.sealer()
    await sealed.append(300)
    await sealed.seal(first)
    await sealed.append(300)
    assert [await second.step(), await first.step()] == [300, 0]
    await sealed.free()
    await sealed.append(300)
    assert await sealed.seal(first) == 300
    assert (await sealed.verdict()).problems == []


async def test_two_sealers_at_once_sign_one_tree(sealed: Sealed) -> None:
    await sealed.append(300)
    first, second = sealed.sealer(), sealed.sealer()
    await first.step()
    await sealed.free()  # the first one is stopped, and wakes up when the second has sealed more
    await sealed.append(300)
    await second.step()
    await sealed.free()
    await sealed.append(1)
    await first.step()
    verdict = await sealed.verdict()
    assert (verdict.problems, verdict.sealed) == ([], 601)


async def test_a_crash_between_the_copy_and_the_database_is_made_good(sealed: Sealed, database: str) -> None:
    for _ in range(2):
        await sealed.append(300)
        await sealed.seal()
    await attack(database, "delete from tree_head where size = 600", "delete from tile where index = 1")
    await sealed.seal()
    verdict = await sealed.verdict()
    assert (verdict.problems, verdict.checkpoints, verdict.copies) == ([], 2, 2)


async def test_another_machine_goes_on_though_it_has_no_copies_yet(sealed: Sealed, tmp_path: Path) -> None:
    await sealed.append(300)
    await sealed.seal()
    elsewhere = Copies(tmp_path / "elsewhere" / "checkpoints.jsonl")
    await sealed.append(300)
    assert await sealed.seal(sealed.sealer(elsewhere)) == 300
    verdict = await sealed.verdict(sealed.copies.path, elsewhere.path)
    assert (verdict.problems, verdict.copies) == ([], 2)


async def test_a_machine_that_fell_behind_goes_on_from_the_newest_head(sealed: Sealed, tmp_path: Path) -> None:
    behind = Copies(tmp_path / "behind.jsonl")
    await sealed.append(300)
    await sealed.seal(sealed.sealer(behind))
    await sealed.append(300)
    await sealed.seal()
    await sealed.append(300)
    assert await sealed.seal(sealed.sealer(behind)) == 300
    assert (await sealed.verdict(sealed.copies.path, behind.path)).problems == []


async def test_more_than_a_page_is_sealed_page_by_page(sealed: Sealed) -> None:
    for _ in range(3):
        await sealed.append(PAGE - 500)
    assert await sealed.seal() == 3 * PAGE - 1_500
    sizes = await sealed.pool.fetch("select size from tree_head order by size")
    assert [row["size"] for row in sizes] == [PAGE, 2 * PAGE, 3 * PAGE - 1_500]


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ("delete from event where position = 400; update log_head set position = 399", "events are missing"),
        ("update event set actor = 'nobody' where position = 400", "event 400 is not the one that was sealed"),
        ("update event set position = position + 10 where position > 400", "events are missing at position"),
    ],
)
async def test_a_sealer_at_work_refuses_a_log_that_was_cut_or_changed_at_its_end(
    sealed: Sealed, database: str, harm: str, reason: str
) -> None:
    sealer = sealed.sealer()
    await sealed.append(400)
    await sealer.step()
    await sealed.append(5)
    await attack(database, *harm.split("; "))
    with pytest.raises(SealRefused, match=reason):
        await sealer.step()
    assert await sealed.pool.fetchval("select max(size) from tree_head") == 400


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ("update event set actor = 'nobody' where position = 390", "another root than the newest tree head"),
        ("update tile set hashes = substr(hashes, 2) || 'x'::bytea", "another root than the newest tree head"),
        ("delete from tile", "tile/0/000 is missing"),
        ("delete from event where position > 350", "events between 257 and 400 are missing"),
        ("update tree_head set note = replace(note, '400', '300') where size = 400", "not genuine"),
        ("delete from tree_head; delete from tile; delete from event where position > 350", "the log ends at 350"),
        ("delete from tree_head; delete from tile; update event set version = 401 where position = 7", "another root"),
    ],
)
async def test_a_sealer_that_starts_refuses_what_its_memory_outside_does_not_fit(
    sealed: Sealed, database: str, harm: str, reason: str
) -> None:
    await sealed.append(400)
    await sealed.seal()
    await attack(database, *harm.split("; "))
    await attack(database, "update log_head set position = (select max(position) from event)")
    with pytest.raises(SealRefused, match=reason):
        await sealed.seal()


async def test_a_sealer_refuses_a_database_that_was_sealed_from_another_beginning(
    sealed: Sealed, database: str, tmp_path: Path
) -> None:
    await sealed.append(300)
    await sealed.seal()
    await attack(
        database, "delete from tree_head", "delete from tile", "update event set actor = 'nobody' where position = 7"
    )
    await sealed.append(10)
    await sealed.seal(sealed.sealer(Copies(tmp_path / "forgetful.jsonl")))  # somebody who has the key but no memory
    with pytest.raises(SealRefused, match="does not begin with the one of 300:"):
        await sealed.seal()


async def test_tiles_and_heads_that_were_lost_are_made_again_from_the_memory_outside(
    sealed: Sealed, database: str
) -> None:
    await sealed.append(700)
    await sealed.seal()
    await attack(database, "delete from tree_head", "delete from tile")
    await sealed.append(1)
    assert await sealed.seal() == 1
    verdict = await sealed.verdict()
    assert (verdict.problems, verdict.checkpoints) == ([], 2)


async def test_a_new_key_goes_on_when_it_is_told_of_the_old_one(sealed: Sealed, tmp_path: Path) -> None:
    await sealed.append(10)
    await sealed.seal()
    new = Keys(origin="example.org/log", seed=bytes(32), path=tmp_path / "unused")
    await sealed.append(10)
    with pytest.raises(SealRefused, match="not signed by a key that is trusted here: give the key that signed it"):
        await sealed.seal(sealed.sealer(keys=new))
    await sealed.free()
    new = msgspec.structs.replace(new, old=(sealed.keys.signer().verifier,))
    assert await sealed.seal(sealed.sealer(keys=new)) == 10
    assert (await sealed.verdict(keys=new)).problems == []


async def test_a_copy_that_cannot_be_written_leaves_the_database_unsealed(sealed: Sealed, tmp_path: Path) -> None:
    await sealed.append(1)
    copies = Copies(tmp_path / "folder" / "checkpoints.jsonl")
    (tmp_path / "folder").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutsideError, match=r"cannot be kept in .*: set CHECKPOINT_FILE"):
        await sealed.sealer(copies).step()
    assert await sealed.pool.fetchval("select count(*) from tree_head") == 0


async def test_many_events_are_sealed_at_once_and_few_within_a_second(sealed: Sealed) -> None:
    sealer = sealed.sealer()
    sealed.log.on_append(sealer.wake)
    task = asyncio.create_task(sealer.run())

    async def reached(position: int) -> bool:
        return await sealed.pool.fetchval("select max(size) from tree_head") == position

    for events in (EVENTS, 2):
        position = await sealed.append(events)
        await wait_until(partial(reached, position), what="the seal")
    task.cancel()


async def test_a_refusal_is_told_once_and_its_end_as_well(
    sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "FAULT_SECONDS", 0.05)
    await sealed.append(1)
    key = tmp_path / "folder" / "seal.key"
    key.parent.write_text("in the way")
    keys = Keys(origin="example.org/log", seed=None, path=key)
    task = asyncio.create_task(sealed.sealer(keys=keys).run())
    await wait_until(lambda: sealed.faults, what="the fault")
    key.parent.unlink()
    await wait_until(lambda: len(sealed.faults) == 2, what="the end of the fault")
    assert "set SEAL_KEY" in str(sealed.faults[0])
    assert sealed.faults[1] is None
    task.cancel()


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    keys = Keys(origin="log", seed=None, path=tmp_path / "deep" / "seal.key")
    assert keys.verifiers() == ()
    assert keys.signer().verifier == keys.signer().verifier
    assert keys.path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in keys.path.parent.iterdir()] == ["seal.key"]


@pytest.mark.parametrize("text", ["", "no key", "AAAA", "\u2014"])
def test_a_damaged_key_file_is_not_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seal.key"
    path.write_text(text)
    with pytest.raises(OutsideError, match=r"seal\.key holds no key"):
        Keys(origin="log", seed=None, path=path).signer()
    assert path.read_text() == text


def test_after_a_torn_line_the_next_checkpoint_stands_alone(tmp_path: Path) -> None:
    copies = Copies(tmp_path / "checkpoints.jsonl")
    assert copies.newest() is None
    copies.append("first")
    with copies.path.open("a") as file:
        file.write('{"note":"sec')
    assert copies.newest() == "first"
    copies.append("third")
    assert copies.newest() == "third"
    assert len(copies.path.read_text().splitlines()) == 3


async def test_the_seal_only_grows_for_the_application_and_for_its_owner(sealed: Sealed, database: str) -> None:
    await sealed.append(300)
    await sealed.seal()
    for statement in ("delete from tile", "update tree_head set size = 1", "truncate tile", "delete from tree_head"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await sealed.pool.execute(statement)
        owner = await asyncpg.connect(database)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await owner.execute(statement)
        await owner.close()


async def test_a_note_in_the_copies_says_when_it_was_sealed(sealed: Sealed) -> None:
    await sealed.append(1)
    await sealed.seal()
    line = json.loads(sealed.copies.path.read_text())
    assert line.keys() == {"note", "sealed_at"}
    assert open_checkpoint(line["note"], [Signer("example.org/log", bytes(range(32))).verifier]).size == 1
