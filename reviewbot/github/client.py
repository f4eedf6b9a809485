"""The GitHub client: requests as the App or as an installation, with every sharp edge of the wire behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import aiohttp
import msgspec
import structlog
from gidgethub import sansio

from reviewbot.errors import GitHubRefused, GitHubUnavailable, NotPermitted, ReviewBotError
from reviewbot.github.clock import Clock
from reviewbot.github.limits import WRITE_LIMITS, Gate
from reviewbot.github.replies import Reply, decode, refusal
from reviewbot.github.tokens import AppKey, Credential, Grant, InstallationToken
from reviewbot.github.transport import JSON_LIMIT, Request, Transport
from reviewbot.metrics import Metrics

T = TypeVar("T")
Variables = Mapping[str, str | int | None]

JSON = "application/vnd.github+json"

_MOST_PAGES = 100
_FRESH_TOKEN_WAITS = (1.0, 2.0)  # seconds; a new token takes a moment to be known everywhere at GitHub
_MANY = 1000  # gates or tokens that are kept before the idle ones are dropped

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, and the address of the next one."""

    items: tuple[T, ...]
    next_url: str | None


def in_repository(repo: str, **variables: str | int | None) -> Variables:
    """The URI template variables for a path in `repo` ("owner/name"); GitHubRefused when that is no such name."""
    owner, _, name = repo.partition("/")
    if not owner or not name or "/" in name:
        raise GitHubRefused(f"{repo!r} is not a repository's full name: owner/name.")
    return {"owner": owner, "repo": name, **variables}


class Client:
    """GitHub's REST API under one identity.

    Paths are URI templates and their variables are encoded, so no name can change which path is asked for. Every method
    raises GitHubUnavailable, GitHubRateLimited, GitHubRefused, NotPermitted or InstallationGone, and nothing else.
    """

    def __init__(
        self, transport: Transport, credential: Credential, gate: Gate, clock: Clock, *, user_agent: str, paced: bool
    ) -> None:
        self._transport = transport
        self._credential = credential
        self._gate = gate
        self._clock = clock
        self._user_agent = user_agent
        self._paced = paced  # whether POST, PATCH and DELETE create content, which GitHub limits by itself

    async def get(self, path: str, variables: Variables, answer: type[T], *, accept: str = JSON) -> T:
        """One JSON object."""
        return decode(await self._ask("GET", self._url(path, variables), accept=accept), answer)

    async def get_bytes(self, path: str, variables: Variables, *, accept: str, limit: int) -> bytes:
        """A body that is not JSON, as it came. GitHubRefused with status 413 when it has more than `limit` bytes."""
        reply = await self._ask("GET", self._url(path, variables), accept=accept, limit=limit)
        content_type = reply.headers.get("content-type", "")
        if content_type.startswith(("text/html", "application/json")):
            raise GitHubUnavailable(f"GitHub answered {reply.target} with {content_type} instead of {accept}.")
        return reply.body

    async def page(self, path: str, variables: Variables, item: type[T], *, key: str | None = None) -> Page[T]:
        """The first page of a list. `key` says where the list is, when the answer is an object."""
        return await self._page(self._url(path, variables), item, key)

    async def pages(
        self, path: str, variables: Variables, item: type[T], *, key: str | None = None
    ) -> AsyncIterator[T]:
        """All items of a list, page by page; the Link header leads, but never to another host."""
        url = self._url(path, variables)
        for _ in range(_MOST_PAGES):
            page = await self._page(url, item, key)
            for entry in page.items:
                yield entry
            if page.next_url is None:
                return
            url = page.next_url
        raise GitHubRefused(f"GitHub's list at {path} has more than {_MOST_PAGES} pages.")

    async def post(self, path: str, variables: Variables, body: object, answer: type[T]) -> T:
        """Create something. Never repeated when the answer is lost: whether it was carried out must be read back."""
        return decode(await self._ask("POST", self._url(path, variables), body=body), answer)

    async def patch(self, path: str, variables: Variables, body: object, answer: type[T]) -> T:
        """Change something."""
        return decode(await self._ask("PATCH", self._url(path, variables), body=body), answer)

    async def delete(self, path: str, variables: Variables) -> None:
        """Remove something."""
        await self._ask("DELETE", self._url(path, variables))

    async def command(self, path: str, variables: Variables, body: object = None) -> Reply:
        """POST for its effect, or for what only the whole answer tells."""
        return await self._ask("POST", self._url(path, variables), body=body)

    async def _page(self, url: str, item: type[T], key: str | None) -> Page[T]:
        reply = await self._ask("GET", url)
        if key is not None:
            wrapped = decode(reply, dict[str, msgspec.Raw])
            if key not in wrapped:
                raise GitHubUnavailable(f"GitHub's answer to {reply.target} lacks the field `{key}`.")
            reply = replace(reply, body=bytes(wrapped[key]))
        items = decode(reply, list[item])  # type: ignore[valid-type]  # a type that only the caller knows
        return Page(tuple(items), reply.next_url)

    async def _ask(
        self, method: str, url: str, *, accept: str = JSON, body: object = None, limit: int = JSON_LIMIT
    ) -> Reply:
        """The answer, once it is a good one. What is sent again here GitHub has refused, so it was not carried out."""
        headers = sansio.create_headers(self._user_agent, accept=accept)
        encoded = None
        if body is not None:
            headers["content-type"] = "application/json; charset=utf-8"
            encoded = _encoded(body)
        request = Request(method, url, headers, encoded, limit)
        waits = iter(_FRESH_TOKEN_WAITS)
        renewed = False
        while True:
            grant, version, reply = await self._send(request)
            if reply.ok:
                return reply
            if reply.status == 400 and version is not None and b"version" in reply.body.lower():
                log.warning("github_api_version_unknown", version=version)
                self._transport.api_version = None
                continue
            fresh = self._clock.monotonic() < grant.fresh_until
            if reply.status == 401 and not fresh and not renewed:
                self._credential.forget(grant)
                renewed = True
                continue
            error = _refusal(reply, fresh=fresh)
            too_fresh = fresh and (reply.status == 401 or isinstance(error, NotPermitted))
            wait = next(waits, None) if too_fresh else None
            if wait is None:
                if reply.status == 401:
                    self._credential.forget(grant)  # not merely unknown as yet: the next request needs another
                raise error
            await self._clock.sleep(wait)

    async def _send(self, request: Request) -> tuple[Grant, str | None, Reply]:
        """One answer, with the grant and the API version that the request carried."""
        async with self._gate.passage(writes=self._paced and request.method != "GET"):
            grant = await self._credential.grant()
            version = self._transport.api_version
            headers = {**request.headers, "authorization": f"{grant.kind} {grant.secret}"}
            if version is not None:
                headers["x-github-api-version"] = version
            reply = await self._transport.send(replace(request, headers=headers))
            self._gate.learn(reply)
            return grant, version, reply

    def _url(self, path: str, variables: Variables) -> str:
        for name, value in variables.items():
            if value == "":
                raise GitHubRefused(f"GitHub cannot be asked for {path} with an empty {name}.", status=404)
        filled = {name: str(value) for name, value in variables.items() if value is not None}
        try:
            return sansio.format_url(path, filled, base_url=self._transport.api_url)
        except UnicodeEncodeError:
            raise GitHubRefused(f"GitHub cannot be asked for {path}: a name in it is not UTF-8.", status=404) from None


