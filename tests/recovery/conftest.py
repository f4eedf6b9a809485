"""A ground for each test; every exchange with GitHub is held to GitHub's own description at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from reviewbot.demo.run import new_app_key
from reviewbot.demo.standin import Standin
from schema.log import Log
from tests.deliveries import APP_ID, SECRET
from tests.demo.contract import check_exchanges
from tests.demo.hub import Commits, make_repository
from tests.intake import Pool, serving
from tests.recovery.ground import INSTALLATION, REPO, Ground


@pytest.fixture(scope="session")
def commits(tmp_path_factory: pytest.TempPathFactory) -> Commits:
    return make_repository(tmp_path_factory.mktemp("git") / "shop")


@pytest.fixture(scope="session")
def key() -> tuple[str, str]:
    return new_app_key()


@pytest.fixture
async def deaf() -> AsyncIterator[str]:
    """Something that answers 200 at the webhook's address and keeps nothing."""

    async def nod(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(client_max_size=2**25)
    app.router.add_post("/", nod)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.fixture
async def ground(pool: Pool, log: Log, commits: Commits, key: tuple[str, str], deaf: str) -> AsyncIterator[Ground]:
    private, public = key
    standin = Standin(app_id=APP_ID, public_key_pem=public, webhook_secret=SECRET, events=("pull_request",), echo=False)
    await standin.add_repository(REPO, commits.path, installation_id=INSTALLATION)
    async with aiohttp.ClientSession() as session, standin.serve() as api, serving(pool, log) as service:
        made = Ground(standin, api, private, service, session, deaf)
        made.hears()
        yield made
        await standin.settle()
    check_exchanges(standin.requests)
