"""The one way out to a model provider: one origin, no proxy, no redirect, a bounded answer, and the key added last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx2

MAX_ANSWER_BYTES = 8 * 1024 * 1024
CONNECT_SECONDS = 10.0
PLACEHOLDER_KEY = "added-at-the-wire"  # what the SDKs hold instead of the key: they log, copy and raise what they hold

# The SDKs add headers of their own accord, some of them from the environment. Only these leave the house.
_FORWARDED = frozenset(
    (b"accept", b"anthropic-version", b"content-length", b"content-type", b"transfer-encoding", b"user-agent")
)


class UnusableReply(httpx2.RemoteProtocolError):
    """The provider answered with something that cannot be an answer: not JSON, compressed, or far too large."""


def open_client(base_url: str, credential: Mapping[str, str]) -> httpx2.AsyncClient:
    """An HTTP client that talks to the origin of `base_url` only and adds the headers in `credential` itself.

    It never follows a redirect, reads neither proxies nor credentials from the environment, and asks for an
    uncompressed answer: a compressed one can grow a thousandfold within one call of the decoder. It has no deadline
    but for the connection; the caller holds the clock, since only a clock around everything stops a dripping body.
    """
    return httpx2.AsyncClient(
        transport=_Wire(httpx2.URL(base_url), credential), trust_env=False, follow_redirects=False, timeout=None
    )


class _Wire(httpx2.AsyncHTTPTransport):
    def __init__(self, base_url: httpx2.URL, credential: Mapping[str, str]) -> None:
        limits = httpx2.Limits(max_connections=64, max_keepalive_connections=8, keepalive_expiry=30)
        super().__init__(trust_env=False, limits=limits)
        self._origin = _origin(base_url)
        own = {"accept-encoding": "identity", "connection": "keep-alive", **credential}
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in own.items()]
        self._own = [(b"host", base_url.netloc), *encoded]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if _origin(request.url) != self._origin:
            raise httpx2.UnsupportedProtocol("the request was about to leave for an address that is not the base URL's")
        forwarded = [(name, value) for name, value in request.headers.raw if name.lower() in _FORWARDED]
        # A request of our own: the one that the SDK holds, and shows in its errors, never gets the key.
        response = await super().handle_async_request(
            httpx2.Request(
                request.method,
                request.url,
                headers=[*self._own, *forwarded],
                stream=request.stream,
                extensions={"timeout": {"connect": CONNECT_SECONDS}},
            )
        )
        problem = _problem(response)
        if problem:
            await response.aclose()
            raise UnusableReply(problem)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream)
        return response


class _Bounded(httpx2.AsyncByteStream):
    """Hands a body through and breaks off once it is larger than any answer can be."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise UnusableReply(f"the answer is larger than {MAX_ANSWER_BYTES // 2**20} MiB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _problem(response: httpx2.Response) -> str | None:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        return "the answer came compressed although an uncompressed one was asked for"
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.is_success and kind != "application/json" and not kind.endswith("+json"):
        return f"the answer is not JSON but {kind[:80] or 'of no declared type'}"
    return None


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
