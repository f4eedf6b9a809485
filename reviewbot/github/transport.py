"""One HTTP request to GitHub: held to one host, bounded in size and time, redirects followed by hand."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import structlog
from yarl import URL

from reviewbot.errors import ConfigError, GitHubRefused, GitHubUnavailable
from reviewbot.github.clock import Clock
from reviewbot.github.replies import TOO_LARGE, Reply, is_rate_limited
from reviewbot.metrics import Metrics

JSON_LIMIT = 16 * 1024 * 1024  # bytes

# The oldest version that GitHub still serves, and the newest that every supported GitHub Enterprise Server knows.
API_VERSION = "2022-11-28"

_ERROR_LIMIT = 64 * 1024  # bytes of an error's body that are read; the rest is dropped
_MOST_HOPS = 5
_RETRY_SECONDS = (0.5, 2.0)  # the longest waits before the second and the third try of a GET

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Request:
    """What to send. `headers` holds the Authorization, so it is never shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    limit: int = JSON_LIMIT  # bytes of the answer after decompression


class _Dropped(GitHubUnavailable):
    """The connection to GitHub could not be made or broke off."""


class Transport:
    """Sends requests below `api_url` and nowhere else. Raises GitHubUnavailable and GitHubRefused only."""

    def __init__(
        self, session: aiohttp.ClientSession, *, api_url: str, timeout_seconds: float, clock: Clock, metrics: Metrics
    ) -> None:
        self._base = _base(api_url.rstrip("/"))
        self.api_url = str(self._base)
        self.api_version: str | None = API_VERSION  # None once the server turned out not to know it
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._requests = metrics.github_requests

    async def send(self, request: Request) -> Reply:
        """The answer, whatever its status. A GET is tried three times when GitHub stumbles, a POST or PATCH once.

        (aiohttp by itself repeats a GET or DELETE once where a connection kept from before turns out to be closed.)
        """
        waits = _RETRY_SECONDS if request.method == "GET" else ()
        for longest in waits:
            try:
                reply = await self._follow(request)
            except _Dropped as dropped:
                reason = str(dropped)
            else:
                # With a Retry-After the wait is the worker's, who can do something else meanwhile.
                if reply.status not in (502, 503, 504) or "retry-after" in reply.headers:
                    return reply
                reason = f"{reply.target} was answered with {reply.status}"
            log.warning("github_request_retried", reason=reason)
            await self._clock.sleep(random.uniform(longest / 4, longest))
        return await self._follow(request)

    async def _follow(self, request: Request) -> Reply:
        url = self._held(URL(request.url, encoded=True))
        for _ in range(_MOST_HOPS):
            reply = await self._counted(request, url)
            if reply.status not in (301, 302, 307, 308):
                return reply
            url = self._held(_destination(request.method, url, reply))
        raise GitHubRefused(f"GitHub redirected {request.method} {url.path} more than {_MOST_HOPS} times.")

    async def _counted(self, request: Request, url: URL) -> Reply:
        try:
            reply = await self._exchange(request, url)
        except GitHubUnavailable:
            self._requests.labels("unreachable").inc()
            raise
        self._requests.labels("limited" if is_rate_limited(reply) else f"{reply.status // 100}xx").inc()
        return reply

    async def _exchange(self, request: Request, url: URL) -> Reply:
        target = f"{request.method} {url.raw_path}"  # raw: nothing in a path can break a line of a log
        try:
            async with self._session.request(
                request.method,
                url,
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
                timeout=self._timeout,
                raise_for_status=False,
            ) as response:
                body = await _read(response, request.limit, target)
                return Reply(target, response.status, response.headers, body, _next_url(response))
        # "from None" throughout: some of aiohttp's errors carry the request's headers, and with them the token.
        except TimeoutError:
            raise GitHubUnavailable(f"GitHub did not answer {target} within {self._timeout_seconds:g} s.") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            raise _Dropped(f"GitHub could not be reached for {target}: {type(error).__name__}: {error}") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise GitHubUnavailable(f"GitHub's answer to {target} is not HTTP: {type(error).__name__}") from None

    def _held(self, url: URL) -> URL:
        """`url`, once it is certain that the token may go there: same scheme, host and port, below the base path."""
        same_host = (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)
        below = url.raw_path.startswith(self._base.raw_path.rstrip("/") + "/")
        if not same_host or url.user is not None or not below:
            raise GitHubRefused(
                f"GitHub leads to {url.origin() if url.host else url}, outside of {self.api_url}; the token is not sent"
                " there. If that address is right, set GITHUB_API_URL to it."
            )
        # "%2e" is a dot to whoever tidies up the path behind us.
        if any(segment in (".", "..") for segment in url.raw_path.lower().replace("%2e", ".").split("/")):
            raise GitHubRefused(f"{url.path!r} is not a path that GitHub's API can be asked for.", status=404)
        return url


def _base(api_url: str) -> URL:
    try:
        base = URL(api_url)
    except ValueError as error:
        raise ConfigError(f"GITHUB_API_URL is not an address: {error}") from error
    if base.scheme not in ("http", "https") or not base.host or base.user is not None or base.raw_query_string:
        raise ConfigError("GITHUB_API_URL must look like https://api.github.com or https://HOST/api/v3.")
    return base


def _destination(method: str, url: URL, reply: Reply) -> URL:
    location = reply.headers.get("location")
    if not location:
        raise GitHubUnavailable(f"GitHub redirected {reply.target} with {reply.status}, but not where to.")
    if method != "GET" and reply.status in (301, 302):
        # Clients turn such a POST into a GET, which looks like success and writes nothing.
        raise GitHubRefused(
            f"GitHub says with {reply.status} that {reply.target} has moved; only a 307 or 308 may be followed for it."
            " Was the repository renamed or transferred?",
            status=reply.status,
        )
    try:
        return url.join(URL(location, encoded=True))
    except ValueError:
        raise GitHubUnavailable(f"GitHub redirected {reply.target} to something that is no address.") from None


async def _read(response: aiohttp.ClientResponse, limit: int, target: str) -> bytes:
    """The body, decompressed; never more than `limit` bytes of it are held."""
    failed = response.status >= 300
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if failed and len(body) > _ERROR_LIMIT:
            return bytes(body[:_ERROR_LIMIT])
        if len(body) > limit:
            raise GitHubRefused(f"GitHub's answer to {target} is larger than {limit:,} bytes.", status=TOO_LARGE)
    return bytes(body)


def _next_url(response: aiohttp.ClientResponse) -> str | None:
    following = response.links.get("next")
    return None if following is None else str(following["url"])
