"""The sealer: reads what was appended, grows the tree, signs its root, and brings the checkpoint out of the database.

What it signs always continues what it signed before, for it goes on from a tree that fits the newest checkpoint which
it remembers outside the database. Where the database no longer fits, it refuses to sign and says so until someone acts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import asyncpg
import structlog
from eventsourcing.persistence import OperationalError

from schema.codec import Recorded
from schema.entries import EntryError, leaf
from schema.log import as_persistence_errors, recorded
from schema.merkle import verify_consistency
from schema.notes import Checkpoint, NoteError, open_checkpoint
from schema.outside import Copies, Keys, OutsideError
from schema.processes import Processes
from schema.sql import load
from schema.tiles import Growth, Tile
from schema.tree import Connection, Tree, TreeError
from schema.waiting import wait

HERE = "schema.queries"
LEASE = "sealer"
LEASE_SECONDS = 30.0
PAGE = 2_048  # events under one checkpoint at most: under load a seal covers more, and the next follows at once
SECONDS = 1.0  # the longest an event waits for its seal ...
EVENTS = 256  # ... unless so many wait already
GLANCE_SECONDS = 0.05  # between two looks at how many wait
FAULT_SECONDS = 5.0  # between two tries after a refusal

logger = structlog.get_logger(__name__)


class SealRefused(Exception):
    """The database does not continue what was signed before; the message says how it differs."""


class Sealer:
    """`step` seals one page; `run` does it for ever, in one process at a time.

    The lease only spares work: two sealers at once sign the same tree, for there is one log. `tell` hears what stands
    in the way of sealing whenever that changes, and None once it works.
    """

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        processes: Processes,
        keys: Keys,
        copies: Copies,
        *,
        tell: Callable[[str | None], None] = lambda fault: None,
    ) -> None:
        self._pool, self._processes, self._keys, self._copies, self._tell = pool, processes, keys, copies, tell
        self._growth: Growth | None = None  # None: to be recalled
        self._fault: str | None = None
        self._woken = asyncio.Event()

    @property
    def fault(self) -> str | None:
        """What stands in the way of sealing."""
        return self._fault

    def wake(self) -> None:
        """Something may have been appended: a hint."""
        self._woken.set()

    async def run(self) -> None:
        while True:
            try:
                sealed = await self.step()
                self._report(None)
                if sealed < PAGE:
                    await self._rest()
            except (SealRefused, OutsideError) as error:
                self._report(str(error))
                await asyncio.sleep(FAULT_SECONDS)
            except OperationalError as error:
                logger.warning("the log will be sealed later", error=str(error))
                await asyncio.sleep(SECONDS)

    async def step(self) -> int:
        """Seal the next page; returns its events. 0: nothing new, or another process seals.

        Raises SealRefused, OutsideError and OperationalError.
        """
        growth, self._growth = self._growth, None  # whatever goes wrong: recall, and go on from what is surely kept
        with as_persistence_errors():
            if not await self._processes.take_lease(LEASE, LEASE_SECONDS):
                return 0
            async with self._pool.acquire(timeout=5) as connection:
                growth = growth or await self._recall(connection)
                sealed = await self._seal(connection, growth)
        self._growth = growth
        return sealed

    async def _seal(self, connection: Connection, growth: Growth) -> int:
        before = growth.size
        tiles = await _grow(connection, growth, PAGE)
        if growth.size == before:
            return 0
        signer = self._keys.signer()
        checkpoint = Checkpoint(self._keys.origin, growth.size, growth.root())
        note = signer.sign(checkpoint.text)
        # outside first: whatever the database says later, this checkpoint cannot be taken back
        await asyncio.to_thread(self._copies.append, note)
        logger.info("sealed", size=checkpoint.size, note=note)
        await _save(connection, checkpoint, note, tiles)
        return growth.size - before

    async def _recall(self, connection: Connection) -> Growth:
        """The tree to go on from: at the newest checkpoint that is remembered outside, or in the database if newer."""
        remembered = await self._remembered()
        row = await connection.fetchrow(load(HERE, "newest_tree_head"))
        stored = self._opened(row["note"], "the newest tree head of the database") if row else None
        if remembered is None and row is not None and stored is not None:
            logger.warning("no checkpoint is remembered outside the database; going on from its own", size=stored.size)
            await asyncio.to_thread(self._copies.append, row["note"])
        try:
            growth = await _continue(connection, stored, remembered)
        except (TreeError, EntryError) as error:
            raise SealRefused(f"the log is not what was sealed: {error}") from error
        logger.info("sealing", size=growth.size, key=self._keys.signer().verifier.text, copies=str(self._copies.path))
        return growth

    async def _remembered(self) -> tuple[Checkpoint, str] | None:
        note = await asyncio.to_thread(self._copies.newest)
        return None if note is None else (self._opened(note, f"the newest checkpoint in {self._copies.path}"), note)

    def _opened(self, note: str, what: str) -> Checkpoint:
        try:
            checkpoint = open_checkpoint(note, (self._keys.signer().verifier, *self._keys.old))
        except NoteError as error:
            raise SealRefused(
                f"{what} {error}: give the key that signed it as SEAL_KEY, or its public key as SEAL_KEYS_OLD"
            ) from error
        return checkpoint

    async def _rest(self) -> None:
        """Until a second is over or enough events wait."""
        end = time.monotonic() + SECONDS
        while (left := end - time.monotonic()) > 0:
            self._woken.clear()
            if await wait(self._woken, left):
                sealed = self._growth.size if self._growth else 0
                with as_persistence_errors():
                    if await self._pool.fetchval(load(HERE, "read_head_position")) - sealed >= EVENTS:
                        return
                await asyncio.sleep(GLANCE_SECONDS)

    def _report(self, fault: str | None) -> None:
        if fault != self._fault:
            self._fault = fault
            self._tell(fault)
            if fault:
                logger.error("the log is not being sealed", reason=fault)
            else:
                logger.info("the log is being sealed again")


async def _continue(
    connection: Connection, stored: Checkpoint | None, remembered: tuple[Checkpoint, str] | None
) -> Growth:
    """The tree that the newer of both checkpoints is about, found to continue the older one. Raises SealRefused."""
    growth = Growth()
    if stored is not None:
        tree = await Tree.open(connection, stored.size)
        growth = Growth(tree.edge)
        _expect(growth, stored, "the newest tree head")
        if remembered is not None and 0 < remembered[0].size <= stored.size:
            older = remembered[0]
            proof = await tree.consistency_proof(older.size)
            if not verify_consistency(older.size, older.root, stored.size, stored.root, proof):
                raise SealRefused(f"the tree of {stored.size} events does not begin with the one of {older.brief}")
    if remembered is not None and remembered[0].size > growth.size:
        checkpoint, note = remembered
        tiles: list[Tile] = []
        while growth.size < checkpoint.size:
            before = growth.size
            tiles += await _grow(connection, growth, min(PAGE, checkpoint.size - growth.size))
            if growth.size == before:
                raise SealRefused(f"the log ends at {growth.size}, and {checkpoint.size} events were sealed")
        _expect(growth, checkpoint, "the newest checkpoint outside the database")
        await _save(connection, checkpoint, note, tiles)
    return growth


def _expect(growth: Growth, checkpoint: Checkpoint, what: str) -> None:
    if growth.root() != checkpoint.root:
        raise SealRefused(f"the first {checkpoint.size} events give another root than {what}, {checkpoint.brief}")


async def _grow(connection: Connection, growth: Growth, events: int) -> list[Tile]:
    """Append up to so many of the next events to the tree; returns the tiles that became full. Raises SealRefused.

    The last event that was sealed is read again: without it, or with another one in its place, the log was cut.
    """
    anchor = 1 if growth.size else 0
    page = recorded(await connection.fetch(load(HERE, "read_after"), growth.size - anchor, events + anchor))
    first = growth.size + 1 - anchor
    if [event.position for event in page] != list(range(first, first + len(page))) or len(page) < anchor:
        raise SealRefused(f"events are missing at position {first} or soon after it")
    try:
        return await asyncio.to_thread(_append, growth, page, anchor)
    except EntryError as error:
        raise SealRefused(str(error)) from error


def _append(growth: Growth, page: Sequence[Recorded], anchor: int) -> list[Tile]:
    if anchor and growth.last not in (None, leaf(page[0])):
        raise SealRefused(f"event {page[0].position} is not the one that was sealed")
    return [tile for event in page[anchor:] for tile in growth.append(leaf(event))]


async def _save(connection: Connection, checkpoint: Checkpoint, note: str, tiles: Sequence[Tile]) -> None:
    await connection.execute(
        load(HERE, "save_seal"),
        checkpoint.size,
        checkpoint.root,
        note,
        [tile.level for tile in tiles],
        [tile.index for tile in tiles],
        [tile.hashes for tile in tiles],
    )
