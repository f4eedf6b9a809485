"""Who is alive and who holds what: worker registrations and leases, by the database's clock."""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg

from schema.log import as_persistence_errors
from schema.sql import load

HERE = "schema.queries"


class Processes:
    """This process among the others. Every method raises OperationalError when the database does not answer."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], process: UUID, instance: str) -> None:
        self._pool = pool
        self.id, self.instance = process, instance

    async def enlist(self) -> None:
        """Begin to live. An earlier process of the same instance is known to be dead from now on."""
        with as_persistence_errors():
            await self._pool.execute(load(HERE, "enlist"), self.id, self.instance)

    async def begin_anew(self) -> None:
        """Live on under a new id: what the old one had is lost to us, and everybody may know it."""
        self.id = uuid4()
        await self.enlist()

    async def beat(self) -> bool:
        """Say that we live; False: somebody declared us dead, and our work may be in other hands."""
        with as_persistence_errors():
            return await self._pool.fetchval(load(HERE, "beat"), self.id, timeout=5) is not None

    async def discharge(self) -> None:
        """End in good order."""
        with as_persistence_errors():
            await self._pool.execute(load(HERE, "discharge"), self.id)

    async def take_lease(self, name: str, seconds: float) -> bool:
        """Whether we hold the lease for the next `seconds`."""
        with as_persistence_errors():
            return await self._pool.fetchval(load(HERE, "take_lease"), name, self.id, seconds) is not None

    async def free_lease(self, name: str) -> None:
        """Let somebody else have the lease, if it is ours."""
        with as_persistence_errors():
            await self._pool.execute(load(HERE, "free_lease"), name, self.id)