def _encoded(body: object) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise GitHubRefused("A text for GitHub holds a lone surrogate, which cannot be sent.", status=422) from None


def _refusal(reply: Reply, *, fresh: bool) -> ReviewBotError:
    if reply.status == 401 and fresh:
        return GitHubUnavailable(f"GitHub does not accept the token that it has just issued, for {reply.target}.")
    return refusal(reply)


class GitHub:
    """The way to GitHub for one App: `app` speaks as the App itself, `installation()` as one of its installations.

    The session is the caller's to close. ConfigError when the private key or the address is not usable.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        app_id: int,
        private_key: str,
        api_url: str = "https://api.github.com",
        timeout_seconds: float = 30,
        user_agent: str = "reviewbot",
        write_limits: Sequence[tuple[int, float]] = WRITE_LIMITS,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._metrics = metrics or Metrics()
        self._transport = Transport(
            session, api_url=api_url, timeout_seconds=timeout_seconds, clock=self._clock, metrics=self._metrics
        )
        self._user_agent = user_agent
        self._write_limits = write_limits
        self._gates: dict[int, Gate] = {}
        self._tokens: dict[tuple[int, int | None], InstallationToken] = {}
        key = AppKey(app_id, private_key, self._clock)
        self.app = self._client(key, Gate("the App", self._clock, self._metrics), paced=False)

    def installation(self, installation_id: int, repository_id: int | None = None) -> Client:
        """A client for one installation, its token narrowed to one repository where that is given.

        Clients are cheap and share what belongs together: the token, and the installation's limits.
        """
        token = self._token(installation_id, repository_id)
        return self._client(token, self._gate(installation_id), paced=True)

    def _client(self, credential: Credential, gate: Gate, *, paced: bool) -> Client:
        return Client(self._transport, credential, gate, self._clock, user_agent=self._user_agent, paced=paced)

    def _gate(self, installation_id: int) -> Gate:
        gate = self._gates.get(installation_id)
        if gate is None:
            if len(self._gates) >= _MANY:
                self._gates = {known: kept for known, kept in self._gates.items() if not kept.idle}
            name = f"installation {installation_id}"
            gate = Gate(name, self._clock, self._metrics, write_limits=self._write_limits)
            self._gates[installation_id] = gate
        return gate

    def _token(self, installation_id: int, repository_id: int | None) -> InstallationToken:
        key = (installation_id, repository_id)
        token = self._tokens.get(key)
        if token is None:
            if len(self._tokens) >= _MANY:
                self._tokens = {known: kept for known, kept in self._tokens.items() if not kept.stale}

            async def issue(narrowing: dict[str, object]) -> Reply:
                path = "/app/installations/{installation_id}/access_tokens"
                return await self.app.command(path, {"installation_id": installation_id}, narrowing)

            token = InstallationToken(issue, repository_id, self._clock)
            self._tokens[key] = token
        return token
