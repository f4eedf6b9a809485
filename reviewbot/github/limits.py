"""What may be sent to GitHub, and when: one gate per installation that remembers limits and paces writes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext

import structlog

from reviewbot.errors import GitHubRateLimited
from reviewbot.github.clock import Clock
from reviewbot.github.replies import Reply, budget_is_spent, is_rate_limited, limit_wait
from reviewbot.metrics import Metrics

# (requests, seconds): content-creating requests that GitHub accepts.
# Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
WRITE_LIMITS = ((80, 60.0), (500, 3600.0))

_CONCURRENT = 4  # GitHub asks for serial requests; a few reads at once keep a review quick and far below its 100
_LONGEST_SLEEP = 5.0  # seconds; a longer wait for a free write is handed to the worker as a limit
_FIRST_PENALTY = 60.0  # seconds, when GitHub says neither how long nor until when; doubled each time
_LONGEST_PENALTY = 1800.0

log = structlog.get_logger(__name__)


class Gate:
    """Everything of one installation passes here: few at once, writes one by one, nothing while it is limited."""

    def __init__(
        self, name: str, clock: Clock, metrics: Metrics, *, write_limits: Sequence[tuple[int, float]] = WRITE_LIMITS
    ) -> None:
        self._name = name
        self._clock = clock
        self._waited = metrics.github_wait
        self._write_limits = tuple(write_limits)
        self._slots = asyncio.Semaphore(_CONCURRENT)
        self._writing = asyncio.Lock()
        self._written_at: deque[float] = deque(maxlen=max((count for count, _ in write_limits), default=1))
        self._inside = 0
        self._closed_until = 0.0
        self._penalties = 0

    @asynccontextmanager
    async def passage(self, *, writes: bool) -> AsyncIterator[None]:
        """Hold this while a request is under way. GitHubRateLimited, with nothing sent, while a limit is in force."""
        self._inside += 1
        try:
            # The writers' queue comes first: waiting writes shall not take the slots of reads.
            async with self._writing if writes else nullcontext(), self._slots:
                self._refuse_while_closed()
                if writes:
                    await self._wait_for_a_write()
                    self._refuse_while_closed()  # a read may have met a limit meanwhile
                    self._written_at.append(self._clock.monotonic())
                yield
        finally:
            self._inside -= 1

    def learn(self, reply: Reply) -> None:
        """Take note of what an answer says about limits; GitHubRateLimited when the request itself fell to one."""
        wait = limit_wait(reply, wall=self._clock.wall())
        if is_rate_limited(reply):
            self._close(self._penalty() if wait is None else wait)
            self._refuse_while_closed()
            # A Retry-After of 0 closes nothing, and still the request was not carried out.
            raise GitHubRateLimited(retry_after=0.0)
        if not reply.ok:
            return
        self._penalties = 0
        if wait is not None and budget_is_spent(reply):
            self._close(wait)

    @property
    def idle(self) -> bool:
        """True when forgetting this gate would lose nothing."""
        now = self._clock.monotonic()
        longest = max((seconds for _, seconds in self._write_limits), default=0.0)
        recent = bool(self._written_at) and self._written_at[-1] + longest > now
        return not recent and self._closed_until <= now and self._inside == 0

    def _refuse_while_closed(self) -> None:
        wait = self._closed_until - self._clock.monotonic()
        if wait > 0:
            raise GitHubRateLimited(f"GitHub's rate limit for {self._name} is used up.", retry_after=wait)

    def _close(self, seconds: float) -> None:
        self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)
        log.warning("github_rate_limited", limited=self._name, wait_seconds=round(seconds))

    def _penalty(self) -> float:
        seconds = min(_FIRST_PENALTY * (1 << self._penalties), _LONGEST_PENALTY)
        self._penalties = min(self._penalties + 1, 16)
        return seconds

    async def _wait_for_a_write(self) -> None:
        """Return when one more write keeps every window of time within its limit."""
        now = self._clock.monotonic()
        wait = 0.0
        for count, seconds in self._write_limits:
            if len(self._written_at) >= count:
                wait = max(wait, self._written_at[-count] + seconds - now)
        if wait > _LONGEST_SLEEP:
            raise GitHubRateLimited(f"{self._name} has written as much as GitHub accepts for now.", retry_after=wait)
        if wait > 0:
            self._waited.inc(wait)
            await self._clock.sleep(wait)
