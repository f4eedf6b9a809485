"""Checks the whole log against its seal: positions, tiles, signed checkpoints, and the copies kept outside.

One pass over the events in one snapshot, in bounded memory but for the outside copies (some 200 bytes each).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec

from schema.codec import Recorded
from schema.entries import EntryError, leaf
from schema.log import recorded
from schema.notes import Checkpoint, NoteError, Verifier, open_checkpoint
from schema.outside import Collected, Copy, collect
from schema.sql import load
from schema.tiles import HASH, WIDTH, Growth, Tile, full_tiles, name
from schema.tree import Connection

HERE = "schema.queries"
PAGE = 8 * WIDTH  # events
SENTENCES = 20  # problems that are told in full

Progress = Callable[[int, int], None]  # events checked, events in all


class Verdict(msgspec.Struct):
    """What was found. `problems` are sentences; the log is what was sealed when there are none."""

    events: int = 0
    sealed: int = 0  # events under the newest genuine checkpoint, in the database or outside
    checkpoints: int = 0  # in the database
    copies: int = 0  # outside
    lost: int = 0  # events sealed beyond the end of the log
    problems: list[str] = []
    remarks: list[str] = []
    untold: int = 0  # problems beyond those that are told

    def problem(self, sentence: str) -> None:
        if len(self.problems) < SENTENCES:
            self.problems.append(sentence)
        else:
            self.untold += 1


async def verify(
    pool: asyncpg.Pool[asyncpg.Record],
    verifiers: tuple[Verifier, ...],
    outside: Sequence[Path],
    progress: Progress = lambda done, total: None,
    *,
    restored: bool = False,
) -> Verdict:
    """The verdict on the log. Raises OSError for a file of copies that cannot be read, else what asyncpg raises.

    `restored`: it comes from a backup, so that what was sealed beyond its end is a loss and no problem.
    """
    collected = collect(outside, verifiers)  # before the snapshot, which so holds all that they speak of
    async with snapshot(pool) as connection:
        found = await Pass(connection, verifiers, collected.copies, restored=restored).run(progress)
    return _with_remarks(found.verdict, collected)


@asynccontextmanager
async def snapshot(pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[Connection]:
    """A connection that sees the database as it is now, for as long as it takes."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        yield connection


def _with_remarks(verdict: Verdict, collected: Collected) -> Verdict:
    """The verdict with what is to be said about the copies before it."""
    remarks = [f"{flaw.sentence}." for flaw in collected.flaws if flaw.harmless]
    remarks += [
        f"Older checkpoints between {gone.after + 1} and {gone.size} do not count: "
        f"what they sealed was given up when the log was restored ({gone.reason})."
        for gone in collected.given_up
    ]
    if not collected.copies:
        remarks.append(
            "No checkpoint kept outside the database was compared: a log that was cut or rolled back looks whole."
        )
    verdict.remarks = [*remarks, *verdict.remarks]
    later, verdict.problems = verdict.problems, []
    for sentence in [*(f"{flaw.sentence}." for flaw in collected.flaws if not flaw.harmless), *later]:
        verdict.problem(sentence)
    return verdict


