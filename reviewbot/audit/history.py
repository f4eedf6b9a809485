"""The story of a job or a pull request, told from the log: what happened in order, what it cost, where to look."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Self
from uuid import UUID

import asyncpg
import msgspec
from yarl import URL

from projections.jobs import read
from reviewbot.audit.filters import Filter, Moment
from reviewbot.audit.select import repositories, stream
from reviewbot.audit.sentences import counted
from reviewbot.audit.shapes import readable
from reviewbot.audit.spending import Spent, calls_of
from reviewbot.prices import Rate
from reviewbot.review import check_stream
from schema import events as e
from schema.codec import Recorded
from schema.erasures import erasure_stream
from schema.log import Log


async def jobs_of(pool: asyncpg.Pool[asyncpg.Record], repository: str, pull_request: int) -> list[UUID]:
    """The jobs of a pull request, in the order of their requests, whatever its repository is called now."""
    found = await read.of_pull_request(pool, await repositories(pool, repository), pull_request)
    return [job.job for job in found]


async def history(log: Log, job: UUID) -> list[Recorded]:
    """All events of a job and of its Check Runs, in order, and the erasures of its texts."""
    events = await log.read_stream(job) + await log.read_stream(check_stream(job))
    if events and events[0].installation is not None:
        erased = await log.read_stream(erasure_stream(events[0].installation))
        events += [event for event in erased if event.position > events[0].position]
    return sorted(events, key=lambda event: event.position)


def story_of_job(
    pool: asyncpg.Pool[asyncpg.Record], job: UUID, until: Moment | None = None
) -> AsyncGenerator[Recorded]:
    """All that is about a job: its own events, its Check Runs, and requests that it answered already; up to `until`."""
    return stream(pool, Filter(job=job, until=until))


def story_of_pull(
    pool: asyncpg.Pool[asyncpg.Record], repository: str, pull_request: int, until: Moment | None = None
) -> AsyncGenerator[Recorded]:
    """All that is about a pull request, up to `until`."""
    return stream(pool, Filter(repository=repository, pull_request=pull_request, until=until))


class Links(msgspec.Struct, frozen=True):
    """Where things are found on GitHub."""

    web: str

    @classmethod
    def of(cls, api_url: str) -> Self:
        """GitHub's web address follows from that of its API: api.github.com, or HOST/api/v3 of an Enterprise Server."""
        url = URL(api_url)
        host = url.host or ""
        return cls(str(url.with_host(host.removeprefix("api.")).with_path("")).rstrip("/"))

    def pull_request(self, repository: str, number: int) -> str:
        return f"{self.web}/{repository}/pull/{number}"

    def check_run(self, repository: str, check_run: int) -> str:
        return f"{self.web}/{repository}/runs/{check_run}"


def summaries(events: Sequence[Recorded], links: Links, own: Sequence[Rate] = ()) -> Iterator[str]:
    """What each job in the story came to: time, calls, tokens, money, links; `own` are the operator's prices."""
    jobs: dict[UUID, list[Recorded]] = {}
    for event in filter(readable, events):
        fact = event.fact
        if isinstance(fact, e.CheckRunCreated | e.CheckRunConcluded):
            jobs.setdefault(fact.job, []).append(event)
        elif not isinstance(fact, e.DeliveryIgnored):
            jobs.setdefault(event.stream, []).append(event)
    for job, told in jobs.items():
        request = next((event.fact for event in told if isinstance(event.fact, e.ReviewRequested)), None)
        if request is not None:
            yield from _summary(job, request, told, links, own)


def _summary(
    job: UUID, request: e.ReviewRequested, told: Sequence[Recorded], links: Links, own: Sequence[Rate]
) -> Iterator[str]:
    spent = Spent.of(calls_of(told).jobs.get(job, ()), own)
    seconds = (told[-1].recorded_at - told[0].recorded_at).total_seconds()
    yield f"job {job}"
    yield f"  time         {seconds:,.1f} s from the request to the last event"
    tokens = f"{spent.input_tokens:,} tokens in, {spent.output_tokens:,} out"
    yield f"  model        {counted(spent.calls, 'call')}, {tokens}"
    yield f"  cost         {'; '.join(spent.words())}"
    yield f"  pull request {links.pull_request(request.repository, request.pull_request)}"
    for fact in (event.fact for event in told):
        if isinstance(fact, e.ReviewPosted):
            yield f"  review       {fact.url}"
        if isinstance(fact, e.CheckRunCreated):
            yield f"  Check Run    {links.check_run(request.repository, fact.check_run_id)}"
