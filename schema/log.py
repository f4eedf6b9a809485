"""The log: append (group commit), read a stream, read after a position, follow.

Positions are dense and ordered as the commits are (see migrations/0001_log.sql), so a reader that remembers one number
misses nothing. `unique (stream, version)` judges between writers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from eventsourcing.persistence import IntegrityError, OperationalError, ProgrammingError, StoredEvent

from schema.codec import Recorded
from schema.inbox import Artifact, Delivery
from schema.sql import load
from schema.waiting import wait

CHANNEL = "log"
BATCH_EVENTS = 1_000
BATCH_BYTES = 8 << 20
STORE_ATTEMPTS = 3
# InternalClientError ("cannot switch to state 12") is how some lost connections show themselves.
UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class VersionConflict(IntegrityError):
    """Another writer appended to the stream first; `streams` are the unit's streams."""

    def __init__(self, streams: frozenset[UUID]) -> None:
        super().__init__("somebody else appended to the stream first")
        self.streams = streams


class DuplicateDelivery(IntegrityError):
    """A delivery with this id is in the inbox already."""


class LogFull(OperationalError):
    """More is waiting to be stored than the queue may hold: try again in a moment."""


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """Who caused some events, and what they belong to: the metadata columns that all events of a unit share."""

    actor: str
    correlation: UUID
    installation: int | None = None
    delivery: UUID | None = None
    causation: int | None = None


class Unit(msgspec.Struct, frozen=True):
    """What one caller wants stored: all of it or nothing."""

    events: tuple[StoredEvent, ...]
    meta: Meta
    delivery: Delivery | None
    artifacts: tuple[Artifact, ...]
    stored: asyncio.Future[int]
    size: int  # bytes of the events, the delivery and the artifacts

    def keys(self) -> list[object]:
        """What may stand only once in a batch."""
        keys: list[object] = [event.originator_id for event in self.events]
        if self.delivery:
            keys.append(("delivery", self.delivery.id))
        return keys

    def refused_as_taken(self) -> VersionConflict:
        """The error for a unit of which another writer stored a (stream, version) first."""
        return VersionConflict(frozenset(UUID(str(event.originator_id)) for event in self.events))