class Pass:
    """One way through the log, in order, comparing as it goes. Afterwards `growth` is its tree."""

    def __init__(
        self,
        connection: Connection,
        verifiers: tuple[Verifier, ...],
        copies: dict[int, Copy],
        *,
        restored: bool = False,
    ) -> None:
        self._connection, self._verifiers, self._restored = connection, verifiers, restored
        self._copies, self._sizes = copies, sorted(copies)
        self._newest = 0  # size of the newest copy that is not beyond the end of the log
        self._sealed = 0  # size of the newest checkpoint in the database
        self._differing = 0  # checkpoints that do not fit
        self.verdict = Verdict(copies=len(copies))
        self.growth = Growth()
        self.intact = 0  # size of the newest checkpoint that fits

    async def run(self, progress: Progress) -> Pass:
        verdict = self.verdict
        total = await self._connection.fetchval(load(HERE, "read_head_position"))
        newest = await self._connection.fetchrow(load(HERE, "newest_tree_head"))
        self._sealed = newest["size"] if newest else 0
        self._newest = max((size for size in self._sizes if size <= total), default=0)
        if await self._connection.fetchval("select exists (select from event where position < 1)"):
            verdict.problem("There are events before position 1, where the log begins.")
        more = True
        while more:
            more = await self._page()
            progress(self.growth.size, max(total, self.growth.size))
        verdict.events = self.growth.size
        if not verdict.problems and verdict.events != total:
            verdict.problem(f"The log's head stands at {total}, but its last event has position {verdict.events}.")
        await self._beyond_the_end()
        await self._count_tiles()
        if self._differing > 1:
            verdict.problem(f"{self._differing - 1} later checkpoints differ as well.")
        if verdict.events > verdict.sealed:
            verdict.remarks.append(
                f"{verdict.events - verdict.sealed} events are not sealed yet: nothing vouches for them."
            )
        return self

    async def _page(self) -> bool:
        """Check the next page; False after the last one, or where the log has a hole."""
        start = self.growth.size
        events = recorded(await self._connection.fetch(load(HERE, "read_after"), start, PAGE))
        if not events:
            return False
        heads = {checkpoint.size: checkpoint for checkpoint in await self._heads(start, events[-1].position)}
        tiles: list[Tile] = []
        for event in events:
            if event.position != self.growth.size + 1:
                self.verdict.problem(_misplaced(event.position, self.growth.size + 1))
                return False
            tiles += self.growth.append(self._leaf(event))
            self._compare(self.growth.size, heads)
        await self._compare_tiles(tiles)
        return len(events) == PAGE

    def _leaf(self, event: Recorded) -> bytes:
        try:
            return leaf(event)
        except EntryError as error:
            self.verdict.problem(f"{error}.")
            return bytes(HASH)

    async def _heads(self, above: int, up_to: int) -> list[Checkpoint]:
        """The checkpoints of the database in a range of sizes, as far as they are genuine."""
        genuine = []
        for size, root, note in await self._connection.fetch(load(HERE, "read_tree_heads"), above, up_to):
            self.verdict.checkpoints += 1
            try:
                checkpoint = open_checkpoint(note, self._verifiers)
            except NoteError as error:
                self.verdict.problem(f"The tree head of size {size} {error}.")
                continue
            if (checkpoint.size, checkpoint.root) != (size, root):
                self.verdict.problem(f"The tree head of size {size} has a note that says {checkpoint.brief}.")
            genuine.append(checkpoint)
        return genuine

    def _compare(self, size: int, heads: dict[int, Checkpoint]) -> None:
        """Hold the tree of the events so far against what was sealed at this size."""
        head, copy = heads.get(size), self._copies.get(size)
        if head is None and copy is None:
            return
        self.verdict.sealed = max(self.verdict.sealed, size)
        root = self.growth.root()
        told = [("the database", head.root)] if head else []
        told += [(copy.place, copy.root)] if copy else []
        wrong = [place for place, sealed in told if sealed != root]
        if not wrong:
            self.intact = size
            self._expect_head(size, head, copy)
            return
        self._differing += 1
        if self._differing == 1:
            self.verdict.problem(
                f"Events between {self.intact + 1} and {size} are not those that were sealed: "
                f"the checkpoint of size {size} in {' and '.join(wrong)} does not fit them."
            )

    def _expect_head(self, size: int, head: Checkpoint | None, copy: Copy | None) -> None:
        # The newest copy may be ahead of the database: it is written first.
        if head is None and copy is not None and copy.note is not None and size != self._newest:
            self.verdict.problem(f"The checkpoint of size {size}, kept in {copy.place}, is missing in the database.")

    async def _compare_tiles(self, tiles: Sequence[Tile]) -> None:
        due = [tile for tile in tiles if (tile.index + 1) * WIDTH ** (tile.level + 1) <= self._sealed]
        rows = await self._connection.fetch(
            load(HERE, "read_tiles"), [tile.level for tile in due], [tile.index for tile in due]
        )
        stored = {(row["level"], row["index"]): row["hashes"] for row in rows}
        for tile in due:
            hashes = stored.get((tile.level, tile.index))
            if hashes is None:
                self.verdict.problem(f"{tile.name} is missing in the database.")
            elif hashes != tile.hashes:
                self.verdict.problem(_difference(tile, hashes))

    async def _beyond_the_end(self) -> None:
        """What was sealed beyond the last event that is there."""
        end = self.growth.size
        beyond = [self._copies[size] for size in self._sizes if size > end]
        if beyond:
            self.verdict.lost = beyond[-1].size - end
            say = self.verdict.remarks.append if self._restored else self.verdict.problem
            say(
                f"The log ends at {end}, but {beyond[-1].size} events were sealed according to {beyond[-1].place}: "
                f"it was cut or rolled back, {self.verdict.lost} events are lost."
            )
        if self._sealed > end:
            self.verdict.problem(f"The log ends at {end}, but {self._sealed} events were sealed.")

    async def _count_tiles(self) -> None:
        stored = await self._connection.fetchval("select count(*) from tile")
        due = full_tiles(self._sealed)
        if stored != due:
            self.verdict.problem(f"The database holds {stored} tiles; {due} belong to its newest tree head.")


def _misplaced(position: int, due: int) -> str:
    what = f"Position {position} stands twice" if position < due else f"Positions {due} to {position - 1} are missing"
    return f"{what}; what follows was not checked."


def _difference(tile: Tile, stored: bytes) -> str:
    differing = [n for n in range(WIDTH) if tile.hashes[n * HASH : (n + 1) * HASH] != stored[n * HASH : (n + 1) * HASH]]
    if tile.level:
        return f"{name(tile.level, tile.index)} does not follow from the events."
    first = tile.index * WIDTH + differing[0] + 1
    more = f" and {len(differing) - 1} more of {tile.name} are" if len(differing) > 1 else " is"
    return f"Event {first}{more} not what was sealed."
