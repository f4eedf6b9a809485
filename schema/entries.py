"""The canonical bytes of an event, which its leaf in the tree of the log is the hash of.

An entry, format 1; integers are big-endian, what an event does not have is zeros, the event's place is not part of it
(position 1 is leaf 0 of the tree):

    bytes  what
    1      format: 1
    1      flags: 1 has an installation, 2 has a delivery, 4 has a causation
    4      version, signed
    16     stream
    16     delivery
    16     correlation
    8      installation, signed
    8      causation, signed
    8      recorded_at, signed: microseconds since 1970-01-01T00:00:00Z
    32     SHA-256 of the bytes of data
    2 + n  topic: length in bytes, unsigned, and its UTF-8
    2 + n  actor: likewise
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from schema.codec import Recorded
from schema.merkle import leaf_hash

FORMAT = 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LONGEST_TEXT = 0xFFFF  # bytes

_fixed = struct.Struct(">BBi16s16s16sqqq32s")
_length = struct.Struct(">H")
_nothing = bytes(16)


class EntryError(ValueError):
    """An event that has no canonical bytes."""


def entry(event: Recorded) -> bytes:
    """The canonical bytes of an event. Raises EntryError when its topic or actor is longer than the format allows."""
    topic, actor = event.topic.encode(), event.actor.encode()
    if len(topic) > LONGEST_TEXT or len(actor) > LONGEST_TEXT:
        raise EntryError(f"event {event.position} has a topic or an actor of more than {LONGEST_TEXT} bytes")
    flags = (event.installation is not None) | (event.delivery is not None) << 1 | (event.causation is not None) << 2
    fixed = _fixed.pack(
        FORMAT,
        flags,
        event.version,
        event.stream.bytes,
        event.delivery.bytes if event.delivery is not None else _nothing,
        event.correlation.bytes,
        event.installation or 0,
        event.causation or 0,
        microseconds(event.recorded_at),
        sha256(event.data).digest(),
    )
    return b"".join((fixed, _length.pack(len(topic)), topic, _length.pack(len(actor)), actor))


def leaf(event: Recorded) -> bytes:
    """The hash of an event as a leaf of the tree: 32 bytes."""
    return leaf_hash(entry(event))


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 in UTC, which is as fine as the database's clock."""
    return (moment - EPOCH) // MICROSECOND
