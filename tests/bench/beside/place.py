"""What every part of the comparison is handed: where it runs, how much it does, and the peers' Python."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.bench.ground import Ground


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured in each round."""

    rounds: int
    enqueue: int  # jobs
    single: int  # jobs, one after the other
    batch: int  # jobs, in batches
    append: int  # events
    rebuild: int  # events of ours
    rebuild_peer: int  # events of a peer, which takes each as long as the other
    commits: int
    seconds: float  # of deliveries
    sizes: tuple[int, ...]  # rows of each table that is grown
    largest: int  # rows at which audit queries and rebuilds stop
    repeats: int  # at each size


FULL = Scale(
    rounds=5,
    enqueue=1_500,
    single=100,
    batch=1_500,
    append=3_200,
    rebuild=100_000,
    rebuild_peer=1_500,
    commits=400,
    seconds=3.0,
    sizes=(10_000, 100_000, 1_000_000, 3_000_000),
    largest=1_000_000,
    repeats=3,
)
QUICK = Scale(
    rounds=1,
    enqueue=100,
    single=5,
    batch=100,
    append=640,
    rebuild=600,
    rebuild_peer=600,
    commits=10,
    seconds=0.5,
    sizes=(1_000, 2_000),
    largest=1_000,
    repeats=1,
)


class Place(msgspec.Struct, frozen=True):
    """`peers` is None where their packages are not to be had."""

    ground: Ground
    scale: Scale
    peers: Path | None
