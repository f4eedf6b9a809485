"""The webhook door: one signed delivery in, its answer out. Nothing is parsed before the signature is checked."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import structlog
from aiohttp import web
from eventsourcing.persistence import OperationalError

from reviewbot import logs
from reviewbot.github.signature import Signatures
from reviewbot.metrics import Metrics
from reviewbot.recorder import Outcome, Recorder
from reviewbot.watch import Watch
from reviewbot.webhooks.catalog import ROUTERS
from reviewbot.webhooks.incoming import App, Incoming, NotUnderstood
from reviewbot.webhooks.known import Known
from schema.vault import Vault

logger = structlog.get_logger(__name__)

# GitHub sends nothing larger: https://docs.github.com/en/webhooks/webhook-events-and-payloads
MAX_BODY_BYTES = 25 * 1024 * 1024
RETRY_AFTER_SECONDS = 10

EVENT = re.compile(r"[a-z_]{1,64}")
KEPT_HEADERS = (
    "User-Agent",
    "X-GitHub-Enterprise-Host",
    "X-GitHub-Enterprise-Version",
    "X-GitHub-Hook-ID",
    "X-GitHub-Hook-Installation-Target-ID",
    "X-GitHub-Hook-Installation-Target-Type",
)


class Refused(Exception):
    """The request is answered with `status`, and the sentence says what to do. `reason` is a metric's label."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.reason = status, reason


class ByteBudget:
    """How many bytes of bodies all requests together may hold in memory.

    Bytes are taken as they arrive, not as a header announces them: otherwise a few empty promises would keep all others
    out.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0

    @contextlib.contextmanager
    def lease(self) -> Iterator[Lease]:
        """What is taken inside is given back at the end."""
        lease = Lease(self)
        try:
            yield lease
        finally:
            self.held -= lease.held


class Lease:
    """One request's part of the budget."""

    __slots__ = ("_budget", "held")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self.held = budget, 0

    def take(self, size: int) -> None:
        """Raises Refused when too much is held already, by this request or by all."""
        if self.held + size > MAX_BODY_BYTES:
            raise _too_large()
        if self._budget.held + size > self._budget.limit:
            raise Refused(503, "busy", "Too many large deliveries are being received; send this one again later.")
        self._budget.held += size
        self.held += size


class Intake:
    """Answers POST /webhooks/github."""

    def __init__(
        self,
        *,
        signatures: Signatures,
        recorder: Recorder,
        vault: Vault,
        app: App,
        known: Known,
        watch: Watch,
        metrics: Metrics,
        body_seconds: float,
        bytes_in_flight: int,
    ) -> None:
        self._signatures, self._recorder, self._vault = signatures, recorder, vault
        self._app, self._known = app, known
        self._watch, self._metrics, self._body_seconds = watch, metrics, body_seconds
        self.budget = ByteBudget(bytes_in_flight)
        metrics.body_bytes.set_function(lambda: self.budget.held)

    async def handle(self, request: web.Request) -> web.Response:
        """The answer to one request; it leaves after the commit. Anything unexpected is the caller's to answer 503."""
        try:
            with self.budget.lease() as lease:
                outcome = await self._take(request, lease)
        except Refused as refusal:
            self._metrics.deliveries_refused.labels(refusal.reason).inc()
            return _refusal(refusal)
        return _answer(outcome)

    async def _take(self, request: web.Request, lease: Lease) -> Outcome:
        _check_encoding(request)
        event, delivery = _name(request), _delivery(request)
        body = await self._body(request, lease)
        if not self._signatures.verify(body, request.headers.getall("X-Hub-Signature-256", ())):
            raise Refused(401, "signature", "X-Hub-Signature-256 does not fit: is the webhook secret the same here?")
        if self._watch.queue_is_full:
            raise Refused(503, "queue_full", "Too many reviews are waiting; send this delivery again later.")
        return await self._record(delivery, event, _kept_headers(request), body)

    async def _body(self, request: web.Request, lease: Lease) -> bytes:
        if (request.content_length or 0) > MAX_BODY_BYTES:
            raise _too_large()
        content = request.content
        if content.is_eof():  # it came together with the headers
            body = content.read_nowait()
            lease.take(len(body))
            return body
        chunks = []
        try:
            async with asyncio.timeout(self._body_seconds):
                async for chunk in content.iter_any():
                    lease.take(len(chunk))
                    chunks.append(chunk)
        except TimeoutError as error:
            raise Refused(408, "slow", f"The body did not arrive within {self._body_seconds:g} seconds.") from error
        except (web.RequestPayloadError, ConnectionError) as error:
            raise Refused(400, "broken_body", "The body broke off or is not properly chunked.") from error
        return b"".join(chunks)

    async def _record(self, delivery: UUID, event: str, headers: dict[str, str], body: bytes) -> Outcome:
        try:
            incoming: Incoming | NotUnderstood = Incoming(
                delivery=delivery,
                event=event,
                body=body,
                received_at=datetime.now(UTC),
                app=self._app,
                known=self._known,
            )
        except NotUnderstood as error:
            incoming = error
        try:
            raw = await self._vault.pack_delivery(incoming.installation, delivery, event, headers, body)
            outcome = await self._recorder.record(raw, incoming)
        except OperationalError as error:
            logger.warning("a delivery could not be stored", delivery=str(delivery), error=str(error))
            raise Refused(503, "not_stored", "The delivery could not be stored; send it again later.") from error
        self._metrics.deliveries.labels(event if event in ROUTERS else "other", outcome.status).inc()
        if outcome.status == "parked":
            with logs.bound(delivery=delivery):
                logger.warning("a delivery could not be understood", github_event=event, reason=outcome.reason)
        return outcome


def _check_encoding(request: web.Request) -> None:
    if "Content-Encoding" in request.headers:
        raise Refused(415, "encoded", "Bodies are taken as they are signed, without any Content-Encoding.")
    if request.content_type != "application/json":
        sentence = "Set the webhook's content type to application/json in the GitHub App's settings."
        raise Refused(415, "content_type", sentence)


def _name(request: web.Request) -> str:
    event = request.headers.getall("X-GitHub-Event", ())
    if len(event) != 1 or not EVENT.fullmatch(event[0]):
        raise Refused(400, "event", "X-GitHub-Event must name one event, such as pull_request.")
    return event[0]


def _delivery(request: web.Request) -> UUID:
    given = request.headers.getall("X-GitHub-Delivery", ())
    with contextlib.suppress(ValueError):
        if len(given) == 1 and len(given[0]) == 36:  # UUID() also takes braces, "urn:" and no hyphens
            return UUID(given[0])
    raise Refused(400, "delivery", "X-GitHub-Delivery must be one UUID.")


def _kept_headers(request: web.Request) -> dict[str, str]:
    """What tells where a delivery came from, in ASCII: a header may hold any bytes."""
    headers = request.headers
    return {name: headers[name].encode("ascii", "replace").decode() for name in KEPT_HEADERS if name in headers}


def _too_large() -> Refused:
    return Refused(413, "too_large", f"The body has more than {MAX_BODY_BYTES} bytes.")


def _answer(outcome: Outcome) -> web.Response:
    status = 200 if outcome.status in ("ignored", "duplicate") else 202
    return web.Response(status=status, body=msgspec.json.encode(outcome), content_type="application/json")


def _refusal(refusal: Refused) -> web.Response:
    body = msgspec.json.encode({"status": "refused", "reason": str(refusal)})
    response = web.Response(status=refusal.status, body=body, content_type="application/json")
    if refusal.status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response.force_close()  # whatever else the connection holds is not worth reading
    return response