class Log:
    """The log behind one pool of connections.

    Appends queue up while a commit is on its way; one appender task commits whatever has gathered as one statement.
    """

    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], *, max_units: int = 20_000, max_bytes: int = 64 << 20
    ) -> None:
        self._pool = pool
        self._max_units, self._max_bytes = max_units, max_bytes
        self._waiting: deque[Unit] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._connection: PoolConnectionProxy[asyncpg.Record] | None = None  # the appender's, while it has work
        self._listeners: list[Callable[[], None]] = []

    def on_append(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each commit of this process. A hint: readers poll as well."""
        self._listeners.append(wake)

    @property
    def waiting(self) -> int:
        """Units that are not stored yet."""
        return len(self._waiting)

    async def append(
        self,
        events: Sequence[StoredEvent],
        meta: Meta,
        *,
        delivery: Delivery | None = None,
        artifacts: Sequence[Artifact] = (),
    ) -> int:
        """Store the events, the raw delivery and the artifacts together; returns the position of the last event.

        Returns only after the commit. Nothing was stored when it raises VersionConflict, DuplicateDelivery, LogFull or
        ProgrammingError (values that Postgres cannot hold, or more than the log takes in at all). After
        OperationalError (no database) it is unknown whether they were stored; the same call may be made again, and
        meets one of the first two if they were. A caller that is cancelled does not take back what it handed over.
        """
        size = sum([len(event.state) for event in events])
        if delivery:
            size += len(delivery.headers) + len(delivery.body)
        for artifact in artifacts:
            size += len(artifact.body)
        self._check_room(size)
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        unit = Unit(tuple(events), meta, delivery, tuple(artifacts), stored, size)
        if len(events) > 1 and len({(e.originator_id, e.originator_version) for e in events}) < len(events):
            raise unit.refused_as_taken()  # by itself
        self._waiting.append(unit)
        self._bytes += size
        if self._task is None:
            self._task = asyncio.create_task(self._commit_waiting(), name="log-appender")
        return await stored

    def _check_room(self, size: int) -> None:
        if size > self._max_bytes:
            raise ProgrammingError(f"{size} bytes in one append are more than the {self._max_bytes} that may wait")
        if len(self._waiting) >= self._max_units or self._bytes + size > self._max_bytes:
            raise LogFull(f"{len(self._waiting)} appends ({self._bytes} bytes) are waiting for the database")

    async def close(self) -> None:
        """Wait until everything that was accepted is stored or refused."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _commit_waiting(self) -> None:
        try:
            while self._waiting:
                try:
                    await self._commit_burst()
                finally:
                    await self._hand_back()
        finally:
            self._task = None

    async def _commit_burst(self) -> None:
        """Batch after batch on one connection, until a turn of the loop brings nothing more."""
        while self._waiting:
            batch = self._next_batch()
            await self._commit(batch)
            self._bytes -= sum([unit.size for unit in batch])
            for wake in self._listeners:
                asyncio.get_running_loop().call_soon(wake)  # its errors are not the appender's
            await asyncio.sleep(0)  # whoever was told just now may have more

    def _next_batch(self) -> list[Unit]:
        """Units from the front of the queue; one that shares a stream or delivery with an earlier one waits."""
        batch: list[Unit] = []
        held_back: list[Unit] = []
        seen: set[object] = set()
        events = size = 0
        while self._waiting and events < BATCH_EVENTS and size < BATCH_BYTES and len(held_back) < BATCH_EVENTS:
            unit = self._waiting.popleft()
            keys = unit.keys()
            if seen.isdisjoint(keys):
                batch.append(unit)
                events += len(unit.events)
                size += unit.size
            else:
                held_back.append(unit)
            seen.update(keys)
        self._waiting.extendleft(reversed(held_back))
        return batch

    async def _commit(self, batch: list[Unit], *, again: bool = False) -> None:
        """Store a batch and tell each caller; never raises, so that one bad unit cannot stop the appender."""
        for attempt in range(STORE_ATTEMPTS):
            try:
                return await self._store(batch, again=again)
            except IntegrityError as error:
                # Another process won a race after our snapshot was taken; a new snapshot sees what it stored.
                failure: Exception = error
            except OperationalError as error:
                # A connection died, perhaps after the commit: the next try must recognise its own events.
                failure, again = error, True
                await asyncio.sleep(0.05 * attempt)
            except Exception as error:  # noqa: BLE001 - every caller must be told, whatever it is
                failure = error
                break
        if isinstance(failure, OperationalError) or len(batch) == 1:
            for unit in batch:
                _refuse(unit, failure)
        else:  # one unit is at fault, and the others must not suffer for it
            middle = len(batch) // 2
            await self._commit(batch[:middle], again=again)
            await self._commit(batch[middle:], again=again)
        return None

    async def _store(self, batch: list[Unit], *, again: bool) -> None:
        row = await self._fetchrow(*_statement(batch))
        assert row is not None
        position, conflicts, duplicates = row["base"], set(row["conflicts"]), set(row["duplicates"])
        for number, unit in enumerate(batch):
            if number in conflicts or number in duplicates:
                own = await self._own(unit) if again else None
                if own is not None:
                    _accept(unit, own)
                elif number in duplicates:
                    assert unit.delivery is not None
                    _refuse(unit, DuplicateDelivery(f"delivery {unit.delivery.id} is stored already"))
                else:
                    _refuse(unit, unit.refused_as_taken())
            else:
                position += len(unit.events)
                _accept(unit, position)

    async def _own(self, unit: Unit) -> int | None:
        """After a commit whose reply was lost: the position of the unit's last event if it was stored after all."""
        position: int | None = None
        find = load("schema.queries", "find_event")
        for event in unit.events:
            row = await self._fetchrow(find, event.originator_id, event.originator_version)
            if row is None or tuple(row)[1:] != (event.topic, event.state, *msgspec.structs.astuple(unit.meta)):
                return None
            position = row["position"]
        return position

    async def _fetchrow(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """Ask on the appender's connection: to borrow and return one for each batch costs a third of its time."""
        with as_persistence_errors():
            try:
                if self._connection is None:
                    self._connection = await self._pool.acquire(timeout=5)
                return await self._connection.fetchrow(query, *arguments, timeout=10)
            except BaseException:
                await self._hand_back()  # it may be broken
                raise

    async def _hand_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*UNREACHABLE):
                await self._pool.release(connection)  # one that cannot be returned is dead, and the pool knows

    async def read_stream(self, stream: UUID, after: int = 0) -> list[Recorded]:
        """The events of a stream with a version above `after`, in order."""
        with as_persistence_errors():
            rows = await self._pool.fetch(load("schema.queries", "read_stream"), stream, after)
        return recorded(rows)

    async def newest_settings(self, installation: int, repository_id: int, *, faulty: bool) -> Recorded | None:
        """The newest SettingsRead of a repository; `faulty`: also one with faults."""
        query = load("schema.queries", "newest_settings")
        with as_persistence_errors():
            rows = await self._pool.fetch(query, installation, repository_id, faulty)
        return next(iter(recorded(rows)), None)

    async def read_after(self, position: int, limit: int = 500) -> list[Recorded]:
        """The next page of the log after `position`."""
        with as_persistence_errors():
            rows = await self._pool.fetch(load("schema.queries", "read_after"), position, limit)
        return recorded(rows)

    async def follow(
        self, position: int = 0, *, poll_seconds: float = 1.0, page: int = 500
    ) -> AsyncGenerator[Recorded]:
        """Every event after `position`, for ever. Woken by our own appends; those of others wait for the poll."""
        woken = asyncio.Event()
        self._listeners.append(woken.set)
        try:
            while True:
                woken.clear()
                events = await self.read_after(position, page)
                for event in events:
                    yield event
                    position = event.position
                if len(events) < page:
                    await wait(woken, poll_seconds)
        finally:
            self._listeners.remove(woken.set)


def recorded(rows: Iterable[asyncpg.Record]) -> list[Recorded]:
    """Rows with the columns of read_after.sql as Recorded."""
    return [Recorded(*row) for row in rows]


def _accept(unit: Unit, position: int) -> None:
    if not unit.stored.done():
        unit.stored.set_result(position)


def _refuse(unit: Unit, error: Exception) -> None:
    if not unit.stored.done():
        unit.stored.set_exception(error)
        unit.stored.exception()  # the caller may have gone; that is no unhandled error


def _statement(batch: list[Unit]) -> list[Any]:
    """The statement and its arguments, column by column."""
    columns = _columns(10, [
        (number, event.originator_id, event.originator_version, event.topic, event.state,
         unit.meta.installation, unit.meta.delivery, unit.meta.actor, unit.meta.correlation, unit.meta.causation)
        for number, unit in enumerate(batch) for event in unit.events
    ])  # fmt: skip
    parcels = [
        (number, parcel.id, parcel.event, parcel.headers, parcel.body, parcel.installation, parcel.key)
        for number, unit in enumerate(batch)
        if (parcel := unit.delivery)
    ]
    artifacts = [
        (number, *msgspec.structs.astuple(artifact)) for number, unit in enumerate(batch) for artifact in unit.artifacts
    ]
    if not parcels and not artifacts:
        return [load("schema.queries", "append"), *columns]
    return [load("schema.queries", "append_full"), *columns, *_columns(7, parcels), *_columns(7, artifacts)]


def _columns(width: int, rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Rows of `width` values turned into `width` columns; no rows are empty columns."""
    return list(zip(*rows, strict=True)) or [()] * width


@contextlib.contextmanager
def as_persistence_errors() -> Iterator[None]:
    """Turn what asyncpg raises into the errors of `eventsourcing.persistence`.

    IntegrityError: somebody else was first. ProgrammingError: these values can never be stored. OperationalError: the
    database cannot be used now.
    """
    try:
        yield
    except (asyncpg.UniqueViolationError, asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
        raise IntegrityError(str(error)) from error
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as error:
        raise ProgrammingError(f"the database refuses a value: {error}") from error
    except UNREACHABLE as error:
        raise OperationalError(f"the database did not answer: {type(error).__name__}: {error}") from error
