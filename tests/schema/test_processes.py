"""Registrations and leases: one holder at a time, by the database's clock."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from eventsourcing.persistence import OperationalError

from schema.processes import Processes
from tests.schema.given import Pool


def process(pool: Pool, instance: str = "one") -> Processes:
    return Processes(pool, uuid4(), instance)


async def test_of_many_that_want_a_lease_exactly_one_gets_it_and_keeps_it(pool: Pool) -> None:
    wanting = [process(pool, f"node {number}") for number in range(5)]
    got = await asyncio.gather(*(each.take_lease("sweep", 30) for each in wanting))
    assert got.count(True) == 1
    assert await asyncio.gather(*(each.take_lease("sweep", 30) for each in wanting)) == got
    assert await wanting[0].take_lease("another", 30)


async def test_a_lease_that_ran_out_goes_to_whoever_asks(pool: Pool) -> None:
    first, second = process(pool), process(pool, "two")
    assert await first.take_lease("sweep", -1)
    assert await second.take_lease("sweep", 30)
    assert not await first.take_lease("sweep", 30)


async def test_only_a_process_that_is_enlisted_lives(pool: Pool) -> None:
    one = process(pool)
    assert not await one.beat()
    await one.enlist()
    assert await one.beat()
    await one.discharge()
    assert not await one.beat()


async def test_a_beat_moves_the_time_of_the_process_that_beats_and_no_other(pool: Pool) -> None:
    one, other = process(pool), process(pool, "two")
    await one.enlist()
    await other.enlist()
    await pool.execute("update worker set beat_at = now() - interval '1 hour'")
    await one.beat()
    fresh = await pool.fetch("select id from worker where beat_at > now() - interval '1 minute'")
    assert [row["id"] for row in fresh] == [one.id]


async def test_a_successor_ends_its_predecessor_and_has_its_leases_at_once(pool: Pool) -> None:
    old, stranger = process(pool), process(pool, "two")
    await old.enlist()
    await stranger.enlist()
    assert await old.take_lease("sweep", 3600)
    new = process(pool)
    await new.enlist()
    assert not await old.beat()
    assert await stranger.beat()
    assert await new.take_lease("sweep", 30)


async def test_a_process_that_ends_in_good_order_frees_its_leases_and_long_dead_ones_are_forgotten(pool: Pool) -> None:
    one, other = process(pool), process(pool, "two")
    await one.enlist()
    await other.enlist()
    assert await one.take_lease("sweep", 3600)
    await pool.execute("update worker set beat_at = now() - interval '2 days' where id = $1", other.id)
    await one.discharge()
    assert await pool.fetchval("select count(*) from worker") == 0
    assert await other.take_lease("sweep", 30)


async def test_without_a_database_every_question_is_an_operational_error(pool: Pool) -> None:
    one = process(pool)
    await pool.close()
    for ask in (one.enlist, one.beat, one.discharge, lambda: one.take_lease("sweep", 1)):
        with pytest.raises(OperationalError):
            await ask()
