"""From an HTTP request to its answer: scripted trouble, admission, the endpoint, and a record of it all."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from aiohttp import web

from reviewbot.demo.admission import API_VERSIONS, Admission, Incoming
from reviewbot.demo.answers import Answer, ApiError
from reviewbot.demo.api import Call, Endpoint, Platform, identifier
from reviewbot.demo.endpoints import catalog
from reviewbot.demo.git import GitError
from reviewbot.demo.state import Hidden, IssueComment, Repository, Review, ReviewComment
from reviewbot.demo.trouble import Trouble, Troubles

MAX_RECORDED = 5000
MAX_RECORDED_BODY_BYTES = 1024 * 1024
MAX_RECORDED_BYTES = 64 * 1024 * 1024
_HTML_502 = b"<html><body><h1>502 Bad Gateway</h1>This page is taking too long to load.</body></html>"
_SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."

Push = Callable[[Repository, int, str], Awaitable[object]]


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its answer. `template` is None for a path that GitHub does not have.

    `delivered` is False when the connection was cut instead of sending the answer. Bodies are cut at 1 MB.
    """

    method: str
    path: str  # without the API prefix and the query
    template: str | None
    query: Mapping[str, str]
    request_headers: Mapping[str, str]  # of Authorization only the scheme
    request_body: bytes
    status: int
    response_headers: Mapping[str, str]
    response_body: bytes
    content_type: str
    delivered: bool
    troubles: tuple[str, ...]  # the kinds that struck

    @property
    def size(self) -> int:
        """Bytes of both bodies."""
        return len(self.request_body) + len(self.response_body)


