"""Every test of the stand-in ends with a check of all its exchanges against GitHub's own description."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from reviewbot.demo.standin import Standin
from tests.demo.contract import check_exchanges
from tests.demo.hub import APP_ID, INSTALLATION, REPO, SECRET, Commits, Hub, webhook


@pytest.fixture
async def hub(commits: Commits, key: tuple[str, str]) -> AsyncIterator[Hub]:
    private, public = key
    standin = Standin(app_id=APP_ID, public_key_pem=public, webhook_secret=SECRET)
    await standin.add_repository(REPO, commits.path, installation_id=INSTALLATION)
    async with aiohttp.ClientSession() as session, standin.serve() as url:
        made = Hub(standin, url, session, private, commits)
        async with webhook(made) as address:
            standin.webhooks.url = address
            yield made
            await standin.settle()
    check_exchanges(standin.requests)
