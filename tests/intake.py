"""A real server on a real database, and what it has stored."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg

from reviewbot.config import load
from reviewbot.metrics import Metrics
from reviewbot.server import Limits, Server
from schema.codec import Recorded
from schema.events import Fact
from schema.log import Log
from schema.vault import Vault
from tests.deliveries import APP_ID, OLD_SECRET, SECRET, SLUG, Sender
from tests.helpers import KEYRING

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Service(Sender):
    """The server under test, its log, and the way to it."""

    def __init__(self, server: Server, pool: Pool, log: Log, vault: Vault, metrics: Metrics) -> None:
        super().__init__(server.port)
        self.server, self.pool, self.log, self.vault, self.metrics = server, pool, log, vault, metrics

    async def events(self) -> list[Recorded]:
        return await self.log.read_after(0, 10_000)

    async def facts(self) -> list[Fact]:
        return [event.fact for event in await self.events()]

    async def inbox(self) -> int:
        """How many raw deliveries are kept."""
        return int(await self.pool.fetchval("select count(*) from inbox"))

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric; 0 before it was counted for the first time."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@contextlib.asynccontextmanager
async def serving(
    pool: Pool,
    log: Log,
    *,
    environ: dict[str, str] | None = None,
    limits: Limits = Limits(),  # noqa: B008 - it cannot be changed
) -> AsyncIterator[Service]:
    """A server with the role "web" on any free port."""
    settings = load(
        {
            "GITHUB_APP_ID": str(APP_ID),
            "GITHUB_APP_SLUG": SLUG,
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "GITHUB_WEBHOOK_SECRET_OLD": OLD_SECRET,
            "HOST": "127.0.0.1",
            "PORT": "0",
            **(environ or {}),
        },
        role="web",
    )
    metrics, vault = Metrics("1.2.3"), Vault(pool, KEYRING)
    server = Server(settings, SLUG, pool, log, metrics, vault=vault, version="1.2.3", limits=limits)
    await server.start()
    try:
        yield Service(server, pool, log, vault, metrics)
    finally:
        await server.stop()
