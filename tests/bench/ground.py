"""Where benchmarks run: an embedded Postgres of their own with its durable settings, and a fresh database for each."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import asyncpg
import msgspec

from projections.catalog import ALL
from projections.rebuild import prepare
from schema.database import connect, open_pool
from schema.migrate import migrate
from tests.bench.figures import Figures

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much each benchmark does."""

    rounds: int  # of every throughput figure
    seconds: float  # of one round of deliveries
    appends: int  # events of one round
    claim_jobs: int
    claim_installations: int
    claims: int  # jobs claimed while the limits are watched
    single_cycles: int
    batch_cycles: int  # rounded to batches of 50
    rebuild_jobs: int
    seal_jobs: int
    audit_jobs: int  # with eleven or twelve events each
    reviews: int
    replays: int
    starts: int
    bombs: int  # and as many of the largest bodies, at a time
    big_files: int
    big_file_bytes: int


FULL = Sizes(
    rounds=5,
    seconds=4.0,
    appends=40_000,
    claim_jobs=1_000_000,
    claim_installations=10_000,
    claims=100_000,
    single_cycles=500,
    batch_cycles=5_000,
    rebuild_jobs=312_500,
    seal_jobs=60_000,
    audit_jobs=87_500,
    reviews=50,
    replays=1_000,
    starts=5,
    bombs=64,
    big_files=300,
    big_file_bytes=70_000,
)
QUICK = Sizes(
    rounds=2,
    seconds=0.2,
    appends=2_000,
    claim_jobs=2_000,
    claim_installations=100,
    claims=500,
    single_cycles=20,
    batch_cycles=200,
    rebuild_jobs=2_000,
    seal_jobs=1_000,
    audit_jobs=200,
    reviews=3,
    replays=10,
    starts=1,
    bombs=2,
    big_files=20,
    big_file_bytes=20_000,
)


class Ground:
    """What a benchmark is handed."""

    def __init__(self, url: str, folder: Path, sizes: Sizes, figures: Figures) -> None:
        self._url = url
        self.folder, self.sizes, self.figures = folder, sizes, figures

    async def check_durable(self) -> None:
        """Raises RuntimeError when a commit would not reach the disk: every figure would flatter."""
        admin = await connect(self._url)
        try:
            off = [name for name in DURABLE if await admin.fetchval("select current_setting($1)", name) != "on"]
        finally:
            await admin.close()
        if off:
            raise RuntimeError(f"{', '.join(off)} must be on")

    @contextlib.asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """The URL of a fresh database with nothing in it."""
        name = f"bench_{uuid4().hex}"
        admin = await connect(self._url)
        try:
            await admin.execute(f"create database {name}")
            yield self._url.replace("/postgres?", f"/{name}?")
            await admin.execute(f"drop database {name} with (force)")
        finally:
            await admin.close()

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of a fresh, migrated database with empty projections."""
        async with self.empty() as url:
            owner = await connect(url)
            await migrate(owner)
            await owner.close()
            await prepare(url, ALL)
            yield url

    @contextlib.asynccontextmanager
    async def pool(self, size: int = 8) -> AsyncIterator[Pool]:
        """A pool on a fresh database, with the rights of the application."""
        async with self.database() as url, self.pool_on(url, size) as pool:
            yield pool

    @contextlib.asynccontextmanager
    async def pool_on(self, url: str, size: int = 8) -> AsyncIterator[Pool]:
        """A pool with the rights of the application."""
        pool = await open_pool(url, size=size)
        try:
            yield pool
        finally:
            pool.terminate()
