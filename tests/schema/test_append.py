"""Appending: all of a unit or nothing of it, whatever stands beside it in the batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import OperationalError, ProgrammingError, StoredEvent

from schema.database import connect, open_pool
from schema.inbox import Artifact, Delivery, pack, pack_delivery
from schema.log import DuplicateDelivery, Log, LogFull, Meta, VersionConflict
from tests.schema.given import DATA_KEY, Pool, assert_sound, event, events, kept, meta, versions


def delivery(number: UUID | None = None, body: bytes = b"{}") -> Delivery:
    return pack_delivery(DATA_KEY, number or uuid4(), "ping", {"X-GitHub-Hook-ID": "1"}, body)


async def together(*appends: Awaitable[int]) -> list[Any]:
    """The outcome of appends that go to the database in one batch."""
    return list(await asyncio.gather(*appends, return_exceptions=True))


# --- what comes back ---------------------------------------------------------------------------------------------


async def test_an_append_returns_the_position_of_its_last_event(log: Log) -> None:
    assert await log.append([event()], meta()) == 1
    assert await log.append(events(uuid4(), 1, 2, 3), meta()) == 4
    assert await together(*(log.append([event()], meta()) for _ in range(3))) == [5, 6, 7]


async def test_everything_that_was_given_comes_back(log: Log) -> None:
    stream = uuid4()
    about = Meta(actor="user:7", correlation=uuid4(), installation=2**62, delivery=uuid4(), causation=1)
    await log.append([event(stream)], about)
    (found,) = await log.read_stream(stream)
    assert (found.position, found.stream, found.version, found.topic) == (1, stream, 1, "Tested")
    assert (found.actor, found.correlation, found.installation) == (about.actor, about.correlation, about.installation)
    assert (found.delivery, found.causation) == (about.delivery, about.causation)
    assert found.recorded_at.tzinfo is not None


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,  "a":1, "a":2}',  # spaces, order and a name twice are kept
        b'{"n":1.10e+2,"big":123456789012345678901234567890}',
        '{"text":"\\u00e9 é \\ud83d\\ude00 😀"}'.encode(),
        b'{"nul":"a\\u0000b"}',
        b"[]",
    ],
)
async def test_the_exact_bytes_of_data_come_back(log: Log, data: bytes) -> None:
    await log.append([event(data=data)], meta())
    (found,) = await log.read_after(0)
    assert found.data == data


async def test_a_stream_is_read_from_the_version_asked_for(log: Log) -> None:
    stream = uuid4()
    await log.append(events(stream, 1, 2, 3), meta())
    await log.append([event()], meta())
    assert [found.version for found in await log.read_stream(stream)] == [1, 2, 3]
    assert [found.version for found in await log.read_stream(stream, after=2)] == [3]
    assert await log.read_stream(uuid4()) == []


async def test_the_log_is_read_page_by_page(log: Log) -> None:
    await log.append(events(uuid4(), *range(1, 8)), meta())
    assert [found.position for found in await log.read_after(0, limit=3)] == [1, 2, 3]
    assert [found.position for found in await log.read_after(5)] == [6, 7]


# --- refusals ----------------------------------------------------------------------------------------------------


async def test_a_taken_version_refuses_its_whole_unit_and_no_other_of_the_batch(log: Log, pool: Pool) -> None:
    taken, beside = uuid4(), uuid4()
    await log.append([event(taken)], meta())
    number = uuid4()
    artifact = pack(DATA_KEY, "prompt", b"a prompt")
    outcomes = await together(
        log.append([event()], meta()),
        log.append([event(beside), event(taken, 2), event(taken, 1)], meta(), delivery=delivery(number),
                   artifacts=[artifact]),
        log.append(events(uuid4(), 1, 2), meta()),
    )  # fmt: skip
    assert outcomes[0] == 2
    assert outcomes[2] == 4
    assert isinstance(outcomes[1], VersionConflict)
    assert outcomes[1].streams == {taken, beside}
    assert await versions(pool, taken) == [1]
    assert await versions(pool, beside) == []
    assert await kept(pool) == set()
    await assert_sound(pool)


async def test_a_known_delivery_refuses_its_whole_unit_and_no_other_of_the_batch(log: Log, pool: Pool) -> None:
    number, stream = uuid4(), uuid4()
    first, other = delivery(number, b"first"), delivery()
    await log.append([event()], meta(), delivery=first)
    artifact = pack(DATA_KEY, "prompt", b"a prompt")
    outcomes = await together(
        log.append([event(stream)], meta(), delivery=delivery(number, b"second"), artifacts=[artifact]),
        log.append([event()], meta(), delivery=other),
    )
    assert isinstance(outcomes[0], DuplicateDelivery)
    assert outcomes[1] == 2
    assert await versions(pool, stream) == []
    assert await kept(pool) == {first.body, other.body}


async def test_of_two_appends_for_one_version_in_one_batch_exactly_the_first_wins(log: Log, pool: Pool) -> None:
    stream, number = uuid4(), uuid4()
    first, second = await together(*(log.append([event(stream)], meta()) for _ in range(2)))
    assert first == 1
    assert isinstance(second, VersionConflict)
    first, second = await together(*(log.append([event()], meta(), delivery=delivery(number)) for _ in range(2)))
    assert first == 2
    assert isinstance(second, DuplicateDelivery)
    await assert_sound(pool)


async def test_a_unit_that_holds_one_version_twice_is_refused(log: Log, pool: Pool) -> None:
    stream = uuid4()
    with pytest.raises(VersionConflict):
        await log.append(events(stream, 1, 1), meta())
    assert await versions(pool, stream) == []


HUGE = 2**63  # one more than a bigint


@pytest.mark.parametrize(
    ("unit", "about"),
    [
        pytest.param([event()], meta(actor="a\0b"), id="NUL in the actor"),
        pytest.param([event()], meta(actor="\ud800"), id="lone surrogate in the actor"),
        pytest.param([event()], meta(installation=HUGE), id="installation too large"),
        pytest.param([event()], meta(causation=HUGE), id="causation too large"),
        pytest.param([event(version=2**31)], meta(), id="version too large"),
        pytest.param([event(version=0)], meta(), id="version zero"),
        pytest.param([event(data=b"{")], meta(), id="broken JSON"),
        pytest.param([event(data=b'"\xff"')], meta(), id="data that is not UTF-8"),
        pytest.param([event(), event(data=b"")], meta(), id="no data"),
    ],
)
async def test_what_postgres_cannot_hold_harms_only_its_own_unit(
    log: Log, pool: Pool, unit: list[StoredEvent], about: Meta
) -> None:
    good = [log.append([event()], meta()) for _ in range(5)]
    outcomes = await together(*good[:2], log.append(unit, about), *good[2:])
    assert isinstance(outcomes.pop(2), ProgrammingError)
    assert outcomes == [1, 2, 3, 4, 5]
    await assert_sound(pool)


async def test_what_postgres_cannot_hold_in_a_delivery_harms_only_its_own_unit(log: Log, pool: Pool) -> None:
    bad = pack_delivery(DATA_KEY, uuid4(), "pi\0ng", {}, b"{}")
    outcomes = await together(
        log.append([event()], meta(), delivery=delivery()),
        log.append([event()], meta(), delivery=bad),
        log.append([event()], meta(), artifacts=[Artifact(HUGE, b"d", "prompt", 1, b"b", DATA_KEY.id)]),
        log.append([event()], meta()),
    )
    assert [type(outcome) for outcome in outcomes] == [int, ProgrammingError, ProgrammingError, int]
    await assert_sound(pool)


async def test_a_missing_right_is_a_fault_of_the_database_and_not_of_the_values(log: Log, database: str) -> None:
    owner = await connect(database)
    await owner.execute("revoke insert on event from reviewbot_app")
    with pytest.raises(OperationalError, match="permission denied"):
        await log.append([event()], meta())
    await owner.close()


# --- the queue ---------------------------------------------------------------------------------------------------


async def test_appends_to_one_stream_are_stored_in_the_order_of_their_calls(log: Log, pool: Pool) -> None:
    streams = [uuid4() for _ in range(5)]
    calls = [(stream, version) for version in range(1, 41) for stream in streams]
    outcomes = await together(*(log.append([event(stream, version)], meta()) for stream, version in calls))
    assert sorted(outcomes) == list(range(1, 201))
    for stream in streams:
        assert await versions(pool, stream) == list(range(1, 41))


async def test_an_append_that_is_held_back_holds_back_those_behind_it(log: Log, pool: Pool) -> None:
    """The second waits for the first because of one stream; the third must not overtake it on the other."""
    first, second = uuid4(), uuid4()
    outcomes = await together(
        log.append([event(first, 1)], meta()),
        log.append([event(first, 2), event(second, 1)], meta()),
        log.append([event(second, 2)], meta()),
    )
    assert outcomes == [1, 3, 4]
    assert await versions(pool, second) == [1, 2]


async def test_a_refused_append_does_not_let_a_later_one_of_its_stream_go_first(log: Log, pool: Pool) -> None:
    stream = uuid4()
    outcomes = await together(
        log.append([event(stream, 1)], meta()),
        log.append([event(stream, 2)], meta(actor="\0")),
        log.append([event(stream, 2)], meta(actor="later")),
    )
    assert [type(outcome) for outcome in outcomes] == [int, ProgrammingError, int]
    assert [found.actor for found in await log.read_stream(stream)] == ["test", "later"]


async def test_a_full_queue_refuses_by_number_and_takes_in_again_when_it_is_shorter(pool: Pool) -> None:
    log = Log(pool, max_units=3)
    waiting = [asyncio.create_task(log.append([event()], meta())) for _ in range(3)]
    await asyncio.sleep(0)
    assert log.waiting == 3
    with pytest.raises(LogFull, match="3 appends"):
        await log.append([event()], meta())
    assert sorted(await asyncio.gather(*waiting)) == [1, 2, 3]
    assert await log.append([event()], meta()) == 4


@pytest.mark.parametrize("where", ["event", "delivery", "headers", "artifact"])
async def test_a_full_queue_refuses_by_bytes_and_counts_those_on_their_way(pool: Pool, where: str) -> None:
    log = Log(pool, max_bytes=1_000)
    data, of = b'"' + b"x" * 600 + b'"', (DATA_KEY.installation, DATA_KEY.id)
    about: Callable[[], Coroutine[Any, Any, int]] = {
        "event": lambda: log.append([event(data=data)], meta()),
        "delivery": lambda: log.append([event()], meta(), delivery=Delivery(uuid4(), "ping", b"{}", data, *of)),
        "headers": lambda: log.append([event()], meta(), delivery=Delivery(uuid4(), "ping", data, b"", *of)),
        "artifact": lambda: log.append(
            [event()], meta(), artifacts=[Artifact(1, b"d", "prompt", 1, data, DATA_KEY.id)]
        ),
    }[where]
    first = asyncio.create_task(about())
    await asyncio.sleep(0)
    with pytest.raises(LogFull, match="bytes"):
        await about()
    assert await first == 1
    assert await about() == 2, "the bytes of what is stored were given back"


async def test_what_can_never_fit_is_not_told_to_wait(pool: Pool) -> None:
    with pytest.raises(ProgrammingError, match="more than the 10 that may wait"):
        await Log(pool, max_bytes=10).append([event()], meta())


async def test_a_caller_that_is_cancelled_harms_nobody_and_what_it_handed_over_is_stored(log: Log, pool: Pool) -> None:
    stream = uuid4()
    calls = [asyncio.create_task(log.append([event()], meta())) for _ in range(4)]
    leaver = asyncio.create_task(log.append([event(stream)], meta()))
    await asyncio.sleep(0)
    leaver.cancel()
    late = asyncio.create_task(log.append([event(stream, 1)], meta()))  # a conflict that nobody waits for
    await asyncio.sleep(0)
    late.cancel()
    assert await asyncio.gather(*calls) == [1, 2, 3, 4]
    assert await log.append([event()], meta()) == 6
    assert await versions(pool, stream) == [1]
    with pytest.raises(asyncio.CancelledError):
        await leaver


async def test_close_waits_until_all_that_was_accepted_is_stored(pool: Pool) -> None:
    log = Log(pool)
    calls = [asyncio.create_task(log.append([event()], meta())) for _ in range(100)]
    await asyncio.sleep(0)
    await log.close()
    assert len(await assert_sound(pool)) == 100
    assert pool.get_idle_size() == pool.get_size(), "the appender kept a connection"
    await log.close()
    await asyncio.gather(*calls)


async def test_whoever_listens_hears_of_each_commit_and_cannot_break_it(log: Log, pool: Pool) -> None:
    heard = 0
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    def hear() -> None:
        nonlocal heard
        heard += 1
        raise ValueError("the listener's own fault")

    log.on_append(hear)
    await log.append([event()], meta())
    await log.append([event()], meta())
    await asyncio.sleep(0)
    assert heard == 2
    assert [type(error) for error in told] == [ValueError, ValueError]


async def test_a_pool_of_one_connection_is_enough(database: str) -> None:
    pool = await open_pool(database, size=1)
    log = Log(pool)
    async with asyncio.timeout(20):
        await asyncio.gather(*(log.append([event()], meta()) for _ in range(50)))
        assert len(await log.read_after(0)) == 50
    pool.terminate()
