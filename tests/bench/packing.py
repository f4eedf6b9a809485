"""What encryption adds to a delivery inside the web request, beside the compression that was there before."""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable
from uuid import UUID

from schema.inbox import delivery_place, pack_delivery
from schema.keys import KEY_BYTES, DataKey
from tests.bench.ground import Ground
from tests.deliveries import SAMPLES

CALLS = 500
SIZE = 8_000  # bytes, as the other deliveries of the benchmarks


async def measure(ground: Ground) -> None:
    """pack_us and seal_us, for one delivery."""
    body = (SAMPLES / "pull_request.opened.json").read_bytes()[:SIZE]
    key, delivery = DataKey(UUID(int=1), 1, secrets.token_bytes(KEY_BYTES)), UUID(int=2)
    packed, place = zlib.compress(body, 1), delivery_place(delivery, "pull_request")
    rounds = range(ground.sizes.rounds)
    pack = [_microseconds(lambda: pack_delivery(key, delivery, "pull_request", {}, body)) for _ in rounds]
    seal = [_microseconds(lambda: key.seal(place, packed)) for _ in rounds]
    ground.figures.add("pack_us", "us", pack)
    ground.figures.add("seal_us", "us", seal)


def _microseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - began) / CALLS * 1e6
