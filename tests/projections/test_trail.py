"""The trail: what a stream is about, whichever of its events tells it, and a poison event that stops it alone."""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg
import pytest
from eventsourcing.persistence import StoredEvent

from projections.base import FoldError
from projections.projector import lag, step
from projections.trail.fold import BLOCK, TELLING
from projections.trail.project import Trail
from reviewbot.review import check_stream
from schema import events as e
from schema.log import Log
from tests.helpers import HEAD, START, append, job_of, meta, project, requested

Row = tuple[int, int | None, str | None, UUID | None]
OTHER = "b" * 40


async def subject(pool: asyncpg.Pool[asyncpg.Record], stream: UUID) -> Row | None:
    await project(pool)
    find = "select repository_id, pull_request, head_sha, job from trail_subjects where stream = $1"
    row = await pool.fetchrow(find, stream)
    return None if row is None else tuple(row)


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (
            e.PullRequestClosed(
                installation=1, repository_id=7, repository="o/r", pull_request=3, merged=True, at=START
            ),
            (7, 3, None, None),
        ),
        (
            e.PullRequestDrafted(
                installation=1, repository_id=7, repository="o/r", pull_request=3, head_sha=HEAD, at=START
            ),
            (7, 3, HEAD, None),
        ),
        (
            e.HeadLeftOut(
                installation=1, repository_id=7, repository="o/r", pull_request=3, head_sha=HEAD, reason="draft"
            ),
            (7, 3, HEAD, None),
        ),
        (e.RepositoryRenamed(installation=1, repository_id=7, repository="o/r"), (7, None, None, None)),
        (
            e.DeliveryIgnored(event="label", reason="nothing", repository_id=7, pull_request=3, head_sha=HEAD),
            (7, 3, HEAD, None),
        ),
        (e.DeliveryIgnored(event="ping", reason="nothing"), None),
        (e.InstallationDeleted(installation=1, at=START), None),
        (e.DeliveryParked(event="star", reason="nonsense"), None),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_told_fact_says_what_its_stream_is_about(
    pool: asyncpg.Pool[asyncpg.Record], log: Log, fact: e.Fact, expected: Row | None
) -> None:
    stream = uuid4()
    await append(log, stream, fact)
    assert await subject(pool, stream) == expected


async def test_a_job_its_check_runs_and_repeated_requests_are_about_the_same(
    pool: asyncpg.Pool[asyncpg.Record], log: Log
) -> None:
    fact = requested()
    job, repeated = job_of(fact), uuid4()
    await append(log, job, fact)
    await append(
        log, check_stream(job), e.CheckRunConcluded(job=job, check_run_id=None, conclusion=None, request_version=1)
    )
    again = e.DeliveryIgnored(event="pull_request", reason="queued already", repository_id=7, job=job)
    await append(log, repeated, again)
    for stream in (job, check_stream(job), repeated):
        assert await subject(pool, stream) == (7, 1, HEAD, job)


async def test_a_comment_is_about_a_head_once_it_is_known(pool: asyncpg.Pool[asyncpg.Record], log: Log) -> None:
    fact = requested(head_sha=None, trigger="comment")
    job = job_of(fact, "comment:1")
    await append(log, job, fact)
    assert await subject(pool, job) == (7, 1, None, job)
    await append(log, job, e.HeadResolved(head_sha=OTHER, base_sha=HEAD), after=1)
    assert await subject(pool, job) == (7, 1, OTHER, job)
    await append(log, job, requested(head_sha=None, trigger="comment"), after=2)
    assert await subject(pool, job) == (7, 1, OTHER, job)


async def test_a_value_is_marked_once_in_each_block_that_it_occurs_in(
    pool: asyncpg.Pool[asyncpg.Record], log: Log
) -> None:
    about = meta(actor="user:1")
    for _ in range(BLOCK + 5):
        await append(log, uuid4(), e.DeliveryParked(event="star", reason="nonsense"), about=about)
    await project(pool)
    rows = await pool.fetch("select facet, value, block from trail order by 1, 2, 3")
    expected = [
        (facet, value, block)
        for facet, value in (
            ("actor", "user:1"),
            ("installation", "42"),
            ("story", str(about.correlation)),
            ("topic", "DeliveryParked"),
        )
        for block in (0, 1)
    ]
    assert [tuple(row) for row in rows] == expected


async def test_a_telling_fact_that_cannot_be_read_stops_the_trail_and_nothing_else(
    pool: asyncpg.Pool[asyncpg.Record], log: Log
) -> None:
    await append(log, uuid4(), e.DeliveryParked(event="star", reason="nonsense"))
    await log.append([StoredEvent(uuid4(), 1, "RepositoryRenamed", b'{"installation":"x"}')], meta())
    async with pool.acquire() as connection:
        with pytest.raises(FoldError, match="event 2"):
            await step(connection, Trail())
    (state,) = [each for each in await lag(pool) if each.projection == "trail"]
    assert (state.position, state.fault is None) == (1, False)


def test_every_fact_that_names_a_repository_or_a_head_is_read() -> None:
    """Those of which the stream is known already say nothing new."""
    known = {"ReviewPrepared", "ReviewCompleted", "SettingsRead"}
    naming = {kind.TOPIC for kind in e.FACTS if {"repository_id", "head_sha"} & set(kind.__struct_fields__)}
    assert naming - known == TELLING - {"CheckRunConcluded"}
