"""From a decision to what the log holds: the only place where deliveries become events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
import structlog
from eventsourcing.persistence import OperationalError, ProgrammingError, StoredEvent

from reviewbot.review import AlreadyRequested, ReviewJob, delivery_stream
from reviewbot.webhooks.catalog import decide
from reviewbot.webhooks.incoming import Ignored, Incoming, NotUnderstood, Request, Requests, Told
from schema.codec import FactMapper, Recorded, encode
from schema.events import DeliveryIgnored, DeliveryParked, Fact
from schema.inbox import Delivery
from schema.log import DuplicateDelivery, Log, Meta, VersionConflict

logger = structlog.get_logger(__name__)

ROUNDS = 3  # tries at a stream that others append to meanwhile


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a delivery, as GitHub is told. Its facts are stored."""

    status: Literal["queued", "recorded", "parked", "ignored", "duplicate"]
    job: UUID | None = None
    reason: str | None = None


class Recorder:
    """Decides deliveries and appends what they mean, each together with its raw bytes, in one commit."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._mapper = FactMapper()

    async def record(self, raw: Delivery, incoming: Incoming | NotUnderstood) -> Outcome:
        """Store the delivery and what it means; returns after the commit.

        `incoming` is what was read of it, or why nothing could be. Raises OperationalError when the database does not
        answer or too much is waiting for it: then the delivery may or may not be stored, and can be sent again.
        """
        try:
            return await self._record(raw, incoming)
        except DuplicateDelivery:
            return Outcome("duplicate", reason="this delivery was received before")

    async def _record(self, raw: Delivery, incoming: Incoming | NotUnderstood) -> Outcome:
        if isinstance(incoming, NotUnderstood):
            return await self._park(raw, None, str(incoming))
        try:
            match await decide(incoming):
                case Request() as request:
                    return await self._request(raw, incoming, (request,))
                case Requests(several):
                    return await self._request(raw, incoming, several)
                case Told(facts):
                    await self._tell(raw, _meta(raw, incoming), facts)
                    return Outcome("recorded")
                case Ignored() as ignored:
                    return await self._ignore(raw, incoming, ignored)
        except NotUnderstood as error:
            return await self._park(raw, incoming, str(error))
        except ProgrammingError as error:  # a text or number that JSON can hold and Postgres cannot
            logger.warning("a delivery cannot be stored as facts", delivery=str(raw.id), error=str(error))
            return await self._park(raw, incoming, "it holds a text or number that the database cannot")

    async def _request(self, raw: Delivery, incoming: Incoming, requests: Sequence[Request]) -> Outcome:
        """Ask for the reviews, at first as if nobody had before; the log says when somebody has.

        The outcome names the first job that there is something new about.
        """
        histories: dict[UUID, Sequence[Recorded]] = {}
        for _ in range(ROUNDS):
            asked, events, refused = [], [], []
            for request in requests:
                job = ReviewJob.replay(request.job, histories.get(request.job, ()))
                try:
                    job.ask(request.fact)
                except AlreadyRequested as error:
                    refused.append(error)
                    continue
                asked.append(request.job)
                events += [self._mapper.to_stored_event(event) for event in job.collect_events()]
            if not asked:
                reason = f"the same review is {refused[0].state} already"
                await self._ignore(raw, incoming, Ignored(reason), job=requests[0].job)
                return Outcome("duplicate", requests[0].job, reason)
            try:
                await self._log.append(events, _meta(raw, incoming), delivery=raw)
            except DuplicateDelivery as error:
                return Outcome("duplicate", asked[0], str(error))
            except VersionConflict:
                histories = {request.job: await self._log.read_stream(request.job) for request in requests}
                continue
            return Outcome("queued", asked[0])
        raise OperationalError(f"job {requests[0].job} changed {ROUNDS} times while it was asked for")

    async def _ignore(self, raw: Delivery, incoming: Incoming, ignored: Ignored, *, job: UUID | None = None) -> Outcome:
        envelope = incoming.envelope
        repository, pull = envelope.repository, envelope.pull_request
        fact = DeliveryIgnored(
            event=raw.event,
            reason=ignored.reason,
            action=envelope.action,
            installation=envelope.installation.id if envelope.installation else None,
            repository_id=repository.id if repository else None,
            repository=repository.full_name if repository else None,
            pull_request=ignored.pull_request or (pull.number if pull else None),
            head_sha=ignored.head_sha or (pull.head.sha if pull and pull.head else None),
            job=job,
        )
        await self._tell(raw, _meta(raw, incoming), (fact,))
        return Outcome("ignored", reason=ignored.reason)

    async def _park(self, raw: Delivery, incoming: Incoming | None, reason: str) -> Outcome:
        meta = _meta(raw, incoming) if incoming else Meta(actor="github", correlation=raw.id, delivery=raw.id)
        await self._tell(raw, meta, (DeliveryParked(event=raw.event, reason=reason),))
        return Outcome("parked", reason=reason)

    async def _tell(self, raw: Delivery, meta: Meta, facts: Sequence[Fact]) -> None:
        stream = delivery_stream(raw.id)
        events = [StoredEvent(stream, n, fact.TOPIC, encode(fact)) for n, fact in enumerate(facts, start=1)]
        await self._log.append(events, meta, delivery=raw)


def _meta(raw: Delivery, incoming: Incoming) -> Meta:
    envelope = incoming.envelope
    return Meta(
        actor=f"user:{envelope.sender.id}" if envelope.sender else "github",
        correlation=raw.id,
        installation=envelope.installation.id if envelope.installation else None,
        delivery=raw.id,
    )
