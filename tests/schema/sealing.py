"""What tests of the seal share: a log with events, a sealer beside it, and somebody with every right there."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg

from schema.database import connect
from schema.log import Log
from schema.outside import Copies, Keys
from schema.processes import Processes
from schema.seal import Sealer
from schema.verify import Verdict, verify
from tests.helpers import append, requested

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Sealed:
    """A log, its keys, and its copies outside."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool = pool
        self.keys = Keys(origin="example.org/log", seed=bytes(range(32)), path=folder / "seal.key")
        self.copies = Copies(folder / "checkpoints.jsonl")
        self.log = Log(pool)
        self.faults: list[str | None] = []

    def sealer(self, copies: Copies | None = None, keys: Keys | None = None) -> Sealer:
        """Another sealer, as after a start."""
        processes = Processes(self.pool, uuid4(), "here")
        return Sealer(self.pool, processes, keys or self.keys, copies or self.copies, tell=self.faults.append)

    async def append(self, events: int, stream: UUID | None = None) -> int:
        """Append so many events of one stream in one go; returns the position of the last."""
        facts = [requested(pull_request=number) for number in range(1, events + 1)]
        return await append(self.log, stream or uuid4(), *facts)

    async def seal(self, sealer: Sealer | None = None) -> int:
        """Seal all that is there and let go of the lease; returns how many events were sealed."""
        sealer = sealer or self.sealer()
        sealed = 0
        while page := await sealer.step():
            sealed += page
        await self.free()
        return sealed

    async def free(self) -> None:
        """The lease is free, as after the end of its holder."""
        await self.pool.execute("delete from lease")

    async def verdict(self, *outside: Path, keys: Keys | None = None) -> Verdict:
        """What `verify` finds, with these copies or the usual ones."""
        return await verify(self.pool, (keys or self.keys).verifiers(), outside or (self.copies.path,))


async def attack(url: str, *statements: str) -> None:
    """Run SQL with every right, past the triggers that refuse changes."""
    connection = await connect(url, session_replication_role="replica")
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
