"""The ground of the recovery's tests: GitHub's stand-in, our webhook door, and a recovery between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import aiohttp
import msgspec

from reviewbot.demo.standin import Standin
from reviewbot.demo.webhooks import Delivery
from reviewbot.github.client import GitHub
from reviewbot.metrics import Metrics
from reviewbot.recovery.deliveries import Bounds, Recovered
from reviewbot.recovery.keeper import Recovery
from reviewbot.recovery.store import Store
from reviewbot.recovery.sweep import Reach, Swept
from reviewbot.recovery.work import Tools
from schema.events import Fact, ReviewRequested
from schema.processes import Processes
from tests.deliveries import APP_ID
from tests.intake import Service

REPO = "acme/shop"
INSTALLATION = 42
WINDOW = timedelta(days=3)


class Recoverer(msgspec.Struct, frozen=True):
    """One process that recovers, and what it counts."""

    recovery: Recovery
    metrics: Metrics
    store: Store

    async def recover(self) -> Recovered:
        """One run over the deliveries."""
        found = Recovered()
        async with self.recovery.lease() as held:
            assert held
            await self.recovery.recover(found)
        return found

    async def sweep(self, *, everything: bool = False) -> Swept:
        """One sweep."""
        swept = Swept()
        async with self.recovery.lease() as held:
            assert held
            await self.recovery.sweep(swept, everything=everything)
        return swept

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric; 0 before it was counted for the first time."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@dataclass
class Ground:
    """GitHub, our door and the database."""

    standin: Standin
    api: str
    private_key: str
    service: Service
    session: aiohttp.ClientSession
    deaf: str  # the address of somebody who says OK and keeps nothing

    def recoverer(self, *, bounds: Bounds | None = None, reach: Reach | None = None) -> Recoverer:
        """A process of its own, with a way to GitHub of its own; it does not pause and gives no grace."""
        metrics, store = Metrics(), Store(self.service.pool)
        github = GitHub(
            self.session,
            app_id=APP_ID,
            private_key=self.private_key,
            api_url=self.api,
            metrics=metrics,
            write_limits=(),
        )
        tools = Tools(
            log=self.service.log, github=github, store=store, metrics=metrics, actor="worker:test", window=WINDOW
        )
        recovery = Recovery(
            self.service.pool,
            tools,
            Processes(self.service.pool, uuid4(), "test"),
            recovery_seconds=300,
            sweep_seconds=3_600,
            bounds=bounds or Bounds(pace=0.0),
            reach=reach or Reach(grace=timedelta()),
        )
        return Recoverer(recovery, metrics, store)

    def hears(self) -> None:
        """Deliveries reach us."""
        self.standin.webhooks.mode, self.standin.webhooks.url = "normal", self._door

    def is_down(self) -> None:
        """Deliveries fail."""
        self.standin.webhooks.mode, self.standin.webhooks.url = "normal", None

    def is_deaf(self) -> None:
        """Deliveries are acknowledged, and nobody keeps them."""
        self.standin.webhooks.mode, self.standin.webhooks.url = "normal", self.deaf

    def is_forgotten(self) -> None:
        """GitHub sends nothing."""
        self.standin.webhooks.mode = "held"

    async def open(self, times: int = 1, *, head: str = "topic", author: str = "octocat", draft: bool = False) -> int:
        """Open pull requests; gives the number of the last one."""
        for _ in range(times):
            number = await self.standin.open_pull_request(
                REPO, base="main", head=head, title="A change", author=author, draft=draft
            )
        return number

    async def pings(self, times: int) -> None:
        """Deliveries that cost nothing."""
        for _ in range(times):
            await self.standin.webhooks.deliver("ping", {"zen": "Keep it logically awesome."})

    async def facts(self, *kinds: type[Fact]) -> list[Fact]:
        """The facts of some kinds in the log."""
        return [fact for fact in await self.service.facts() if isinstance(fact, kinds)]

    async def requests(self) -> list[tuple[int, str]]:
        """The pull requests whose review was asked for, each with what asked, in order."""
        found = await self.facts(ReviewRequested)
        return sorted((fact.pull_request, fact.trigger) for fact in found if isinstance(fact, ReviewRequested))

    async def faults(self) -> list[str]:
        """What is wrong when everything should have been recovered."""
        asked = Counter(number for number, _ in await self.requests())
        faults = [
            f"the review of {number} was asked for {asked[number]} times"
            for number in self.standin.repository(REPO).pulls
            if asked[number] != 1
        ]
        kept = {row["delivery"] for row in await self.service.pool.fetch("select delivery from inbox")}
        listed = {UUID(delivery.message.guid) for delivery in self.standin.deliveries}
        faults += [f"delivery {guid} is not in the inbox" for guid in listed - kept]
        return faults

    def asked_again(self) -> Counter[str]:
        """How often each delivery was sent again, by guid."""
        return Counter(each.message.guid for each in self.standin.deliveries if each.redelivery)

    def change_newest(self, **changes: object) -> Delivery:
        """Rewrite GitHub's memory of its newest delivery."""
        log = self.standin.webhooks.log
        log[-1] = msgspec.structs.replace(log[-1], **changes)
        return log[-1]

    @property
    def _door(self) -> str:
        return f"http://127.0.0.1:{self.service.port}/webhooks/github"
