"""A log that was restored goes on only when somebody says so; what is given up by it is signed and told of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schema.adoption import AdoptionRefused, adopt, propose
from schema.notes import (
    Checkpoint,
    GivenUp,
    NoteError,
    Signer,
    checked_reason,
    open_checkpoint,
    parse_checkpoint,
)
from schema.seal import SealRefused
from schema.verify import verify
from tests.schema.sealing import Pool, Sealed, attack

REASON = "the disk was lost"
# What a backup of the time when 300 events were there brings back.
RESTORE = (
    "delete from event where position > 300",
    "delete from tree_head where size > 300",
    "delete from tile where index > 0",
    "update log_head set position = 300",
)


@pytest.fixture
async def sealed(pool: Pool, tmp_path: Path) -> AsyncIterator[Sealed]:
    """A log sealed at 300, 500 and 600."""
    sealed = Sealed(pool, tmp_path)
    for events in (300, 200, 100):
        await sealed.append(events)
        await sealed.seal()
    yield sealed
    await sealed.log.close()


async def go_on(sealed: Sealed) -> Checkpoint:
    checkpoint = await propose(sealed.pool, sealed.keys, [sealed.copies.path], REASON)
    adopt(checkpoint, sealed.keys, sealed.copies)
    return checkpoint


async def test_a_restored_log_goes_on_once_its_loss_is_accepted_and_every_verdict_tells_of_it(
    sealed: Sealed, database: str
) -> None:
    await attack(database, *RESTORE)
    with pytest.raises(SealRefused, match="the log ends at 300, and 600 events were sealed"):
        await sealed.seal()
    before = await sealed.verdict()
    assert before.lost == 300
    assert "it was cut or rolled back, 300 events are lost." in before.problems[0]
    await sealed.free()
    given_up = (await go_on(sealed)).given_up
    assert given_up is not None
    assert (given_up.after, given_up.size, given_up.reason) == (300, 600, REASON)
    log = Sealed(sealed.pool, sealed.copies.path.parent)  # the service starts again
    await log.append(400)
    assert await log.seal() == 400
    verdict = await log.verdict()
    assert (verdict.problems, verdict.sealed, verdict.lost) == ([], 700, 0)
    assert verdict.remarks == [
        "Older checkpoints between 301 and 600 do not count: "
        "what they sealed was given up when the log was restored (the disk was lost)."
    ]
    await attack(database, "update event set actor = 'nobody' where position = 550")
    assert (await log.verdict()).problems


async def test_a_log_that_has_grown_again_since_the_restore_goes_on_as_well(sealed: Sealed, database: str) -> None:
    await attack(database, *RESTORE)
    grown = Sealed(sealed.pool, sealed.copies.path.parent)
    await grown.append(450)
    with pytest.raises(SealRefused, match="give another root"):
        await grown.seal()
    await grown.free()
    checkpoint = await go_on(grown)
    assert (checkpoint.size, checkpoint.given_up and checkpoint.given_up.after) == (750, 300)
    await grown.append(1)
    assert await grown.seal() == 1
    assert (await grown.verdict()).problems == []


async def test_copies_elsewhere_that_were_given_up_do_not_count_either(
    sealed: Sealed, database: str, tmp_path: Path
) -> None:
    elsewhere, seen = tmp_path / "collector.log", tmp_path / "seen.txt"
    elsewhere.write_bytes(sealed.copies.path.read_bytes())
    note = await sealed.pool.fetchval("select note from tree_head where size = 500")
    seen.write_text(open_checkpoint(note, sealed.keys.verifiers()).brief)
    await attack(database, *RESTORE)
    await go_on(sealed)
    both = await verify(sealed.pool, sealed.keys.verifiers(), [elsewhere, seen, sealed.copies.path])
    assert (both.problems, both.copies) == ([], 1)
    alone = await verify(sealed.pool, sealed.keys.verifiers(), [elsewhere, seen])
    assert alone.problems


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ((), "the log is what was sealed: there is nothing to give up"),
        ((*RESTORE, "update event set actor = 'x' where position = 200"), "more than a restore happened to the log"),
        ((*RESTORE, "delete from event where position = 299"), "more than a restore happened to the log"),
        ((*RESTORE, "delete from tile"), "more than a restore happened to the log: tile/0/000 is missing"),
    ],
)
async def test_a_log_that_was_not_restored_or_not_only_that_is_refused(
    sealed: Sealed, database: str, harm: tuple[str, ...], reason: str
) -> None:
    await attack(database, *harm)
    with pytest.raises(AdoptionRefused, match=reason):
        await go_on(sealed)


async def test_checkpoints_that_cannot_be_read_are_not_given_up_by_the_way(sealed: Sealed, database: str) -> None:
    await attack(database, *RESTORE)
    with sealed.copies.path.open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(AdoptionRefused, match=r"checkpoints.jsonl line 4 is no checkpoint: 'nonsense'"):
        await go_on(sealed)


async def test_who_has_no_key_cannot_give_up_anything(sealed: Sealed, database: str) -> None:
    await attack(database, *RESTORE)
    proposed = await propose(sealed.pool, sealed.keys, [sealed.copies.path], REASON)
    sealed.copies.append(Signer("example.org/log", bytes(32)).sign(proposed.text))
    assert (await sealed.verdict()).lost == 300


async def test_to_a_restored_log_its_loss_is_no_problem_and_anything_else_is(sealed: Sealed, database: str) -> None:
    await attack(database, *RESTORE)
    found = await verify(sealed.pool, sealed.keys.verifiers(), [sealed.copies.path], restored=True)
    assert (found.problems, found.lost) == ([], 300)
    assert found.remarks == [
        "The log ends at 300, but 600 events were sealed according to checkpoints.jsonl line 3: "
        "it was cut or rolled back, 300 events are lost."
    ]
    await attack(database, "update event set actor = 'nobody' where position = 200")
    assert (await verify(sealed.pool, sealed.keys.verifiers(), [sealed.copies.path], restored=True)).problems


async def test_a_backup_made_between_a_checkpoint_and_its_row_is_as_good_as_any(sealed: Sealed, database: str) -> None:
    await attack(
        database,
        "delete from event where position > 500",
        "delete from tree_head where size > 300",
        "delete from tile where index > 0",
        "update log_head set position = 500",
    )
    assert (await verify(sealed.pool, sealed.keys.verifiers(), [sealed.copies.path], restored=True)).problems == []
    await go_on(sealed)
    await Sealed(sealed.pool, sealed.copies.path.parent).seal()
    assert (await sealed.verdict()).problems == []


def test_what_is_given_up_is_part_of_what_is_signed() -> None:
    checkpoint = Checkpoint("log", 300, bytes(32), GivenUp(200, 600, bytes(range(32)), "a bad day"))
    assert parse_checkpoint(checkpoint.text) == checkpoint
    with pytest.raises(NoteError):
        parse_checkpoint(checkpoint.text.replace("600:", "6oo:"))


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 501])
def test_a_reason_that_is_no_line_is_refused(reason: str) -> None:
    with pytest.raises(NoteError, match="must be one line of up to 500 characters"):
        checked_reason(reason)
