"""The log in the clothes of `eventsourcing`'s recorders, so that the library's own test cases can try it.

The log lives on an event loop in a thread of its own. Versions are stored one higher than the library counts them, for
some of its cases begin at 0; its states are any bytes, so they are stored as a JSON string.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import asyncpg
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Notification,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, resolve_topic

from schema.codec import Recorded
from schema.database import connect, open_pool
from schema.log import Log, Meta
from schema.migrate import migrate

T = TypeVar("T")
PAGE = 500


@cache
def background() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="log", daemon=True).start()
    return loop


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns or raises on the log's own loop."""
    return asyncio.run_coroutine_threadsafe(coroutine, background()).result(60)


class Store:
    """One log on one pool, with a table of tracking positions beside it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool, self.log = pool, Log(pool)
        self.tracked = asyncio.Lock()  # positions are looked at, then written

    @classmethod
    async def open(cls, url: str, schema: str) -> Store:
        """The log of a schema of this database, made when it is missing."""
        owner = await connect(url)
        await owner.execute(f"create schema if not exists {schema}")
        await owner.execute(f"set search_path to {schema}")
        await migrate(owner)
        await owner.execute("create table if not exists tracking (application text primary key, position bigint)")
        await owner.execute("grant all on tracking to reviewbot_app")
        await owner.close()
        return cls(await open_pool(f"{url}{'&' if '?' in url else '?'}search_path={schema}", size=4))

    async def close(self) -> None:
        await self.log.close()
        await self.pool.close()

    async def append(self, events: Sequence[StoredEvent], tracking: Tracking | None) -> list[int]:
        """Positions of the events. Raises IntegrityError when they or the tracking position are taken."""
        if tracking is None:
            return await self._append(events)
        async with self.tracked:
            newest = await self.newest_tracked(tracking.application_name)
            if newest is not None and newest >= tracking.notification_id:
                raise IntegrityError(f"{tracking.application_name} is at {newest} already")
            positions = await self._append(events)
            await self.pool.execute(
                "insert into tracking values ($1, $2) on conflict (application) do update set position = $2",
                tracking.application_name,
                tracking.notification_id,
            )
            return positions

    async def _append(self, events: Sequence[StoredEvent]) -> list[int]:
        if not events:
            return []
        last = await self.log.append([_to_log(event) for event in events], Meta(actor="test", correlation=uuid4()))
        return list(range(last - len(events) + 1, last + 1))

    async def newest_tracked(self, application: str) -> int | None:
        return cast(
            "int | None",
            await self.pool.fetchval("select position from tracking where application = $1", application),
        )

    async def newest(self) -> int | None:
        return cast("int | None", await self.pool.fetchval("select max(position) from event"))

    async def select(self, after: int, stop: int | None, topics: Sequence[str], limit: int) -> list[Notification]:
        found: list[Notification] = []
        while page := await self.log.read_after(after, PAGE):
            after = page[-1].position
            found += [
                _from_log(event)
                for event in page
                if (not topics or event.topic in topics) and (stop is None or event.position <= stop)
            ]
            if len(found) >= limit or (stop is not None and after >= stop):
                break
        return found[:limit]


def _to_log(event: StoredEvent) -> StoredEvent:
    data = json.dumps(event.state.decode("latin-1")).encode()
    return StoredEvent(event.originator_id, event.originator_version + 1, event.topic, data)


def _from_log(event: Recorded) -> Notification:
    state = json.loads(event.data).encode("latin-1")
    return Notification(event.stream, event.version - 1, event.topic, state, event.position)


class _OnAStore:
    def __init__(self, store: Store) -> None:
        self.store = store


class LogAggregateRecorder(_OnAStore, AggregateRecorder):
    """Streams alone."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        run(self.store.append(stored_events, None))
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        after = 0 if gt is None else gt + 1
        events = [_from_log(event) for event in run(self.store.log.read_stream(UUID(str(originator_id)), after))]
        found = [
            StoredEvent(event.originator_id, event.originator_version, event.topic, event.state)
            for event in (reversed(events) if desc else events)
            if lte is None or event.originator_version <= lte
        ]
        return found[:limit]


class LogApplicationRecorder(LogAggregateRecorder, ApplicationRecorder):
    """Streams, and all of them in one order."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return run(self.store.append(stored_events, kwargs.get("tracking"))) or None

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        after = (start or 0) - (1 if inclusive_of_start else 0)
        return run(self.store.select(after, stop, topics, limit))

    def max_notification_id(self) -> int | None:
        return run(self.store.newest())

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return LogSubscription(self, gt, topics)


class LogTrackingRecorder(_OnAStore, TrackingRecorder):
    """Positions alone."""

    def insert_tracking(self, tracking: Tracking) -> None:
        run(self.store.append((), tracking))

    def max_tracking_id(self, application_name: str) -> int | None:
        return run(self.store.newest_tracked(application_name))


class OtherTrackingRecorder(LogTrackingRecorder):
    """One that a factory is told to make."""


class LogProcessRecorder(LogTrackingRecorder, LogApplicationRecorder, ProcessRecorder):
    """Events together with the position that they came from."""


class LogSubscription(Subscription[ApplicationRecorder]):
    """`Log.follow` as a blocking iterator."""

    def __init__(self, recorder: LogApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._events: AsyncIterator[Recorded] = recorder.store.log.follow(gt or 0)
        self._next: Future[Recorded] | None = None

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            self._next = asyncio.run_coroutine_threadsafe(_first(self._events), background())
            try:
                event = self._next.result(60)
            except CancelledError:
                break
            if not self._topics or event.topic in self._topics:
                return _from_log(event)
        raise StopIteration

    def stop(self) -> None:
        super().stop()
        if self._next is not None:
            self._next.cancel()


async def _first(events: AsyncIterator[Recorded]) -> Recorded:
    return await anext(events)


class Factory(InfrastructureFactory[TrackingRecorder]):
    """Makes recorders in the database that the environment names, each name and purpose in a schema of its own."""

    def __init__(self, env: Environment | Any) -> None:
        super().__init__(env)
        self._stores: list[Store] = []

    def _store(self, purpose: str) -> Store:
        store = run(Store.open(self.env.get("DATABASE_URL") or "", f"{self.env.name}_{purpose}".lower()))
        self._stores.append(store)
        return store

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        return LogAggregateRecorder(self._store(f"aggregate_{purpose}"))

    def application_recorder(self) -> ApplicationRecorder:
        return LogApplicationRecorder(self._store("application"))

    def tracking_recorder(self, tracking_recorder_class: type[TrackingRecorder] | None = None) -> TrackingRecorder:
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        kind = tracking_recorder_class or (resolve_topic(topic) if topic else LogTrackingRecorder)
        return cast(type[LogTrackingRecorder], kind)(self._store("tracking"))

    def process_recorder(self) -> ProcessRecorder:
        return LogProcessRecorder(self._store("process"))

    def close(self) -> None:
        while self._stores:
            run(self._stores.pop().close())
