"""A wait ends with the event, with the time, or with a cancellation, whichever comes together with which."""

from __future__ import annotations

import asyncio

import pytest

from schema.waiting import wait


async def test_an_event_that_is_set_ends_the_wait() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(wait(event, 60))
    await asyncio.sleep(0)
    event.set()
    assert await waiting is True


async def test_the_time_ends_the_wait() -> None:
    assert await wait(asyncio.Event(), 0.01) is False


async def test_a_cancellation_is_heard_even_when_the_event_is_set_in_the_same_moment() -> None:
    for passes in range(5):  # of the event loop, between the event and the cancellation
        event = asyncio.Event()

        async def loop(event: asyncio.Event = event) -> None:
            while True:
                event.clear()
                await wait(event, 60)

        looping = asyncio.create_task(loop())
        await asyncio.sleep(0.01)
        event.set()
        for _ in range(passes):
            await asyncio.sleep(0)
        looping.cancel()
        done, _ = await asyncio.wait([looping], timeout=5)
        assert done == {looping}, f"it goes on when cancelled {passes} passes after the event"
        with pytest.raises(asyncio.CancelledError):
            looping.result()
