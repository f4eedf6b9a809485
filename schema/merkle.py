"""Merkle trees as in RFC 6962: the tree hash, inclusion and consistency proofs and their check. Pure.

Every hash is a SHA-256 of 32 bytes. A range (low, high) means the leaves low, ..., high - 1, counted from 0. Proofs are
made in two steps, so that hashes may come from anywhere: a path names the ranges whose hashes the proof consists of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]

EMPTY = sha256().digest()  # the hash of the tree without leaves


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf, from what it stands for."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node, from those of its children."""
    return sha256(b"\x01" + left + right).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """The hash of the tree over these leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


class Frontier:
    """All that a growing tree must remember: the hashes of its largest perfect subtrees, from left to right."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size, self._peaks = size, list(peaks)

    def append(self, leaf: bytes) -> None:
        """Add the next leaf hash."""
        lower = self.size
        while lower & 1:
            leaf = sha256(b"\x01" + self._peaks.pop() + leaf).digest()
            lower >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The hash of the tree as it is now."""
        return join(self._peaks)


def join(peaks: Sequence[bytes]) -> bytes:
    """The hash of a tree, from those of its largest perfect subtrees from left to right."""
    if not peaks:
        return EMPTY
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def perfect_subtrees(low: int, high: int) -> Iterator[tuple[int, int]]:
    """The range of a node as its largest perfect subtrees from left to right: (height, index at that height)."""
    while low < high:
        height = (high - low).bit_length() - 1
        yield height, low >> height
        low += 1 << height


def inclusion_path(index: int, size: int) -> list[Range]:
    """The ranges whose hashes prove that leaf `index` is in the tree of `size` leaves, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[Range] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _left_half(high - low)
        if index < middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low = middle
    return path[::-1]


def consistency_path(old: int, new: int) -> list[Range]:
    """The ranges whose hashes prove that the tree of `old` leaves is the beginning of the tree of `new` leaves."""
    if not 0 < old <= new:
        raise ValueError(f"there is no proof from {old} to {new} leaves")
    path: list[Range] = []
    low, high, whole = 0, new, True  # whole: the old tree is the very node that we look at
    while old != high:
        middle = low + _left_half(high - low)
        if old <= middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low, whole = middle, False
    if not whole:
        path.append((low, high))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that `leaf` is leaf `index` of the tree of this size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, reached = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            reached = node_hash(sibling, reached)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            reached = node_hash(reached, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and reached == root


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the new tree begins with the whole old one (RFC 9162, 2.1.4.2). Sizes in leaves."""
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY
    if not 0 < old < new:
        return False
    hashes = iter(proof if old & (old - 1) else (old_root, *proof))
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    reached_old = reached_new = next(hashes, EMPTY)
    for sibling in hashes:
        if last == 0:
            return False
        if node & 1 or node == last:
            reached_old, reached_new = node_hash(sibling, reached_old), node_hash(sibling, reached_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            reached_new = node_hash(reached_new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and reached_old == old_root and reached_new == new_root


def _left_half(size: int) -> int:
    """How many of `size` leaves, two or more, lie left of the root: the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
