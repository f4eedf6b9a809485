"""The HTTP server: routes, limits on connections, and an orderly start and stop."""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from reviewbot.api.door import Api
from reviewbot.config import Settings
from reviewbot.github.signature import Signatures
from reviewbot.intake import RETRY_AFTER_SECONDS, Intake
from reviewbot.metrics import Metrics
from reviewbot.recorder import Recorder
from reviewbot.watch import Watch
from reviewbot.webhooks.incoming import App
from reviewbot.webhooks.known import Known
from schema.log import Log
from schema.vault import Vault
from schema.waiting import wait

logger = structlog.get_logger(__name__)

LINGER_SECONDS = 1.0  # reading on after an early answer, so that the sender gets to see it
DRAIN_SECONDS = 12.0  # what is in flight may finish for this long: a body, a commit
CLOSE_SECONDS = 1.0  # and its answer may leave for this long

WEBHOOK_PATH = "/webhooks/github"
METHODS = frozenset({"GET", "HEAD", "POST"})  # any other is "other" in the metrics
HEADERS = {
    "Server": "reviewbot",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
ABOUT = """\
ReviewBot reviews pull requests. This is its service; there is nothing to see here with a browser.

POST /webhooks/github   GitHub's deliveries
GET  /health            how it is doing
GET  /ready             whether it can work
GET  /metrics           numbers for Prometheus
GET  /api/openapi.json  what can be read with a token
"""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps strangers from using the service up."""

    connections: int = 1_000
    header_seconds: float = 10.0  # from the connection, or the answer before, to the end of the next request's headers
    body_seconds: float = 10.0  # GitHub gives up then, too
    unread_seconds: float = 30.0  # a client that takes none of its answer for this long is cut off
    bytes_in_flight: int = 64 * 1024 * 1024  # of bodies, all together


class Server:
    """Serves one process. A role without webhooks has only the pages about itself."""

    def __init__(
        self,
        settings: Settings,
        slug: str,
        pool: asyncpg.Pool[asyncpg.Record],
        log: Log,
        metrics: Metrics,
        *,
        vault: Vault | None,
        version: str,
        seal_fault: Callable[[], str | None] = lambda: None,
        limits: Limits = Limits(),  # noqa: B008 - it cannot be changed
    ) -> None:
        self._settings, self._metrics = settings, metrics
        self.watch = Watch(
            pool,
            queue_max=settings.queue_max,
            version=version,
            provider=settings.provider.name,
            seal_fault=seal_fault,
        )
        self.intake: Intake | None = None
        self.api: Api | None = None
        if settings.role in ("all", "web"):
            assert vault is not None
            secrets = [secret.reveal().encode() for secret in settings.github.webhook_secrets]
            self.intake = Intake(
                signatures=Signatures(secrets),
                recorder=Recorder(log),
                vault=vault,
                app=App(settings.github.app_id, slug),
                known=Known(log, pool),
                watch=self.watch,
                metrics=metrics,
                body_seconds=limits.body_seconds,
                bytes_in_flight=limits.bytes_in_flight,
            )
            self.api = Api(pool, version=version)
        self._guard = Guard(metrics)
        self._door = Door(self._app(), metrics, limits)
        self._watching: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._door.port

    async def start(self) -> None:
        """Listen; raises OSError when the address is taken."""
        await self.watch.refresh()
        await self._door.open(self._settings.host, self._settings.port)
        self._watching = asyncio.create_task(self.watch.run(), name="watch")

    async def stop(self) -> None:
        """Take no more connections, finish what is in flight, close. A second call does nothing."""
        self._door.stop_listening()
        await self._guard.drained(DRAIN_SECONDS)
        await self._door.close()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard.middleware])
        app.add_routes(
            [
                web.get("/", self._about, name="about"),
                web.get("/health", self._health, name="health"),
                web.get("/ready", self._ready, name="ready"),
                web.get("/metrics", self._prometheus, name="metrics"),
            ]
        )
        if self.intake is not None:
            app.add_routes([web.post(WEBHOOK_PATH, self.intake.handle, name="webhook")])
        if self.api is not None:
            app.add_routes(self.api.routes())
        return app

    async def _about(self, _request: web.Request) -> web.Response:
        return web.Response(text=ABOUT)

    async def _health(self, _request: web.Request) -> web.Response:
        return _json(200, self.watch.health())

    async def _ready(self, _request: web.Request) -> web.Response:
        problems = self.watch.problems()
        return _json(503 if problems else 200, {"ready": not problems, "problems": problems})

    async def _prometheus(self, request: web.Request) -> web.Response:
        token = self._settings.metrics_token
        given = request.headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "replace")
        if token is not None and not hmac.compare_digest(given, f"Bearer {token.reveal()}".encode()):
            return _json(401, {"reason": "Give METRICS_TOKEN as a bearer token."})
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


class Guard:
    """Around every request: it is measured, gets its headers, and whatever goes wrong is a 503, never a 500."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._in_flight = 0
        self._stopping = False
        self._idle = asyncio.Event()

    async def drained(self, seconds: float) -> None:
        """Wait until nothing is in flight. aiohttp stops reading as soon as it shuts down, even amid a body."""
        self._stopping = True
        if self._in_flight:
            await wait(self._idle, seconds)

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            name = request.match_info.route.name or "none"
            method = request.method if request.method in METHODS else "other"
            began = time.perf_counter()
            in_progress = self._metrics.http_in_progress.labels(name)
            in_progress.inc()
            self._in_flight += 1
            try:
                response = await self._answer(request, handler, name)
            finally:
                in_progress.dec()
                self._in_flight -= 1
            response.headers.update(HEADERS)
            if self._stopping:
                response.force_close()
                if not self._in_flight:
                    self._idle.set()
            self._metrics.http_requests.labels(name, method, f"{response.status // 100}xx").inc()
            self._metrics.http_seconds.labels(name, method).observe(time.perf_counter() - began)
            return response

        return guard

    async def _answer(self, request: web.Request, handler: Handler, name: str) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:  # no such path, or not with this method
            response = _json(error.status, {"reason": error.reason})
            response.headers.update({"Allow": error.headers["Allow"]} if "Allow" in error.headers else {})
            return response
        except Exception:  # GitHub must be told to send it again, whatever went wrong
            self._metrics.unexpected.labels(name).inc()
            logger.exception("a request failed unexpectedly", route=name)
            return _unavailable()


class Connection(web.RequestHandler):
    """One connection; what aiohttp itself would answer to broken requests names no version and is never a 500."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if status >= 500:
            logger.error("a connection failed unexpectedly", exc_info=exc)
        response = _unavailable() if status >= 500 else _json(status, {"reason": "This is not a proper HTTP request."})
        response.headers.update(HEADERS)
        response.force_close()
        return response


class Full(asyncio.Protocol):
    """A connection beyond the limit: told to come back, and closed."""

    ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.ANSWER % RETRY_AFTER_SECONDS)
        transport.close()


class Door:
    """The listening socket with its limits."""

    def __init__(self, app: web.Application, metrics: Metrics, limits: Limits) -> None:
        self._metrics, self._limits = metrics, limits
        # Bodies are never unpacked: a megabyte on the wire may be a gigabyte in memory. The keep-alive timer of aiohttp
        # runs until the headers of the next request are complete, and so ends slow ones too.
        self._options: dict[str, Any] = {
            "auto_decompress": False,
            "keepalive_timeout": limits.header_seconds,
            "lingering_time": LINGER_SECONDS,
            "access_log": None,
        }
        self._runner = web.AppRunner(app, shutdown_timeout=CLOSE_SECONDS, **self._options)
        self._listener: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    async def open(self, host: str, port: int) -> None:
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._metrics.connections.set_function(lambda: len(server.connections))
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            if len(server.connections) >= self._limits.connections:
                self._metrics.connections_refused.inc()
                return Full()
            return Connection(server, loop=loop, **self._options)

        self._listener = await loop.create_server(protocol, host, port, backlog=1_024)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
            for listening in self._listener.sockets:
                listening.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._limits.unread_seconds * 1000)
                )

    def stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()

    async def close(self) -> None:
        if self._runner.server is not None:
            await self._runner.cleanup()


def _json(status: int, answer: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(answer), content_type="application/json")


def _unavailable() -> web.Response:
    response = _json(503, {"reason": "Something unexpected happened; send this again later."})
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
