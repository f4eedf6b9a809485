"""Facts to stored bytes and back, and the shapes in which the log hands events out.

`FactMapper` is the `eventsourcing` mapper for facts: the stored state is the fact's own JSON, nothing else.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, cast
from uuid import UUID

import msgspec
from eventsourcing.domain import CanMutateAggregate, DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, MapperDeserialisationError, StoredEvent

from schema.events import BY_TOPIC, Fact
from schema.upcasts import upcast

SHAPE = "class_version"  # the key under which a fact keeps its shape's version, absent for the first


def encode(fact: Fact) -> bytes:
    """The JSON that is stored. U+0000, which Postgres cannot query, is written as U+FFFD."""
    data = _encoder.encode(fact)
    if b"\\u0000" in data or fact.VERSION > 1:
        plain = _without_nul(msgspec.to_builtins(fact, builtin_types=(), str_keys=True))
        if fact.VERSION > 1:
            plain[SHAPE] = fact.VERSION
        data = _encoder.encode(plain)
    return data


def decode(topic: str, data: bytes) -> Fact:
    """The fact that `encode` stored, in today's shape. Raises MapperDeserialisationError naming what is wrong."""
    kind = BY_TOPIC.get(topic)
    if kind is None:
        raise MapperDeserialisationError(f"the log holds a {topic}, which this version of ReviewBot does not know")
    try:
        if kind.VERSION == 1:
            return _decoder(kind).decode(data)
        plain = msgspec.json.decode(data)
        return msgspec.convert(upcast(topic, plain, plain.pop(SHAPE, 1), kind.VERSION), kind)
    except (msgspec.MsgspecError, LookupError, RecursionError) as error:
        raise MapperDeserialisationError(f"a stored {topic} cannot be read: {error}") from error


_encoder = msgspec.json.Encoder()


@cache
def _decoder(kind: type[Fact]) -> msgspec.json.Decoder[Fact]:
    return msgspec.json.Decoder(kind)


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\ufffd")
        case dict():
            return {key: _without_nul(item) for key, item in value.items()}
        case list() | tuple():
            return [_without_nul(item) for item in value]
        case _:
            return value


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event as the log holds it: the fact's bytes and the columns around them."""

    position: int  # 1-based, dense, in commit order
    stream: UUID
    version: int  # 1-based within the stream
    topic: str
    data: bytes
    installation: int | None
    delivery: UUID | None
    actor: str
    correlation: UUID
    causation: int | None
    recorded_at: datetime

    @property
    def fact(self) -> Fact:
        """Decoded at each access; raises MapperDeserialisationError."""
        return decode(self.topic, self.data)


class Happened(msgspec.Struct, CanMutateAggregate[UUID], frozen=True, kw_only=True):
    """A fact on its way between an aggregate and the log: the domain event of `eventsourcing`, with the fact inside."""

    originator_id: UUID
    originator_version: int
    timestamp: datetime
    fact: Fact

    def apply(self, aggregate: Any) -> None:
        aggregate.when(self.fact)


class FactMapper(Mapper[UUID]):
    """Maps `Happened` to `StoredEvent` and back. The time is a column of the log and not part of the state."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        happened = cast(Happened, domain_event)
        return StoredEvent(
            happened.originator_id, happened.originator_version, happened.fact.TOPIC, encode(happened.fact)
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Happened:
        return Happened(
            originator_id=cast(UUID, stored_event.originator_id),
            originator_version=stored_event.originator_version,
            timestamp=Happened.create_timestamp(),
            fact=decode(stored_event.topic, stored_event.state),
        )
