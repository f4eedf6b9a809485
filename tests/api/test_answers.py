"""Events and jobs over HTTP: what is asked for, page by page, now and as it was."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import UUID, uuid4

import pytest

from projections.jobs import read
from projections.jobs.project import Jobs
from projections.past import as_it_was, find
from reviewbot.api.questions import Questions
from schema import events as e
from schema.events import FACTS
from schema.log import Log
from schema.sql import load
from tests.api.ground import Client, description
from tests.helpers import HEAD, START, append, job_of, meta, project, requested
from tests.intake import Pool
from tests.projections.ground import ask, busy_log, claim, end, worker


async def jobs_now(client: Client, **parameters: object) -> list[Any]:
    return [job async for page in client.pages("/api/jobs", **parameters) for job in page["jobs"]]


async def events_of(client: Client, path: str = "/api/events", **parameters: object) -> list[Any]:
    return [event async for page in client.pages(path, **parameters) for event in page["events"]]


# --- events -----------------------------------------------------------------------------------------------------------


async def test_an_event_is_told_as_it_is_stored(client: Client, log: Log, pool: Pool) -> None:
    request, delivery = requested(requested_by=5), uuid4()
    await append(log, job_of(request), request, about=meta(delivery=delivery))
    await project(pool)
    (_, told) = await events_of(client)
    (stored,) = await log.read_after(1)
    assert told == {
        "position": 2, "stream": str(job_of(request)), "version": 1, "topic": "ReviewRequested", "installation": 42,
        "delivery": str(delivery), "actor": "github", "correlation": str(delivery), "causation": None,
        "recorded_at": stored.recorded_at.isoformat().replace("+00:00", "Z"),
        "sentence": "review of octo/hello#1 at aaaaaaaaaaaa requested (opened)",
        "data": {
            "installation": 42, "repository_id": 7, "repository": "octo/hello", "pull_request": 1, "head_sha": HEAD,
            "trigger": "opened", "asked_at": "2026-01-01T00:00:00Z", "requested_by": 5,
        },
    }  # fmt: skip


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_pages_of_events_lose_and_repeat_nothing_while_others_append(
    client: Client, log: Log, pool: Pool, order: str, limit: int
) -> None:
    for number in range(20):
        await ask(log, number)
    await project(pool)
    last = (await client.ask("/api/events")).json["position"]
    seen = []
    async for page in client.pages("/api/events", order=order, limit=limit):
        assert len(page["events"]) <= limit
        seen += [event["position"] for event in page["events"]]
        await ask(log, 100 + len(seen))
        await project(pool)
        if len(seen) > 60:
            break
    assert seen == sorted(seen, reverse=order == "desc")
    assert len(set(seen)) == len(seen)
    assert set(range(1, last + 1)) <= set(seen)


async def test_who_follows_the_log_hears_every_event_once_while_many_write(
    client: Client, log: Log, pool: Pool
) -> None:
    async def write(repository: int) -> None:
        for number in range(40):
            await ask(log, number, installation=repository)

    async def write_all() -> None:
        await asyncio.gather(*(write(number) for number in (1, 2, 3)))
        await project(pool)

    async def keep_up() -> None:
        while True:
            await project(pool)

    projecting, writing = asyncio.create_task(keep_up()), asyncio.create_task(write_all())
    heard: list[int] = []
    while len(heard) < 121:  # and one of the token
        address = f"/api/events?limit=7&since={len(heard) + 1}"
        page = (await client.follow(address)).json
        heard += [event["position"] for event in page["events"]]
        if page["next"] is None:
            assert page["position"] == len(heard)
    await writing
    projecting.cancel()
    await asyncio.gather(projecting, return_exceptions=True)
    assert heard == list(range(1, 122))


async def test_events_are_found_by_what_they_are_about(client: Client, log: Log, pool: Pool) -> None:
    first, second = await ask(log, 1), await ask(log, 2, head="b" * 40)
    await append(log, first, e.ReviewSkipped(reason="x"), after=1, about=meta(actor="worker:w"))
    await project(pool)

    async def found(**parameters: object) -> list[int]:
        return [event["position"] for event in await events_of(client, **parameters)]

    assert await found(repository="octo/hello", pull_request=1) == [2, 4]
    assert await found(job=second) == [3]
    assert await found(head="bbbb") == [3]
    assert await found(topic="ReviewSkipped,TokenCreated") == [1, 4]
    assert await found(actor="worker:w") == [4]
    assert await found(since=2, until=3) == [2, 3]
    assert await found(repository="octo/unknown") == []
    assert await found(since="1h") == [1, 2, 3, 4]


async def test_the_story_of_a_job_is_told_with_its_check_runs(client: Client, log: Log, pool: Pool) -> None:
    job = await ask(log, 1)
    await ask(log, 2)
    check = e.CheckRunCreated(job=job, check_run_id=9, head_sha=HEAD, request_version=1)
    await append(log, uuid4(), check)
    await project(pool)
    told = await events_of(client, f"/api/jobs/{job}/events", limit=1)
    assert [event["topic"] for event in told] == ["ReviewRequested", "CheckRunCreated"]


async def test_an_event_that_this_version_cannot_read_is_told_all_the_same(
    client: Client, log: Log, pool: Pool
) -> None:
    await project(pool)
    await pool.execute("update log_head set position = position + 1")
    columns = "position, stream, version, topic, data, actor, correlation"
    await pool.execute(f"insert into event ({columns}) values (2, $1, 1, 'New', '{{}}', 'x', $1)", uuid4())
    await pool.execute("update checkpoint set position = 2")
    answer = await client.service.get("/api/events", Authorization=f"Bearer {client.token}")
    assert answer.json["events"][1]["topic"] == "New"
    assert "does not know" in answer.json["events"][1]["sentence"]


def test_every_kind_of_fact_is_described() -> None:
    schemas = description()["components"]["schemas"]
    told = {each["$ref"].rpartition("/")[2] for each in schemas["Event"]["properties"]["data"]["anyOf"]}
    assert told == {fact.TOPIC for fact in FACTS} <= set(schemas)


# --- jobs -------------------------------------------------------------------------------------------------------------


async def test_jobs_are_listed_newest_first_and_found_by_what_they_are(client: Client, log: Log, pool: Pool) -> None:
    first, second = await ask(log, 1), await ask(log, 2, head="b" * 40)
    third = await ask(log, 3, installation=2)
    await append(log, first, e.ReviewSkipped(reason="x"), after=1)
    await project(pool)

    async def found(**parameters: object) -> list[UUID]:
        return [UUID(job["id"]) for job in await jobs_now(client, **parameters)]

    assert await found() == [third, second, first]
    assert await found(limit=1) == [third, second, first]
    assert await found(state="skipped") == [first]
    assert await found(installation=2) == [third]
    assert await found(repository="OCTO/Hello", pull_request=2) == [second]
    assert await found(head="bbbb") == [second]
    assert await found(head="cccc") == []
    assert await found(repository="octo/unknown") == []


async def walk(client: Client, log: Log, pool: Pool) -> tuple[list[UUID], list[UUID]]:
    """Twelve jobs, and what pages of two show while others come and two ended ones are opened again."""
    jobs = [await ask(log, number) for number in range(12)]
    for job in jobs:
        await append(log, job, e.ReviewSkipped(reason="x"), after=1)
    await project(pool)
    seen: list[UUID] = []
    async for page in client.pages("/api/jobs", limit=2):
        seen += [UUID(job["id"]) for job in page["jobs"]]
        if len(seen) == 4:
            for number in (11, 0):  # one that was seen, and one that was not
                again = requested(pull_request=number, installation=1, repository_id=1, asked_at=START)
                await append(log, jobs[number], again, after=2)
        await ask(log, 100 + len(seen))
        await project(pool)
    return jobs, seen


async def test_pages_of_jobs_lose_and_repeat_nothing_while_jobs_come_and_are_opened_again(
    client: Client, log: Log, pool: Pool
) -> None:
    jobs, seen = await walk(client, log, pool)
    assert seen == list(reversed(jobs))


async def test_pages_in_the_order_of_the_newest_requests_would_lose_a_job(
    client: Client, log: Log, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken twin of the test above."""
    monkeypatch.setattr(read, "load", lambda *name: load(*name).replace("first_position", "request_position"))
    jobs, seen = await walk(client, log, pool)
    assert jobs[0] not in seen