class Dropped(Exception):
    """The connection is to be cut; `answer` is what would have been sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the connection is cut on purpose")
        self.answer = answer


class Pipeline:
    """Serves the API. `push` moves a pull request's head for force-push.

    `exchanges` keeps the newest 5,000 requests and answers, fewer when their bodies come to more than 64 MB.
    """

    def __init__(self, platform: Platform, troubles: Troubles, push: Push, prefix: str) -> None:
        self._platform = platform
        self._troubles = troubles
        self._push = push
        self._prefix = prefix
        self._admission = Admission(platform, prefix)
        self.exchanges: deque[Exchange] = deque()
        self._recorded_bytes = 0

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Route every endpoint, those of repositories also by the repository's id, and all else below to 404."""
        for endpoint in catalog.ALL:
            handler = self._handler(endpoint)
            # GitHub Enterprise Server has REST below /api/v3 but GraphQL at /api/graphql.
            prefix = self._prefix.removesuffix("/v3") if endpoint.path == "/graphql" else self._prefix
            router.add_route(endpoint.method, prefix + endpoint.pattern, handler)
            if endpoint.path.startswith("/repos/"):
                by_id = endpoint.pattern.replace("/repos/{owner}/{repo}", "/repositories/{repository_id}")
                router.add_route(endpoint.method, self._prefix + by_id, handler)
        for root in ("repos", "repositories", "app", "installation"):
            router.add_route("*", f"{self._prefix}/{root}/{{unknown:.*}}", self._handler(None))

    def _handler(self, endpoint: Endpoint | None) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(endpoint, request)

        return handle

    async def _serve(self, endpoint: Endpoint | None, request: web.Request) -> web.StreamResponse:
        repo = self._named_repository(request)
        path = self._canonical_path(request, repo)
        incoming = Incoming(
            request=request, endpoint=endpoint, content=await request.read(), path=path, repository=repo
        )
        struck = self._troubles.take(request.method, path)
        delivered = True
        try:
            incoming.caller = self._platform.authority.caller(request.headers.get("Authorization"))
            bare = await self._through_trouble(incoming, struck)
        except ApiError as error:
            bare = error.answer()
        except GitError as error:
            bare = ApiError(500, str(error)).answer()
        except Dropped as dropped:
            bare, delivered = dropped.answer, False
        answer = self._finished(bare, incoming)
        self._record(_exchange(incoming, answer, delivered, struck))
        if not delivered and request.transport is not None:
            request.transport.abort()
        body = answer.encoded()
        headers = {**answer.headers, "Content-Type": answer.content_type} if body else answer.headers
        return web.Response(status=answer.status, body=body, headers=headers)

    async def _through_trouble(self, incoming: Incoming, struck: Sequence[Trouble]) -> Answer:
        for trouble in struck:
            early = await self._before(trouble, incoming)
            if early is not None:
                return early
        answer = await self._work(incoming)
        for trouble in struck:
            if trouble.kind == "delayed-visibility":
                self._hide(answer, trouble)
            elif trouble.kind == "bad-gateway":
                answer = Answer({"message": "Server Error"}, 502)
            elif trouble.kind == "lost-reply":
                raise Dropped(answer)
        return answer

    async def _work(self, incoming: Incoming) -> Answer:
        endpoint = self._admission.admit(incoming)
        call = Call(
            platform=self._platform,
            caller=incoming.caller,
            path=incoming.path,
            parameters=incoming.request.match_info,
            query=incoming.request.query,
            headers=incoming.request.headers,
            content=incoming.content,
            repository=incoming.repository,
        )
        return await endpoint.answer(call)

    async def _before(self, trouble: Trouble, incoming: Incoming) -> Answer | None:
        """What strikes before any work is done; an answer here means that none will be."""
        match trouble.kind:
            case "unavailable":
                return Answer({"message": "Service Unavailable"}, trouble.status or 503)
            case "html-502":
                return Answer(_HTML_502, 502)
            case "dropped":
                raise Dropped(Answer(status=204))
            case "hang":
                await asyncio.sleep(trouble.seconds or 60.0)
                raise Dropped(Answer(status=204))
            case "secondary-limit":
                headers = {} if trouble.retry_after is None else {"Retry-After": str(trouble.retry_after)}
                raise ApiError(trouble.status or 403, _SECONDARY, headers=headers)
            case "primary-limit":
                self._platform.limits.use_up(incoming.caller.limit_key, trouble.seconds or 60.0)
            case "expired-token":
                if incoming.caller.token is not None:
                    self._platform.authority.revoke(incoming.caller.token)
                raise ApiError(401, "Bad credentials")
            case "token-lag":
                raise ApiError(401, "Bad credentials")
            case "force-push":
                await self._force_push(trouble, incoming)
            case "bad-gateway" | "lost-reply" | "delayed-visibility":
                pass  # these strike after the work
        return None

    async def _force_push(self, trouble: Trouble, incoming: Incoming) -> None:
        if trouble.hook is not None:
            await trouble.hook()
            return
        number = incoming.request.match_info.get("pull_number") or str(trouble.pull or "")
        if incoming.repository is None or not number.isdecimal() or trouble.head is None:
            raise ApiError(500, "force-push: the request names no pull request; give the rule pull=NUMBER")
        await self._push(incoming.repository, trouble.pull or int(number), trouble.head)

    def _hide(self, answer: Answer, trouble: Trouble) -> None:
        until = self._platform.world.now() + trouble.seconds if trouble.seconds else 0.0
        requests = trouble.requests if trouble.requests is not None else (0 if trouble.seconds else 1)
        for thing in answer.created:
            if isinstance(thing, (Review, ReviewComment, IssueComment)):
                thing.hidden = Hidden(requests, until)

    def _record(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        self._recorded_bytes += exchange.size
        while len(self.exchanges) > MAX_RECORDED or self._recorded_bytes > MAX_RECORDED_BYTES:
            self._recorded_bytes -= self.exchanges.popleft().size

    def _named_repository(self, request: web.Request) -> Repository | None:
        asked, world = request.match_info, self._platform.world
        if "repository_id" in asked:
            number = identifier(asked["repository_id"])
            return None if number is None else world.repositories.get(number)
        if "owner" not in asked:
            return None
        name = f"{asked['owner']}/{asked['repo']}"
        return world.repository(name) or world.renamed(name)

    def _canonical_path(self, request: web.Request, repo: Repository | None) -> str:
        path = request.rel_url.raw_path
        if path in ("/graphql", "/api/graphql"):
            return "/graphql"
        path = path.removeprefix(self._prefix)
        if repo is not None and "repository_id" in request.match_info:
            return path.replace(f"/repositories/{repo.id}", f"/repos/{repo.full_name}", 1)
        return path

    def _finished(self, bare: Answer, incoming: Incoming) -> Answer:
        """Add the headers that every answer has, and turn an unchanged one into 304."""
        request, endpoint, limits = incoming.request, incoming.endpoint, self._platform.limits
        headers = {
            "Server": "github.com",
            "X-GitHub-Request-Id": uuid.uuid4().hex.upper(),
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Api-Version-Selected": request.headers.get("X-GitHub-Api-Version", API_VERSIONS[0]),
            "Cache-Control": "private, max-age=60, s-maxage=60",
            "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP",
        }
        if endpoint is not None and endpoint.access == "installation":
            headers["X-Accepted-GitHub-Permissions"] = "; ".join(endpoint.needs)
        status, body = bare.status, bare.encoded()
        if request.method == "GET" and status == 200:
            headers["ETag"] = f'W/"{hashlib.sha256(body).hexdigest()}"'
            if request.headers.get("If-None-Match") == headers["ETag"]:
                status = 304
                limits.give_back(incoming.caller.limit_key)
        headers |= limits.bucket(incoming.caller.limit_key).headers()
        return msgspec.structs.replace(bare, body=body, status=status, headers={**headers, **bare.headers})


def _exchange(incoming: Incoming, answer: Answer, delivered: bool, struck: Sequence[Trouble]) -> Exchange:
    headers = dict(incoming.request.headers)
    if "Authorization" in headers:
        headers["Authorization"] = headers["Authorization"].split(" ", 1)[0]
    return Exchange(
        method=incoming.request.method,
        path=incoming.path,
        template=incoming.endpoint.template if incoming.endpoint else None,
        query=dict(incoming.request.query),
        request_headers=headers,
        request_body=incoming.content[:MAX_RECORDED_BODY_BYTES],
        status=answer.status,
        response_headers=dict(answer.headers),
        response_body=answer.encoded()[:MAX_RECORDED_BODY_BYTES],
        content_type=answer.content_type,
        delivered=delivered,
        troubles=tuple(trouble.kind for trouble in struck),
    )
