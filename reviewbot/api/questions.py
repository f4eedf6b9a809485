"""What the HTTP API asks the database: pages of events, and jobs as they are or as they were."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from projections.base import Connection
from projections.jobs import read
from projections.jobs.project import Jobs
from projections.jobs.rows import Job
from projections.past import Moment, NoSuchMoment, TooFar, as_it_was, find
from reviewbot.api import parameters, shapes
from reviewbot.api.parameters import EventsAsked, JobAsked, JobEventsAsked, JobsAsked
from reviewbot.audit.filters import BadFilter, Filter, read_moment
from reviewbot.audit.select import repositories, select
from reviewbot.audit.shapes import event
from reviewbot.errors import FinalError, RetryableError
from schema.sql import load

HERE = "reviewbot.api"
MOST_FOLDED = 250_000  # events that one answer about the past may cost: some seconds
TURN_SECONDS = 1.0  # how long somebody else may take who looks into the past already
TRAIL_SECONDS = 5.0  # how long the trail may take to reach a moment near the log's end

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Unknown(FinalError):
    """There is no such thing; the message says which."""


class Busy(RetryableError):
    """The same question may be asked again in a moment."""


class About(msgspec.Struct, frozen=True):
    """The part of the log that decides about an answer: what concerns repositories, or one pull request of theirs."""

    repositories: list[int]
    pull_request: int | None = None


class Table:
    """The jobs that somebody asked for, as they are or as they were."""

    def __init__(
        self, pool: Pool, wanted: read.Wanted, past: Connection | None = None, moment: Moment | None = None
    ) -> None:
        self._pool, self._wanted, self._past = pool, wanted, past
        self.moment = moment  # None: now

    async def page(self, before: int | None, limit: int) -> list[Job]:
        """Jobs in the order of their places, the newest first, from below the place `before`."""
        if self._past is not None:
            return await read.page(self._past, self._wanted, before=before, limit=limit)
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            return await read.page(connection, self._wanted, before=before, limit=limit)


class Questions:
    """Everything that may be asked, over one pool of connections.

    `most_folded` bounds the events that an answer about the past may cost; `progress` gets (position reached, position
    to reach) while they are folded.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        most_folded: int | None = MOST_FOLDED,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._pool, self._most_folded, self._progress = pool, most_folded, progress
        self._travelling = asyncio.Lock()

    async def events(self, asked: EventsAsked) -> shapes.Events:
        """A page of the log. Raises BadFilter."""
        return await self._events(_filter(asked), asked.order == "desc", asked.limit, asked.cursor)

    async def job_events(self, job: UUID, asked: JobEventsAsked) -> shapes.Events:
        """A page of a job's story, its Check Runs included. Raises Unknown, BadFilter."""
        if await read.get(self._pool, job) is None:
            raise Unknown(f"There is no job {job}.")
        return await self._events(Filter(job=job), asked.order == "desc", asked.limit, asked.cursor)

    async def job(self, job: UUID, asked: JobAsked) -> shapes.OneJob:
        """A job. Raises Unknown, BadFilter, Busy."""
        moment = None if asked.at is None else await self._find(asked.at)
        if moment is None:
            found = await read.get(self._pool, job)
        else:
            await self._trail_reaches(moment)
            row = await self._pool.fetchrow(load(HERE, "pull_request_of"), job)
            about = About([row["repository_id"]], row["pull_request"]) if row else About([])
            async with self._past(moment, about) as connection:
                found = await read.get(connection, job)
        if found is None:
            raise Unknown(f"There {'is' if moment is None else f'was, after event {moment.position},'} no job {job}.")
        return shapes.OneJob(shapes.job(found), shapes.at(moment))

    async def jobs(self, asked: JobsAsked) -> shapes.Jobs:
        """A page of jobs. Raises BadFilter, Busy."""
        before = parameters.position(asked.cursor)
        async with self.table(asked) as table:
            rows = await table.page(before, asked.limit + 1)
        following = str(rows[asked.limit - 1].first_position) if len(rows) > asked.limit else None
        return shapes.Jobs([shapes.job(row) for row in rows[: asked.limit]], following, shapes.at(table.moment))

    @contextlib.asynccontextmanager
    async def table(self, asked: JobsAsked) -> AsyncIterator[Table]:
        """The jobs asked for, page by page. Raises BadFilter, Busy."""
        check(asked)
        moment = None if asked.at is None else await self._find(asked.at)
        if moment is not None and (asked.repository is not None or asked.head is not None):
            await self._trail_reaches(moment)
        wanted, about = await self._wanted(asked)
        if moment is None:
            yield Table(self._pool, wanted)
        else:
            async with self._past(moment, about) as past:
                yield Table(self._pool, wanted, past, moment)

    async def _events(self, wanted: Filter, newest_first: bool, limit: int, cursor: str | None) -> shapes.Events:
        after = parameters.position(cursor)
        page = await select(self._pool, wanted, after=after, limit=limit, newest_first=newest_first)
        following = None if page.next is None else str(page.next)
        return shapes.Events([event(row) for row in page.events], following, page.position)

    async def _wanted(self, asked: JobsAsked) -> tuple[read.Wanted, About | None]:
        """What the jobs have in common, and which part of the log decides about them; None: all of it."""
        ids = jobs = about = None
        if asked.repository is not None:
            ids = await repositories(self._pool, asked.repository)
            about = About(ids, asked.pull_request)
        if asked.head is not None:
            found = await self._pool.fetch(load(HERE, "jobs_at_head"), asked.head)
            jobs = [row["stream"] for row in found]
            about = about or About(list({row["repository_id"] for row in found}))
        wanted = read.Wanted(
            repositories=ids,
            pull_request=asked.pull_request,
            installation=asked.installation,
            state=asked.state,
            head=asked.head,
            jobs=jobs,
        )
        return wanted, about

    async def _find(self, at: str) -> Moment:
        async with self._pool.acquire() as connection:
            try:
                return await find(connection, _moment("at", at))
            except NoSuchMoment as error:
                raise BadFilter(str(error), parameter="at") from error

    async def _trail_reaches(self, moment: Moment) -> None:
        """Wait until the trail leads to a moment. Raises Busy when it does not get there soon."""
        for _ in range(int(TRAIL_SECONDS * 10)):
            position = await self._pool.fetchval("select position from checkpoint where projection = 'trail'")
            if position is not None and position >= moment.position:
                return
            await asyncio.sleep(0.1)
        raise Busy("The trail of the log is behind; `reviewbot_projection_lag_events` says how far.")

    @contextlib.asynccontextmanager
    async def _past(self, moment: Moment, about: About | None) -> AsyncIterator[Connection]:
        """The job table as it was. One at a time: each may fold many events, and others wait for the processor."""
        if about is None and self._most_folded is not None and moment.position > self._most_folded:
            raise self._too_far(moment)
        async with self._turn(), self._pool.acquire() as connection:
            streams = None if about is None else await self._streams(connection, about, moment)
            try:
                async with as_it_was(
                    connection, Jobs(), moment, streams=streams, most=self._most_folded, progress=self._progress
                ):
                    yield connection
            except TooFar as error:
                raise self._too_far(moment) from error

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._travelling.acquire()
        except TimeoutError as error:
            raise Busy("Somebody else looks into the past just now.") from error
        try:
            yield
        finally:
            self._travelling.release()

    async def _streams(self, connection: Connection, about: About, moment: Moment) -> list[UUID]:
        """The streams that decide. Read beforehand, so that no lock on the trail is held while they are folded."""
        most = None if self._most_folded is None else self._most_folded + 1
        rows = await connection.fetch(load(HERE, "streams_about"), about.repositories, about.pull_request, most)
        if len(rows) == most:  # each has an event at least
            raise self._too_far(moment)
        return [row["stream"] for row in rows]

    def _too_far(self, moment: Moment) -> BadFilter:
        return BadFilter(
            f"More than {self._most_folded:,} events up to position {moment.position:,} decide about it: name a "
            "repository and a pull request, or ask for one job, or use `reviewbot audit jobs --at` instead.",
            parameter="at",
        )


def check(asked: JobsAsked) -> None:
    """Raises BadFilter for what is wrong whatever the database holds."""
    _checked(Filter(repository=asked.repository, pull_request=asked.pull_request, head=asked.head))
    if asked.at is not None:
        _moment("at", asked.at)


def _filter(asked: EventsAsked) -> Filter:
    return _checked(
        Filter(
            repository=asked.repository,
            pull_request=asked.pull_request,
            head=asked.head,
            job=asked.job,
            delivery=asked.delivery,
            installation=asked.installation,
            topics=tuple(asked.topic.split(",")) if asked.topic else (),
            actor=asked.actor,
            since=_moment("since", asked.since) if asked.since else None,
            until=_moment("until", asked.until) if asked.until else None,
        )
    )


def _checked(asked: Filter) -> Filter:
    try:
        return asked.checked()
    except BadFilter as error:
        raise BadFilter(str(error), parameter="topic" if error.parameter == "topics" else error.parameter) from error


def _moment(parameter: str, text: str) -> int | datetime:
    return read_moment(text, datetime.now(UTC), parameter)