# --- the past ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
async def test_the_past_is_what_was_told_then_and_at_the_head_it_is_what_is_told_now(
    client: Client, log: Log, pool: Pool, seed: int
) -> None:
    told = {}
    for round_ in range(2):
        await busy_log(pool, log, seed * 10 + round_)
        await project(pool)
        position = int(await pool.fetchval("select position from log_head"))
        told[position] = await jobs_now(client)
    assert len({str(jobs) for jobs in told.values()}) == 2
    for position, jobs in told.items():
        assert await jobs_now(client, at=position, limit=50) == jobs
        for job in random.Random(seed).sample([job for job in jobs if job["pull_request"]], 3):
            one = (await client.ask(f"/api/jobs/{job['id']}", at=position)).json
            assert (one["job"], one["at"]["position"]) == (job, position)
            same = {"repository": job["repository"], "pull_request": job["pull_request"]}
            narrow = await jobs_now(client, at=position, **same)
            assert narrow == [each for each in jobs if same.items() <= each.items()]


@pytest.mark.parametrize("seed", range(2))
async def test_folding_only_what_concerns_a_pull_request_gives_its_rows_as_folding_everything_does(
    log: Log, pool: Pool, seed: int
) -> None:
    await busy_log(pool, log, seed)
    await project(pool)
    query = "select j::text from jobs j where repository_id = $1 and pull_request = $2 order by 1"
    pulls = [tuple(row) for row in await pool.fetch("select repository_id, pull_request from pull_requests")]
    assert len(pulls) > 5
    async with pool.acquire() as connection:
        middle = await find(connection, int(await pool.fetchval("select position / 2 from log_head")))
        async with as_it_was(connection, Jobs(), middle):
            whole = {pull: await connection.fetch(query, *pull) for pull in pulls}
        for repository, number in pulls:
            rows = await connection.fetch(load("reviewbot.api", "streams_about"), [repository], number, None)
            streams = [row["stream"] for row in rows]
            async with as_it_was(connection, Jobs(), middle, streams=streams):
                assert await connection.fetch(query, repository, number) == whole[repository, number]


