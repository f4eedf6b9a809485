"""Events by what they are about: each filter alone and together against a plain search, pages that lose nothing."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from projections.projector import step
from projections.trail.project import Trail
from reviewbot.audit import select as pages
from reviewbot.audit.filters import BadFilter, Filter, read_moment
from reviewbot.audit.select import Span, select, stream
from reviewbot.review import check_stream, delivery_stream
from schema import events as e
from schema.codec import Recorded
from schema.log import Log
from tests.helpers import START, append, job_of, meta, project, requested

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Busy:
    """A log of many repositories, and what each event in it is about, kept beside it by other means."""

    def __init__(self, pool: Pool, log: Log, seed: int = 1) -> None:
        self.pool, self.log, self.chance = pool, log, random.Random(seed)
        self.about: dict[UUID, dict[str, object]] = {}  # stream -> what it is about

    async def fill(self, stories: int) -> None:
        for number in range(stories):
            await self.chance.choice([self.review, self.review, self.ignored, self.closed])(number)

    async def review(self, number: int) -> None:
        repository = self.chance.randint(1, 5)
        pull = self.chance.randint(1, 4)
        head = f"{self.chance.randint(0, 30):02x}" * 20
        fact = requested(pull_request=pull, head_sha=head, repository_id=repository, installation=repository % 2 + 1)
        fact = e.ReviewRequested(**{**_fields(fact), "repository": f"Octo/R{repository}"})
        job = job_of(fact, f"n{number}")
        delivery = uuid4()
        told = meta(installation=fact.installation, actor=f"user:{repository}", delivery=delivery)
        self.about[job] = {"repository": repository, "pull": pull, "head": head, "job": job}
        self.about[check_stream(job)] = self.about[job]
        await append(self.log, job, fact, about=told)
        worker = meta(installation=fact.installation, actor="worker:one", delivery=delivery)
        check = e.CheckRunCreated(job=job, check_run_id=number, head_sha=head, request_version=1)
        await append(self.log, check_stream(job), check, about=worker)
        started = e.ReviewStarted(attempt=1, claim_no=1, worker=uuid4(), deadline=START)
        ending = self.chance.choice(
            [
                e.ReviewCompleted(head_sha=head, findings=1, conclusion="neutral"),
                e.ReviewFailed(code="github_refused", reason="No."),
            ]
        )
        await append(self.log, job, started, ending, after=1, about=worker)

    async def ignored(self, number: int) -> None:
        delivery = uuid4()
        fact = e.DeliveryIgnored(event="label", reason="nothing", repository_id=3, repository="octo/r3", pull_request=2)
        self.about[delivery_stream(delivery)] = {"repository": 3, "pull": 2}
        await append(self.log, delivery_stream(delivery), fact, about=meta(installation=2, delivery=delivery))

    async def closed(self, number: int) -> None:
        delivery = uuid4()
        fact = e.PullRequestClosed(
            installation=2, repository_id=1, repository="octo/r1", pull_request=1, merged=True, at=START
        )
        self.about[delivery_stream(delivery)] = {"repository": 1, "pull": 1}
        await append(self.log, delivery_stream(delivery), fact, about=meta(installation=2, delivery=delivery))

    def fits(self, event: Recorded, asked: Filter) -> bool:
        """The plain way to decide it."""
        about = self.about.get(event.stream, {})
        head = str(about.get("head", ""))
        return (
            (asked.repository is None or about.get("repository") == int(asked.repository.lower().partition("/r")[2]))
            and asked.pull_request in (None, about.get("pull"))
            and (asked.head is None or head.startswith(asked.head))
            and asked.job in (None, about.get("job"))
            and asked.delivery in (None, event.correlation)
            and asked.installation in (None, event.installation)
            and (not asked.topics or event.topic in asked.topics)
            and asked.actor in (None, event.actor)
            and (not isinstance(asked.since, int) or event.position >= asked.since)
            and (not isinstance(asked.until, int) or event.position <= asked.until)
            and (not isinstance(asked.since, datetime) or event.recorded_at >= asked.since)
            and (not isinstance(asked.until, datetime) or event.recorded_at <= asked.until)
        )


def _fields(fact: e.Fact) -> dict[str, object]:
    return {name: getattr(fact, name) for name in fact.__struct_fields__}


@pytest.fixture
async def busy(pool: Pool, log: Log) -> Busy:
    made = Busy(pool, log)
    await made.fill(220)
    await project(pool)
    return made


def filters(events: list[Recorded], chance: random.Random) -> list[Filter]:
    """Each part alone, and many together, with values that occur."""
    made = [Filter(), Filter(topics=("ReviewFailed",)), Filter(topics=("ReviewFailed", "ReviewCompleted"))]
    for _ in range(60):
        event = chance.choice(events)
        low, high = sorted((chance.choice(events), event), key=lambda each: each.position)
        parts: dict[str, object] = {
            "repository": f"octo/R{chance.randint(1, 5)}",
            "head": f"{chance.randint(0, 30):02x}" * 2,
            "job": event.stream,
            "delivery": event.correlation,
            "installation": event.installation,
            "topics": (event.topic,),
            "actor": event.actor,
            "since": chance.choice([low.position, low.recorded_at]),
            "until": chance.choice([high.position, high.recorded_at]),
        }
        names = chance.sample(list(parts), chance.choice([1, 1, 2, 2, 3]))
        chosen = {name: parts[name] for name in names}
        if "repository" in chosen and chance.random() < 0.5:
            chosen["pull_request"] = chance.randint(1, 4)
        made.append(Filter(**chosen).checked())  # type: ignore[arg-type]  # the parts are of their types
    return made


async def collect(pool: Pool, asked: Filter, limit: int, newest_first: bool) -> list[Recorded]:
    found, after = [], None
    while True:
        page = await select(pool, asked, after=after, limit=limit, newest_first=newest_first)
        found += page.events
        after = page.next
        if after is None:
            return found
        assert len(page.events) == limit


async def test_every_filter_finds_what_a_plain_search_finds_in_either_direction_and_any_pages(busy: Busy) -> None:
    events = await busy.log.read_after(0, 10_000)
    assert len(events) > 512, "several blocks"
    found_something = 0
    for asked in filters(events, busy.chance):
        expected = [event for event in events if busy.fits(event, asked)]
        limit = busy.chance.choice([1, 7, 100, 1_000]) if len(expected) < 50 else 100
        assert await collect(busy.pool, asked, limit, False) == expected, asked
        assert await collect(busy.pool, asked, limit, True) == expected[::-1], asked
        found_something += bool(expected)
    assert found_something > 30


async def test_a_stream_gives_all_events_in_order(busy: Busy) -> None:
    events = await busy.log.read_after(0, 10_000)
    assert [event async for event in stream(busy.pool, Filter())] == events
    assert [event async for event in stream(busy.pool, Filter(), newest_first=True)] == events[::-1]


async def test_pages_lose_and_repeat_nothing_while_events_are_appended_and_folded(busy: Busy) -> None:
    async def follow(asked: Filter) -> list[Recorded]:
        found: list[Recorded] = []
        after = None
        while not (writing.done() and after is None):
            page = await select(busy.pool, asked, after=found[-1].position if found else None, limit=13)
            found += page.events
            after = page.next
        return found

    async def write() -> None:
        await busy.fill(60)

    async def fold() -> None:
        while not writing.done():
            async with busy.pool.acquire() as connection:
                await step(connection, Trail(), page=5)
        await project(busy.pool)

    writing = asyncio.ensure_future(write())
    asked = Filter(repository="octo/r1")
    found, _ = await asyncio.gather(follow(asked), fold())
    found += (await select(busy.pool, asked, after=found[-1].position, limit=1_000)).events
    events = await busy.log.read_after(0, 10_000)
    assert found == [event for event in events if busy.fits(event, asked)]


async def paged_while_one_is_not_folded_yet(pool: Pool, log: Log) -> list[int]:
    """What somebody gets of three events who reads on while the second is in the log but not in the trail."""
    first, second = requested(pull_request=1), requested(pull_request=2)
    asked = Filter(repository="octo/hello")
    await append(log, job_of(first), first)
    await project(pool)
    found = (await select(pool, asked)).events
    await append(log, job_of(second), second)
    started = e.ReviewStarted(attempt=1, claim_no=1, worker=uuid4(), deadline=START)
    await append(log, job_of(first), started, after=1)
    for _ in range(2):
        found += (await select(pool, asked, after=found[-1].position)).events
        await project(pool)
    return [event.position for event in found]


async def test_a_page_ends_where_the_trail_ends(pool: Pool, log: Log) -> None:
    assert await paged_while_one_is_not_folded_yet(pool, log) == [1, 2, 3]


async def test_a_twin_that_looks_as_far_as_the_log_goes_would_lose_an_event(
    pool: Pool, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_far(connection: Any, asked: Filter) -> Span:
        head = await connection.fetchval("select position from log_head")
        return Span(1, head, head)

    monkeypatch.setattr(pages, "span_of", too_far)
    assert await paged_while_one_is_not_folded_yet(pool, log) == [1, 3]


async def test_a_repository_is_found_by_all_names_it_ever_had(pool: Pool, log: Log) -> None:
    fact = requested()
    await append(log, job_of(fact), fact)
    renamed = e.RepositoryRenamed(installation=42, repository_id=7, repository="Acme/New", before="octo/hello")
    await append(log, uuid4(), renamed)
    await project(pool)
    for name in ("octo/hello", "OCTO/Hello", "acme/new"):
        topics = [event.topic for event in (await select(pool, Filter(repository=name))).events]
        assert topics == ["ReviewRequested", "RepositoryRenamed"]
    assert (await select(pool, Filter(repository="acme/other"))).events == []


async def test_the_trail_is_the_same_in_whatever_pages_it_is_folded(busy: Busy) -> None:
    async def content() -> list[list[str]]:
        return [sorted(str(tuple(row)) for row in await busy.pool.fetch(f"select * from {t}")) for t in Trail.tables]

    before = await content()
    async with busy.pool.acquire() as connection:
        for table in Trail.tables:
            await connection.execute(f"delete from {table}")
        await connection.execute("update checkpoint set position = 0 where projection = 'trail'")
        while await step(connection, Trail(), page=busy.chance.choice([1, 3, 50])):
            pass
    assert await content() == before


@pytest.mark.parametrize(
    ("asked", "parameter", "words"),
    [
        (Filter(repository="octo"), "repository", "OWNER/NAME"),
        (Filter(pull_request=1), "pull_request", "name the repository"),
        (Filter(repository="o/r", pull_request=0), "pull_request", "no pull request 0"),
        (Filter(installation=-1), "installation", "no installation -1"),
        (Filter(head="ABCDEF"), "head", "lower-case hex"),
        (Filter(head="abc"), "head", "4 to 64"),
        (Filter(topics=("ReviewFail",)), "topics", "did you mean ReviewFailed?"),
        (Filter(topics=("xyzzy",)), "topics", "there are ReviewRequested, "),
    ],
)
def test_a_filter_that_can_match_nothing_is_refused_in_words(asked: Filter, parameter: str, words: str) -> None:
    with pytest.raises(BadFilter, match=words) as refused:
        asked.checked()
    assert refused.value.parameter == parameter


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("4711", 4711),
        ("90s", START - timedelta(seconds=90)),
        ("15min", START - timedelta(minutes=15)),
        ("2h", START - timedelta(hours=2)),
        ("7d", START - timedelta(days=7)),
        ("1w", START - timedelta(days=7)),
        ("2025-12-31", START - timedelta(days=1)),
        ("2025-12-31T23:00Z", START - timedelta(hours=1)),
        ("2026-01-01T01:00+01:00", START),
    ],
)
def test_a_moment_is_a_position_or_a_time(text: str, moment: object) -> None:
    assert read_moment(text, START, "since") == moment


@pytest.mark.parametrize("text", ["", "yesterday", "-1", "2026-13-01", "999999999w", "1e5", "12345678901234567890"])
def test_a_moment_that_is_neither_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadFilter, match="neither a time"):
        read_moment(text, START, "until")
