"""Trees, proofs and tiles: the published hashes, every size up to a hundred and more, and nothing false believed."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.merkle import (
    EMPTY,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)
from schema.tiles import WIDTH, Growth, Tile, full_tiles, hashes_of, name
from tests.house.tree import ROOT

VECTORS = json.loads((ROOT / "tests/samples/seal/trees.json").read_text())
LEAVES = [leaf_hash(number.to_bytes(4)) for number in range(70_000)]


def by_definition(leaves: list[bytes]) -> bytes:
    """The tree hash as RFC 6962 writes it down, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(by_definition(leaves[:half]), by_definition(leaves[half:]))


def proof_of(path: list[tuple[int, int]]) -> list[bytes]:
    return [by_definition(LEAVES[low:high]) for low, high in path]


@pytest.mark.parametrize("size", range(9))
def test_the_tree_hash_is_the_one_that_certificate_transparency_publishes(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in VECTORS["entries"][:size]]
    assert tree_hash(leaves).hex() == VECTORS["roots"][size]


def test_the_tree_hash_is_the_one_of_the_definition_for_every_size() -> None:
    for size in range(130):
        assert tree_hash(LEAVES[:size]) == by_definition(LEAVES[:size])


def test_every_leaf_of_every_tree_has_a_proof_that_shows_its_place_and_no_other() -> None:
    for size in range(1, 41):
        root = by_definition(LEAVES[:size])
        for index in range(size):
            proof = proof_of(inclusion_path(index, size))
            assert verify_inclusion(LEAVES[index], index, size, proof, root)
            others = [other for other in range(size) if other != index]
            assert not any(verify_inclusion(LEAVES[index], other, size, proof, root) for other in others)
            assert not verify_inclusion(LEAVES[index + 1], index, size, proof, root)
            assert not verify_inclusion(LEAVES[index], index, size, [*proof, EMPTY], root)
            assert not proof or not verify_inclusion(LEAVES[index], index, size, proof[:-1], root)


def test_every_tree_has_a_proof_that_it_begins_with_each_smaller_one() -> None:
    roots = [by_definition(LEAVES[:size]) for size in range(41)]
    for new in range(1, 41):
        for old in range(1, new + 1):
            proof = proof_of(consistency_path(old, new))
            assert verify_consistency(old, roots[old], new, roots[new], proof)
            assert not verify_consistency(old, EMPTY, new, roots[new], proof)
            assert not verify_consistency(old, roots[old], new, EMPTY, proof)
            assert not verify_consistency(old, roots[old], new, roots[new], [*proof, EMPTY])
            assert not proof or not verify_consistency(old, roots[old], new, roots[new], proof[:-1])


def test_a_tree_whose_beginning_was_changed_has_no_consistency_proof() -> None:
    old, new = 13, 29
    changed = [*LEAVES[:4], LEAVES[100], *LEAVES[5:new]]
    proof = [by_definition(changed[low:high]) for low, high in consistency_path(old, new)]
    assert not verify_consistency(old, by_definition(LEAVES[:old]), new, by_definition(changed), proof)


def test_the_empty_tree_is_the_beginning_of_every_tree() -> None:
    assert verify_consistency(0, EMPTY, 5, by_definition(LEAVES[:5]), [])
    assert not verify_consistency(0, LEAVES[0], 5, by_definition(LEAVES[:5]), [])


@given(st.integers(-2, 300), st.integers(-2, 300), st.lists(st.binary(min_size=32, max_size=32), max_size=12))
def test_a_proof_made_up_shows_nothing(index: int, size: int, proof: list[bytes]) -> None:
    root = sha256(b"some root").digest()
    assert not verify_inclusion(LEAVES[0], index, size, proof, root)
    if index > 0:
        assert not verify_consistency(index, LEAVES[1], size, root, proof)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_no_path_leads_to_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_path(index, size)


def edge_of(size: int) -> list[list[bytes]]:
    """The partial tile of each level, by definition."""
    edge: list[list[bytes]] = []
    hashes = LEAVES[:size]
    while True:
        full = len(hashes) // WIDTH
        edge.append(hashes[full * WIDTH :])
        hashes = [by_definition(hashes[n * WIDTH : (n + 1) * WIDTH]) for n in range(full)]
        if not hashes:
            return edge


def test_a_growing_tree_gives_each_tile_once_and_the_root_at_any_size() -> None:
    growth = Growth()
    tiles: list[Tile] = []
    for size, leaf in enumerate(LEAVES[:66_000], start=1):
        tiles += growth.append(leaf)
        if size in (1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000):
            assert growth.root() == by_definition(LEAVES[:size])
            assert len(tiles) == full_tiles(size)
    assert [tile.name for tile in tiles if tile.level] == ["tile/1/000"]
    assert [tile.index for tile in tiles if not tile.level] == list(range(257))
    assert hashes_of(tiles[1].hashes) == LEAVES[256:512]
    assert hashes_of(tiles[-2].hashes)[0] == by_definition(LEAVES[:256])


@pytest.mark.parametrize("size", [0, 1, 200, 255, 256, 257, 1_000, 65_535, 65_536, 65_793])
def test_a_tree_goes_on_from_its_edge_as_if_it_had_never_stopped(size: int) -> None:
    growth = Growth(edge_of(size))
    assert growth.size == size
    assert growth.root() == by_definition(LEAVES[:size])
    tiles = [tile for leaf in LEAVES[size : size + 300] for tile in growth.append(leaf)]
    assert growth.root() == by_definition(LEAVES[: size + 300])
    assert [tile.index for tile in tiles if not tile.level] == list(range(size // WIDTH, (size + 300) // WIDTH))


@pytest.mark.parametrize(
    ("index", "path"),
    [(0, "tile/2/000"), (999, "tile/2/999"), (1_000, "tile/2/x001/000"), (1_234_067, "tile/2/x001/x234/067")],
)
def test_a_tile_is_named_as_tlog_tiles_names_it(index: int, path: str) -> None:
    assert name(2, index) == path