async def test_a_job_from_after_the_moment_was_not_there(client: Client, log: Log, pool: Pool) -> None:
    await ask(log, 1)
    late = await ask(log, 2)
    await project(pool)
    answer = await client.ask(f"/api/jobs/{late}", at=2)
    assert (answer.status, answer.json["reason"]) == (404, f"There was, after event 2, no job {late}.")


async def test_the_answer_says_which_moment_it_stands_for_and_its_next_page_stays_there(
    client: Client, log: Log, pool: Pool
) -> None:
    for number in range(3):
        await ask(log, number)
    await project(pool)
    times = dict(await pool.fetch("select position, recorded_at from event"))
    moments, seen = [], 0
    async for page in client.pages("/api/jobs", at=times[3].isoformat(), limit=1):
        moments.append(page["at"])
        seen += len(page["jobs"])
        await ask(log, 50 + seen)
        await project(pool)
    stamp = times[3].isoformat().replace("+00:00", "Z")
    assert (moments, seen) == ([{"position": 3, "recorded_at": stamp}] * 2, 2)


async def test_a_moment_near_the_end_waits_for_the_trail_and_not_for_ever(
    client: Client, log: Log, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await ask(log, 1)
    asking = asyncio.create_task(client.ask(f"/api/jobs/{job}", at=2))
    await asyncio.sleep(0.3)
    await project(pool)
    assert (await asking).status == 200
    monkeypatch.setattr("reviewbot.api.questions.TRAIL_SECONDS", 0.1)
    await ask(log, 2)
    answer = await client.ask("/api/jobs", at=3, repository="octo/hello", pull_request=1)
    assert (answer.status, "behind" in answer.json["reason"]) == (503, True)


async def test_too_much_past_is_refused_with_what_to_do_and_a_pull_request_of_it_is_not(
    client: Client, log: Log, pool: Pool
) -> None:
    api = client.service.server.api
    assert api is not None
    api.questions = Questions(pool, most_folded=3)
    for number in range(5):
        await ask(log, number)
    await project(pool)
    refused = await client.ask("/api/jobs", at=6)
    assert (refused.status, refused.json["parameter"]) == (400, "at")
    assert "reviewbot audit jobs --at" in refused.json["reason"]
    assert (await client.ask("/api/jobs", at=6, repository="octo/hello")).status == 400
    assert len(await jobs_now(client, at=6, repository="octo/hello", pull_request=1)) == 1
    assert len(await jobs_now(client, at=3)) == 2


async def test_one_traveller_at_a_time_and_the_present_is_told_meanwhile(
    client: Client, log: Log, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewbot.api.questions.TURN_SECONDS", 0.05)
    await ask(log, 1)
    await project(pool)
    api = client.service.server.api
    assert api is not None
    async with api.questions._travelling:
        busy = await client.ask("/api/jobs", at=1)
        assert (busy.status, busy.headers["retry-after"]) == (503, "5")
        assert (await client.ask("/api/jobs")).status == 200
    assert (await client.ask("/api/jobs", at=1)).status == 200


async def test_a_running_review_is_shown_as_it_ran(client: Client, log: Log, pool: Pool) -> None:
    job = await ask(log, 1)
    await project(pool)
    (running,) = await claim(pool, worker())
    await end(log, running, e.ReviewCompleted(head_sha=HEAD, findings=2, conclusion="neutral", review_id=8))
    await project(pool)
    states = [(await client.ask(f"/api/jobs/{job}", at=at)).json["job"]["state"] for at in (2, 3, 4)]
    assert states == ["queued", "running", "completed"]
