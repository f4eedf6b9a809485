"""Waits for an event, but not for ever: how every loop rests between its rounds."""

from __future__ import annotations

import asyncio


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Until the event is set or the time is over; returns whether it is set.

    `asyncio.wait_for` will not do: before Python 3.12 it loses a cancellation that comes together with the event, and
    the loop that was to stop goes on for ever.
    Source: https://github.com/python/cpython/issues/86296
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
