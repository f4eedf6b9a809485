"""How fast the log is sealed, and how fast all of it is compared with its seal."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

from schema.database import connect
from schema.outside import Copies, Keys
from schema.processes import Processes
from schema.seal import Sealer
from schema.verify import verify
from tests.bench.ground import Ground, Pool

INSTALLATIONS = 1_000


async def measure(ground: Ground) -> None:
    """seal_per_s and verify_per_s: one sealer with its copies in a file, then one verdict on the log and the file."""
    seals, verdicts = [], []
    fill = Path(__file__).with_name("log_of_jobs.sql").read_text("utf-8")
    for number in range(min(3, ground.sizes.rounds)):
        async with ground.database() as url:
            owner = await connect(url)
            await owner.execute(fill, ground.sizes.seal_jobs, INSTALLATIONS, timeout=600)
            await owner.execute("vacuum analyze event")
            await owner.close()
            folder = ground.folder / f"seal-{number}"
            folder.mkdir()
            async with ground.pool_on(url) as pool:
                keys = Keys(origin="bench", seed=None, path=folder / "seal.key")
                copies = folder / "checkpoints.jsonl"
                seals.append(await _seal(pool, keys, Copies(copies)))
                verdicts.append(await _verify(pool, keys, copies))
    ground.figures.add("seal_per_s", "events/s", seals)
    ground.figures.add("verify_per_s", "events/s", verdicts)


async def _seal(pool: Pool, keys: Keys, copies: Copies) -> float:
    sealer = Sealer(pool, Processes(pool, uuid4(), "bench"), keys, copies)
    began, events = time.perf_counter(), 0
    while sealed := await sealer.step():
        events += sealed
    return events / (time.perf_counter() - began)


async def _verify(pool: Pool, keys: Keys, copies: Path) -> float:
    began = time.perf_counter()
    verdict = await verify(pool, keys.verifiers(), [copies])
    assert not verdict.problems, verdict.problems
    assert verdict.sealed == verdict.events
    return verdict.events / (time.perf_counter() - began)
