"""Positions are dense and in the order of the commits, so a reader that remembers one number misses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from eventsourcing.persistence import IntegrityError, ProgrammingError

from schema.database import connect, open_pool
from schema.inbox import pack, pack_delivery
from schema.log import DuplicateDelivery, Log, VersionConflict
from tests.schema.given import DATA, DATA_KEY, Pool, assert_sound, event, meta


@pytest.fixture
async def nodes(database: str) -> AsyncIterator[list[Log]]:
    """Two logs on pools of their own: two nodes."""
    pools = [await open_pool(database, size=3) for _ in range(2)]
    yield [Log(pool) for pool in pools]
    for pool in pools:
        pool.terminate()


async def test_many_writers_of_two_nodes_leave_dense_positions_and_each_acknowledged_event_once(
    nodes: list[Log], pool: Pool
) -> None:
    chance = random.Random(1)
    contested, deliveries = [uuid4() for _ in range(4)], [uuid4() for _ in range(40)]
    heads: dict[UUID, int] = dict.fromkeys(contested, 0)
    acknowledged: dict[int, UUID] = {}
    refused: dict[type[Exception], int] = {VersionConflict: 0, DuplicateDelivery: 0, ProgrammingError: 0}

    async def write(log: Log) -> None:
        for _ in range(40):
            stream = chance.choice(contested) if chance.random() < 0.5 else uuid4()
            version = heads.get(stream, 0) + 1
            batch = [event(stream, version + number) for number in range(chance.randint(1, 3))]
            parcel = (
                pack_delivery(DATA_KEY, chance.choice(deliveries), "x", {}, b"{}") if chance.random() < 0.3 else None
            )
            texts = [pack(DATA_KEY, "prompt", b"shared")] if chance.random() < 0.3 else []
            about = meta(actor="\0" if chance.random() < 0.02 else "test")
            try:
                last = await log.append(batch, about, delivery=parcel, artifacts=texts)
            except (IntegrityError, ProgrammingError) as error:
                refused[type(error)] += 1
                heads[stream] = await pool.fetchval(
                    "select coalesce(max(version), 0) from event where stream = $1", stream
                )
                continue
            for number in range(len(batch)):
                assert last - number not in acknowledged, "one position was given twice"
                acknowledged[last - number] = stream
            heads[stream] = max(heads.get(stream, 0), version + len(batch) - 1)

    async def roll_back() -> None:
        """A stranger takes positions and gives them back."""
        async with pool.acquire() as connection:
            for _ in range(20):
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute("update log_head set position = position + 5")
                await asyncio.sleep(0.002)
                await transaction.rollback()

    await asyncio.gather(roll_back(), *(write(log) for log in nodes for _ in range(8)))
    assert min(refused.values()) > 0, f"nothing was contested: {refused}"
    rows = await assert_sound(pool)
    assert {position: stream for position, stream, _ in rows} == acknowledged


async def test_two_nodes_that_race_for_every_version_each_get_clear_answers(nodes: list[Log], pool: Pool) -> None:
    """Losing a race is a VersionConflict and nothing vaguer, also when it is lost again and again."""
    streams = [uuid4() for _ in range(30)]
    for version in range(1, 8):
        outcomes = await asyncio.gather(
            *(log.append([event(stream, version)], meta()) for stream in streams for log in nodes),
            return_exceptions=True,
        )
        lost = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert len(lost) == len(streams)
        assert {type(each) for each in lost} == {VersionConflict}
    assert len(await assert_sound(pool)) == 7 * len(streams)


async def test_a_race_that_is_lost_again_and_again_harms_only_the_loser(
    log: Log, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever wins each race after our look: the others of the batch are stored, the loser alone is refused."""
    fetchrow = log._fetchrow
    loser = uuid4()

    async def race(query: str, *arguments: object) -> asyncpg.Record | None:
        if loser in arguments[1]:  # type: ignore[operator]  # the column of streams
            raise IntegrityError("another node was first")
        return await fetchrow(query, *arguments)

    monkeypatch.setattr(log, "_fetchrow", race)
    outcomes = await asyncio.gather(
        *(log.append([event(loser if number == 3 else None)], meta()) for number in range(8)), return_exceptions=True
    )
    assert isinstance(outcomes.pop(3), IntegrityError)
    assert sorted(outcomes) == list(range(1, 8))  # type: ignore[type-var]  # the rows are untyped; these are positions
    await assert_sound(pool)


