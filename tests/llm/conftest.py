"""Providers under test, each against its own local server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from reviewbot.llm.base import Provider
from reviewbot.llm.catalog import create
from tests.fakes_llm import VENDORS, Behaviour, FakeVendors, Vendor
from tests.llm.given import KEY, Connect, Start


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return request.param


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started: list[FakeVendors] = []

    async def start_one(*behaviours: Behaviour) -> FakeVendors:
        fake = FakeVendors(list(behaviours))
        await fake.start()
        started.append(fake)
        return fake

    yield start_one
    for fake in started:
        await fake.stop()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    made: list[Provider] = []

    def connect_one(vendor: Vendor, fake: FakeVendors, *, timeout_seconds: float = 5.0, **more: str) -> Provider:
        settings = {"api_key": KEY, "model": "some-model", "base_url": fake.url(vendor.base_path)} | more
        made.append(create(vendor.name, timeout_seconds=timeout_seconds, **settings))
        return made[-1]

    yield connect_one
    for provider in made:
        await provider.close()
