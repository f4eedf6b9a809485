"""The way into the HTTP API: the token, the parameters, the question, and its answer or what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
import structlog
from aiohttp import hdrs, web
from eventsourcing.persistence import PersistenceError

from projections.base import FoldError
from projections.past import NoRoom
from reviewbot.api import parameters, shapes, tokens
from reviewbot.api.openapi import describe
from reviewbot.api.questions import Busy, Questions, Unknown
from reviewbot.api.routes import DESCRIPTION_PATH, ROUTES, Route
from reviewbot.api.tokens import TokenRefused
from reviewbot.audit.filters import BadFilter
from schema.log import as_persistence_errors

logger = structlog.get_logger(__name__)

AT_A_TIME = 4  # questions: the pool is there for deliveries and workers first
WAIT_SECONDS = 5.0  # for a turn
ANSWER_SECONDS = 25.0
RETRY_SECONDS = 5
REALM = 'Bearer realm="reviewbot"'

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Answer: TypeAlias = "shapes.Events | shapes.Jobs | shapes.OneJob"


class Api:
    """Answers GET below /api."""

    def __init__(self, pool: Pool, *, version: str) -> None:
        self._pool = pool
        self.questions = Questions(pool)
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._description = msgspec.json.encode(describe(version))

    def routes(self) -> list[web.RouteDef]:
        """What aiohttp is to serve."""
        found = [web.get(route.path, self._handler(route), name=route.name) for route in ROUTES]
        return [*found, web.get(DESCRIPTION_PATH, self._describe, name="api_description")]

    async def _describe(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._description, content_type="application/json")

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                with as_persistence_errors():
                    return await self._answer(route, request)
            except TokenRefused as error:
                challenge = REALM if hdrs.AUTHORIZATION not in request.headers else f'{REALM}, error="invalid_token"'
                return _problem(401, str(error), headers={hdrs.WWW_AUTHENTICATE: challenge})
            except BadFilter as error:
                return _problem(400, str(error), parameter=error.parameter)
            except Unknown as error:
                return _problem(404, str(error))
            except Busy as error:
                return _unavailable(str(error))
            except (FoldError, NoRoom) as error:
                return _unavailable(f"The past cannot be shown: {error}")
            except PersistenceError as error:
                logger.warning("a question could not be answered", route=route.name, error=str(error))
                return _unavailable("The database does not answer; ask again later.")

        return handle

    async def _answer(self, route: Route, request: web.Request) -> web.Response:
        token = _bearer(request)
        try:
            async with _turn(self._turns), asyncio.timeout(ANSWER_SECONDS):
                await tokens.check(self._pool, token)
                asked = parameters.read(request.query.items(), route.asked)
                job = _job(request) if route.about_one else None
                answer = await self._ask(asked, job)
        except TimeoutError as error:
            raise Busy(f"There was no answer within {ANSWER_SECONDS:g} s: ask for less, or again later.") from error
        return web.Response(
            body=msgspec.json.encode(answer), content_type="application/json", headers=_link(request, answer)
        )

    async def _ask(self, asked: msgspec.Struct, job: UUID | None) -> Answer:
        match asked:
            case parameters.EventsAsked():
                return await self.questions.events(asked)
            case parameters.JobsAsked():
                return await self.questions.jobs(asked)
            case parameters.JobAsked() if job is not None:
                return await self.questions.job(job, asked)
            case parameters.JobEventsAsked() if job is not None:
                return await self.questions.job_events(job, asked)
        raise AssertionError(asked)


@contextlib.asynccontextmanager
async def _turn(turns: asyncio.Semaphore) -> AsyncIterator[None]:
    """A place among those that are answered at the same time. Raises Busy when none becomes free soon."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await turns.acquire()
    except TimeoutError as error:
        raise Busy("Too many questions are being answered just now.") from error
    try:
        yield
    finally:
        turns.release()


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefused("Give a token as `Authorization: Bearer TOKEN`; `reviewbot tokens create NAME` makes one.")
    return token.strip()


def _job(request: web.Request) -> UUID:
    text = request.match_info["id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise BadFilter(f"{text[:100]!r} is no id of a job.", parameter="id") from error


def _link(request: web.Request, answer: Answer) -> Mapping[str, str]:
    """The address of the next page. It names the moment by its position: a time ago would mean another one by then."""
    following = None if isinstance(answer, shapes.OneJob) else answer.next
    if following is None:
        return {}
    changed: dict[str, Any] = {"cursor": following}
    if isinstance(answer, shapes.Jobs) and answer.at is not None:
        changed["at"] = str(answer.at.position)
    return {hdrs.LINK: f'<{request.rel_url.update_query(changed)}>; rel="next"'}


def _problem(
    status: int, reason: str, *, parameter: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    problem = shapes.Problem(reason, parameter)
    return web.Response(
        status=status, body=msgspec.json.encode(problem), content_type="application/json", headers=headers
    )


def _unavailable(reason: str) -> web.Response:
    return _problem(503, reason, headers={hdrs.RETRY_AFTER: str(RETRY_SECONDS)})
