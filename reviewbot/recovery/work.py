"""What both halves of the recovery work with: the log, GitHub, the store, a lease to hold and somebody to tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID, uuid4, uuid5

import msgspec
from eventsourcing.persistence import IntegrityError, StoredEvent

from reviewbot.errors import RetryableError
from reviewbot.github.client import GitHub
from reviewbot.metrics import Metrics
from reviewbot.recovery.store import Store
from reviewbot.review import NAMESPACE
from schema.codec import encode
from schema.events import Fact
from schema.log import Log, Meta

Hold: TypeAlias = Callable[[], Awaitable[None]]  # keeps the lease; raises LeaseLost. Called before each request
Tell: TypeAlias = Callable[[str, int, int], None]  # how far it is: what is being done, how much of it, of how much


class LeaseLost(RetryableError):
    """Another process has taken the recovery over."""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """One process's means of recovery."""

    log: Log
    github: GitHub
    store: Store
    metrics: Metrics
    actor: str
    window: timedelta  # how long GitHub lists a delivery and sends it again

    def meta(self, *, installation: int | None = None, delivery: UUID | None = None) -> Meta:
        """Whose doing the events of the recovery are."""
        return Meta(actor=self.actor, correlation=delivery or uuid4(), installation=installation, delivery=delivery)

    async def say_once(
        self, about: str, fact: Fact, *, installation: int | None = None, delivery: UUID | None = None
    ) -> bool:
        """Append a fact unless it was said before; `about` names what it is about. False: it was."""
        event = StoredEvent(uuid5(NAMESPACE, about), 1, fact.TOPIC, encode(fact))
        try:
            await self.log.append([event], self.meta(installation=installation, delivery=delivery))
        except IntegrityError:
            return False
        return True


def to_nobody(_what: str, _done: int, _total: int) -> None:
    """The `Tell` of the service, which shows no progress."""
