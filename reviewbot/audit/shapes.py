"""The shape of an event as programs get it, from the command line and over HTTP. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

import msgspec
from eventsourcing.persistence import MapperDeserialisationError

from reviewbot.audit.sentences import sentence
from schema.codec import Recorded

Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the log. `data` are the facts, byte for byte as they are stored."""

    position: int
    stream: UUID
    version: int
    topic: str
    data: msgspec.Raw
    sentence: str  # in plain words, which may change from version to version
    installation: int | None
    delivery: UUID | None  # that told it
    actor: str
    correlation: UUID
    causation: int | None  # position of the event that it follows from
    recorded_at: Time


def readable(row: Recorded) -> bool:
    """Whether this version can read the fact: another node may run a later one."""
    try:
        return row.fact is not None
    except MapperDeserialisationError:
        return False


def said(row: Recorded) -> str:
    """What an event says, or why this version cannot read it."""
    try:
        return sentence(row)
    except MapperDeserialisationError as error:
        return str(error)


def event(row: Recorded) -> Event:
    """An event of the log as programs get it, though this version may be unable to read its facts."""
    return Event(
        position=row.position,
        stream=row.stream,
        version=row.version,
        topic=row.topic,
        data=msgspec.Raw(row.data),
        sentence=said(row),
        installation=row.installation,
        delivery=row.delivery,
        actor=row.actor,
        correlation=row.correlation,
        causation=row.causation,
        recorded_at=row.recorded_at,
    )
