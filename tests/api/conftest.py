"""A server with a token, over a log in which something happened."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from reviewbot.api import tokens
from schema.log import Log
from tests.api.ground import Client
from tests.intake import Pool, serving


@pytest.fixture
async def client(pool: Pool, log: Log) -> AsyncIterator[Client]:
    async with serving(pool, log) as service:
        yield Client(service, await tokens.create(pool, "test"))