# --- following ---------------------------------------------------------------------------------------------------

WRITERS = (1, 1, 1, 1, 100, 100)  # events per append: small ones overtake large ones
APPENDS = 25


async def test_a_follower_misses_no_event_under_mixed_writers(nodes: list[Log], pool: Pool) -> None:
    seen: list[int] = []

    async def follow(upto: int) -> None:
        async with contextlib.aclosing(Log(pool).follow(poll_seconds=0.002, page=50)) as events:
            async for found in events:
                seen.append(found.position)
                if found.position == upto:
                    return

    async def write(log: Log, size: int) -> None:
        for _ in range(APPENDS):
            stream = uuid4()
            await log.append([event(stream, version + 1) for version in range(size)], meta())

    total = APPENDS * sum(WRITERS) * len(nodes)
    async with asyncio.timeout(60):
        await asyncio.gather(follow(total), *(write(log, size) for log in nodes for size in WRITERS))
    assert seen == list(range(1, total + 1))


async def test_the_same_reader_on_a_table_numbered_by_a_sequence_is_seen_to_miss_some(database: str) -> None:
    """The twin: `position > $1` is right only because of how positions are given."""
    owner = await connect(database)
    await owner.execute("create table numbered (position bigserial primary key, data text)")
    slow, quick = await connect(database), await connect(database)
    seen: list[int] = []

    async def read() -> None:
        after = seen[-1] if seen else 0
        seen.extend(
            row[0] for row in await owner.fetch("select position from numbered where position > $1 order by 1", after)
        )

    transaction = slow.transaction()
    await transaction.start()
    await slow.execute("insert into numbered (data) values ('takes 1, commits last')")
    await quick.execute("insert into numbered (data) values ('takes 2, commits first')")
    await read()
    await transaction.commit()
    await read()
    assert seen == [2]
    assert await owner.fetchval("select count(*) from numbered") == 2
    for connection in (owner, slow, quick):
        await connection.close()


async def test_on_the_log_the_quick_writer_waits_for_the_slow_one(database: str, log: Log) -> None:
    """The same two writers on the log: whoever takes the head first commits first."""
    slow = await connect(database)
    transaction = slow.transaction()
    await transaction.start()
    position = await slow.fetchval("update log_head set position = position + 1 returning position")
    quick = asyncio.create_task(log.append([event()], meta()))
    await asyncio.sleep(0.1)
    assert not quick.done()
    await slow.execute(
        "insert into event (position, stream, version, topic, data, actor, correlation)"
        " values ($1, $2, 1, 't', $3, 'a', $2)",
        position, uuid4(), DATA,
    )  # fmt: skip
    await transaction.commit()
    assert await quick == 2
    assert [found.position for found in await log.read_after(0)] == [1, 2]
    await slow.close()


async def test_a_follower_is_woken_by_appends_of_its_own_log_without_waiting_for_the_poll(log: Log) -> None:
    async with contextlib.aclosing(log.follow(poll_seconds=3600)) as found, asyncio.timeout(20):
        for number in range(1, 4):
            following = asyncio.ensure_future(anext(found))
            await asyncio.sleep(0.02)
            await log.append([event()], meta())
            assert (await following).position == number


async def test_a_follower_that_hears_nothing_finds_what_others_append_all_the_same(log: Log, pool: Pool) -> None:
    async with contextlib.aclosing(Log(pool).follow(poll_seconds=0.02)) as found, asyncio.timeout(10):
        for number in range(1, 3):
            following = asyncio.ensure_future(anext(found))
            await asyncio.sleep(0.1)  # it has looked, and waits
            await log.append([event()], meta())
            assert (await following).position == number


async def test_a_follower_begins_after_the_position_that_it_names(log: Log) -> None:
    for _ in range(3):
        await log.append([event()], meta())
    async with contextlib.aclosing(log.follow(2)) as found:
        assert (await anext(found)).position == 3
