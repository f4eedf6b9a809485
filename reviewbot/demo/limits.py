"""The primary rate limit: so many requests an hour for each installation."""

from __future__ import annotations

import msgspec

from reviewbot.demo.answers import ApiError
from reviewbot.demo.state import World

WINDOW_SECONDS = 3600


class Bucket(msgspec.Struct):
    """What one caller has used of its hour. `reset` is in epoch seconds."""

    limit: int
    reset: float
    used: int = 0

    @property
    def remaining(self) -> int:
        """Requests left in this window."""
        return max(0, self.limit - self.used)

    def headers(self) -> dict[str, str]:
        """The x-ratelimit headers of every answer."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(int(self.reset)),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Resource": "core",
        }


class RateLimits:
    """One bucket per caller; a window starts with its first request."""

    def __init__(self, world: World, limit: int) -> None:
        self._world = world
        self._limit = limit
        self._buckets: dict[str, Bucket] = {}

    def bucket(self, key: str) -> Bucket:
        """The caller's bucket in the window of now."""
        now = self._world.now()
        bucket = self._buckets.get(key)
        if bucket is None or bucket.reset <= now:
            bucket = self._buckets[key] = Bucket(self._limit, now + WINDOW_SECONDS)
        return bucket

    def take(self, key: str) -> None:
        """Count one request. Raises ApiError 403 when nothing is left."""
        bucket = self.bucket(key)
        if bucket.remaining == 0:
            raise ApiError(403, f"API rate limit exceeded for {key}.")
        bucket.used += 1

    def give_back(self, key: str) -> None:
        """A 304 does not count."""
        bucket = self.bucket(key)
        bucket.used = max(0, bucket.used - 1)

    def use_up(self, key: str, seconds: float) -> None:
        """Leave nothing until `seconds` from now."""
        bucket = self.bucket(key)
        bucket.used, bucket.reset = bucket.limit, self._world.now() + seconds
