"""The Merkle tree of the log as the database holds it: the right edge, and proofs, from tiles and the newest events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import asyncpg

from schema.entries import leaf
from schema.log import recorded
from schema.merkle import Range, consistency_path, inclusion_path, join, perfect_subtrees, tree_hash
from schema.sql import load
from schema.tiles import HEIGHT, WIDTH, hashes_of, name

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

HERE = "schema.queries"


class TreeError(Exception):
    """The database lacks a part of the tree that must be there; the message names it."""


class Tree:
    """The tree of the first `size` events. Nothing is checked here: what it gives must fit a root known otherwise."""

    def __init__(self, connection: Connection, size: int, edge: Sequence[Sequence[bytes]]) -> None:
        self.size, self.edge = size, edge
        self._connection = connection

    @classmethod
    async def open(cls, connection: Connection, size: int) -> Tree:
        """Reads the partial tile of each level. Raises TreeError."""
        edge = [await _newest_leaves(connection, size)]
        while size >> HEIGHT * len(edge):
            level = len(edge)
            end = size >> HEIGHT * level
            below = await read_tiles(connection, level - 1, range(end // WIDTH * WIDTH, end))
            edge.append([tree_hash(hashes_of(tile)) for tile in below])
        return cls(connection, size, edge)

    async def inclusion_proof(self, index: int) -> list[bytes]:
        """That leaf `index` is in this tree. Raises TreeError."""
        return [await self._hash(span) for span in inclusion_path(index, self.size)]

    async def consistency_proof(self, old: int) -> list[bytes]:
        """That this tree begins with the one of `old` leaves, at least one. Raises TreeError."""
        return [await self._hash(span) for span in consistency_path(old, self.size)]

    async def _hash(self, span: Range) -> bytes:
        return join([await self._node(height, index) for height, index in perfect_subtrees(*span)])

    async def _node(self, height: int, index: int) -> bytes:
        level, above = divmod(height, HEIGHT)
        tile, start = divmod(index << above, WIDTH)
        if tile < self.size >> HEIGHT * (level + 1):
            (full,) = await read_tiles(self._connection, level, [tile])
            hashes: Sequence[bytes] = hashes_of(full)
        else:
            hashes = self.edge[level]
        return tree_hash(hashes[start : start + (1 << above)])


async def read_tiles(connection: Connection, level: int, indexes: Iterable[int]) -> list[bytes]:
    """Full tiles of one level, in the order asked for. Raises TreeError when one is not there."""
    indexes = list(indexes)
    rows = await connection.fetch(load(HERE, "read_tiles"), [level] * len(indexes), indexes)
    found = {row["index"]: row["hashes"] for row in rows}
    missing = [index for index in indexes if index not in found]
    if missing:
        raise TreeError(f"{name(level, missing[0])} is missing in the database")
    return [found[index] for index in indexes]


async def _newest_leaves(connection: Connection, size: int) -> list[bytes]:
    start = size // WIDTH * WIDTH
    events = recorded(await connection.fetch(load(HERE, "read_after"), start, size - start))
    if [event.position for event in events] != list(range(start + 1, size + 1)):
        raise TreeError(f"events between {start + 1} and {size} are missing in the database")
    return [leaf(event) for event in events]
