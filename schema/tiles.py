"""The tree of the log cut into tiles of 256 hashes, after the C2SP specification tlog-tiles. Pure.

A tile of level L holds 256 neighbouring hashes of the tree's height 8 * L: 8,192 bytes. Only full tiles are kept; the
hashes of the partial ones at the right edge follow from the full ones below and from the newest events.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schema.merkle import Frontier, tree_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT  # hashes
HASH = 32  # bytes


class Tile(msgspec.Struct, frozen=True):
    """A full tile: `index` counts the tiles of its level from 0."""

    level: int
    index: int
    hashes: bytes

    @property
    def name(self) -> str:
        """Its path in tlog-tiles, such as tile/0/x001/234."""
        return name(self.level, self.index)


class Growth:
    """A tree that grows leaf by leaf: gives its root at any moment, and each tile when it becomes full."""

    def __init__(self, edge: Sequence[Sequence[bytes]] = ()) -> None:
        """`edge` holds the hashes of each level's partial tile, leaves first; without any the tree is empty."""
        self._edge = [list(hashes) for hashes in edge]
        self._full = [0] * len(self._edge)  # tiles of each level that are full already
        for level in range(len(self._edge) - 2, -1, -1):
            self._full[level] = self._full[level + 1] * WIDTH + len(self._edge[level + 1])
        size = self._full[0] * WIDTH + len(self._edge[0]) if self._edge else 0
        self._frontier = Frontier(size, [peak for hashes in reversed(self._edge) for peak in _peaks(hashes)])
        self.last: bytes | None = self._edge[0][-1] if self._edge and self._edge[0] else None

    @property
    def size(self) -> int:
        """Leaves."""
        return self._frontier.size

    def root(self) -> bytes:
        """The hash of the tree as it is now."""
        return self._frontier.root()

    def append(self, leaf: bytes) -> list[Tile]:
        """Add the next leaf hash; returns the tiles that it completed, mostly none."""
        self._frontier.append(leaf)
        self.last = leaf
        completed: list[Tile] = []
        level = 0
        while True:
            if level == len(self._edge):
                self._edge.append([])
                self._full.append(0)
            hashes = self._edge[level]
            hashes.append(leaf)
            if len(hashes) < WIDTH:
                return completed
            completed.append(Tile(level, self._full[level], b"".join(hashes)))
            leaf = tree_hash(hashes)
            self._full[level] += 1
            hashes.clear()
            level += 1


def full_tiles(size: int) -> int:
    """How many full tiles, of all levels, a tree of `size` leaves has."""
    count = 0
    while size := size >> HEIGHT:
        count += size
    return count


def hashes_of(tile: bytes) -> list[bytes]:
    """The hashes of a tile, in order."""
    return [tile[start : start + HASH] for start in range(0, len(tile), HASH)]


def name(level: int, index: int) -> str:
    """The path of a full tile in tlog-tiles, such as tile/0/x001/234."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    return "/".join(("tile", str(level), *reversed(groups)))


def _peaks(hashes: Sequence[bytes]) -> list[bytes]:
    """The hashes of the largest perfect subtrees over a partial tile's hashes, from left to right."""
    peaks, start = [], 0
    for height in range(HEIGHT - 1, -1, -1):
        if len(hashes) & 1 << height:
            peaks.append(tree_hash(hashes[start : start + (1 << height)]))
            start += 1 << height
    return peaks
