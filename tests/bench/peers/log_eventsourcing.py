"""`eventsourcing` on its own Postgres recorder: events put into its log, and a projection made anew from all of them.

Argument: the URL. Its interface is synchronous, so callers are threads. Its recorder locks the event table for each
insert, so that readers skip nothing; the faster way with database functions lets them skip events and is left out.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

from answering import CALLERS, CONNECTIONS, answer
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL

STATE = b"%400d" % 0  # as long as a request's facts in our log
FILL = 200  # jobs of one save


class Job(Aggregate):
    """The same three events as our job's."""

    def __init__(self, repository: str, number: int, head: str) -> None:
        self.state = "queued"

    @event("Started")
    def start(self, attempt: int) -> None:
        self.state = "running"

    @event("Completed")
    def complete(self, findings: int) -> None:
        self.state = "completed"


class Jobs(Application[UUID]):
    """The log of jobs."""


class JobTable(PostgresTrackingRecorder):
    """A row for each job, written in one transaction with the position that it follows from."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sql_create_statements.append(
            SQL("create table if not exists job_table (job uuid primary key, version int, state text)")
        )

    def put(self, job: UUID, version: int, state: str, tracking: Tracking) -> None:
        put = "insert into job_table values (%s, %s, %s) on conflict (job) do update set version = excluded.version, "
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(put + "state = excluded.state", (job, version, state), prepare=True)


class JobTableProjection(Projection[JobTable]):
    """What each event makes of a row."""

    name = "jobtable"
    topics = ()

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        states = {"Started": "running", "Completed": "completed"}
        state = states.get(type(domain_event).__name__, "queued")
        self.view.put(domain_event.originator_id, domain_event.originator_version, state, tracking)


class Runner:
    """One log. Its threads wait for one of the pool's connections each."""

    def __init__(self, url: str) -> None:
        place = conninfo_to_dict(url)
        self._environment = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": place["dbname"],
            "POSTGRES_HOST": place["host"],
            "POSTGRES_PORT": str(place.get("port", "5432")),
            "POSTGRES_USER": place["user"],
            "POSTGRES_PASSWORD": place.get("password") or "",
            "POSTGRES_POOL_SIZE": str(CONNECTIONS),
            "POSTGRES_MAX_OVERFLOW": "0",
        }
        self._jobs = Jobs(env=self._environment)

    async def append(self, count: int) -> float:
        """One event a call, from as many threads as there are callers."""
        return await asyncio.to_thread(self._append, count, CALLERS, 1)

    async def append_batch(self, count: int) -> float:
        """As many events a call as there are callers, from one thread: the lock lets in one at a time anyway."""
        return await asyncio.to_thread(self._append, count // CALLERS * CALLERS, 1, CALLERS)

    def _append(self, count: int, threads: int, batch: int) -> float:
        numbers = itertools.count(step=batch)

        def caller() -> None:
            while next(numbers) < count:
                self._jobs.recorder.insert_events([StoredEvent(uuid4(), 1, "Requested", STATE) for _ in range(batch)])

        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            for done in [pool.submit(caller) for _ in range(threads)]:
                done.result()
            return count / (time.perf_counter() - began)

    async def rebuild(self, count: int) -> float:
        """The projection runner from the first event to the last, into an empty table."""
        return await asyncio.to_thread(self._rebuild, count)

    def _rebuild(self, count: int) -> float:
        if not self._jobs.recorder.max_notification_id():
            self._fill(count)
        self._forget()
        last = self._jobs.recorder.max_notification_id()
        began = time.perf_counter()
        with ProjectionRunner(
            application_class=Jobs, projection_class=JobTableProjection, view_class=JobTable, env=self._environment
        ) as runner:
            while not runner.view.has_tracking_id(runner.app_name, last):
                runner.run_forever(timeout=0.02)
            return last / (time.perf_counter() - began)

    def _fill(self, count: int) -> None:
        for first in range(0, count // 3, FILL):
            jobs = [Job("octo/hello", number, "a" * 40) for number in range(first, first + FILL)]
            for job in jobs:
                job.start(1)
                job.complete(0)
            self._jobs.save(*jobs)

    def _forget(self) -> None:
        with self._jobs.factory.datastore.transaction(commit=True) as cursor:
            cursor.execute("drop table if exists job_table, jobtable_tracking")


async def main(url: str) -> None:
    runner = Runner(url)
    measures: dict[str, Callable[[int], Any]] = {
        "append": runner.append,
        "append_batch": runner.append_batch,
        "rebuild": runner.rebuild,
    }
    await answer(measures)
    runner._jobs.close()


asyncio.run(main(sys.argv[1]))
