"""The middle of ReviewBot between real ends: GitHub's stand-in, the log on Postgres, a model that does as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import msgspec
from eventsourcing.persistence import StoredEvent

from projections.catalog import ALL
from projections.jobs import read
from projections.jobs.rows import Job
from projections.projector import Projector, lag
from reviewbot.budgets import Budgets
from reviewbot.check_runs import Keeper
from reviewbot.config import BudgetSettings
from reviewbot.demo import state
from reviewbot.demo.standin import Standin
from reviewbot.github.client import Client, GitHub
from reviewbot.github.clock import Clock
from reviewbot.metrics import Metrics
from reviewbot.review import PUSH, RetryPolicy, job_id
from reviewbot.steps import Steps, StepSettings
from reviewbot.story import Story
from reviewbot.worker import Worker, WorkerSettings
from schema.codec import encode
from schema.events import Fact, ReviewRequested, Trigger
from schema.log import Log, Meta
from schema.processes import Processes
from schema.vault import Vault
from tests.demo.hub import APP_ID, INSTALLATION, REPO, SECRET, Commits
from tests.fakes import FakeProvider
from tests.helpers import KEYRING, project, wait_until

BOT = "reviewbot[bot]"
EAGER = RetryPolicy(base_seconds=0.0)  # tries again at once


@asynccontextmanager
async def github_world(commits: Commits, key: tuple[str, str]) -> AsyncIterator[tuple[Standin, GitHub]]:
    """The stand-in with the sample repository, and the bot's client for it."""
    private, public = key
    standin = Standin(app_id=APP_ID, public_key_pem=public, webhook_secret=SECRET)
    await standin.add_repository(REPO, commits.path, installation_id=INSTALLATION)
    async with aiohttp.ClientSession() as session, standin.serve() as url:
        github = GitHub(
            session,
            app_id=APP_ID,
            private_key=private,
            api_url=url,
            timeout_seconds=5,
            write_limits=(),
            clock=Clock(sleep=_without_waiting),
        )
        yield standin, github


async def _without_waiting(_: float) -> None:
    await asyncio.sleep(0)


def client_of(standin: Standin, github: GitHub) -> Client:
    """The client that a review of the sample repository uses."""
    return github.installation(INSTALLATION, standin.repository(REPO).id)


def visible(standin: Standin, number: int = 1) -> list[state.Review]:
    """Our own reviews that everybody sees."""
    return [
        review for review in standin.reviews(REPO, number) if review.state != "PENDING" and review.author.login == BOT
    ]


@dataclass
class World:
    """Everything that a review takes. Nothing runs by itself, unless a test lets it."""

    standin: Standin
    github: GitHub
    commits: Commits
    pool: asyncpg.Pool[asyncpg.Record]
    log: Log
    provider: FakeProvider = field(default_factory=FakeProvider)
    metrics: Metrics = field(default_factory=Metrics)
    budgets: BudgetSettings = field(default_factory=BudgetSettings)
    vault: Vault = field(init=False)

    def __post_init__(self) -> None:
        self.vault = Vault(self.pool, KEYRING)

    async def open(self, head: str = "topic", **options: Any) -> int:
        """Open a pull request from main."""
        return await self.standin.open_pull_request(REPO, base="main", head=head, title="A change", **options)

    async def request(
        self,
        number: int = 1,
        *,
        head_sha: str | None = "",
        trigger: Trigger = "opened",
        key: str = PUSH,
        asked_at: datetime | None = None,
        commenter: str | None = None,
    ) -> UUID:
        """Ask for a review, by default of the pull request's head of now; a comment comes with its raw delivery."""
        pull = self.standin.pull(REPO, number)
        fact = ReviewRequested(
            installation=INSTALLATION,
            repository_id=self.standin.repository(REPO).id,
            repository=REPO,
            pull_request=number,
            head_sha=pull.head_sha if head_sha == "" else head_sha,
            trigger=trigger,
            asked_at=asked_at or datetime.fromtimestamp(int(pull.updated_at), UTC),
        )
        job = job_id(fact.installation, fact.repository_id, number, fact.head_sha, key)
        version = len(await self.log.read_stream(job)) + 1
        delivery = uuid4()
        raw = None
        if commenter is not None:
            body = msgspec.json.encode({"comment": {"id": 1, "user": {"login": commenter}}})
            raw = await self.vault.pack_delivery(INSTALLATION, delivery, "issue_comment", {}, body)
        about = Meta(actor="github", correlation=delivery, installation=INSTALLATION, delivery=delivery)
        await self.log.append([StoredEvent(job, version, fact.TOPIC, encode(fact))], about, delivery=raw)
        await project(self.pool)
        return job

    async def row(self, job: UUID) -> Job:
        """The job as the table has it, after everything in the log."""
        await wait_until(self._caught_up, what="the projector")
        found = await read.get(self.pool, job)
        assert found is not None
        return found

    async def _caught_up(self) -> bool:
        await project(self.pool)  # does nothing while another one is at it, which may stop before it is done
        return all(each.behind == 0 for each in await lag(self.pool))

    async def facts(self, job: UUID) -> list[Fact]:
        """What the job's own stream tells."""
        return [event.fact for event in await self.log.read_stream(job)]

    async def told(self, job: UUID) -> list[str]:
        """The names of what the job's own stream tells."""
        return [event.topic for event in await self.log.read_stream(job)]

    # --- by hand ------------------------------------------------------------------------------------------------

    async def claim(self, instance: str = "one") -> Job:
        """Claim the one job that is due."""
        await project(self.pool)
        worker = read.Worker(uuid4(), instance)
        limit = timedelta(minutes=10)
        (job,) = await read.claim(self.pool, worker, slots=1, limit=limit, per_installation=9, provider="fake")
        return job

    def steps(self, **settings: Any) -> Steps:
        """The steps of a review, with the world's provider."""
        return Steps(
            self.vault,
            self.github,
            [self.provider],
            StepSettings(**settings),
            self.metrics,
            self.limited(self.budgets),
            bot_login=BOT,
        )

    def limited(self, budgets: BudgetSettings) -> Budgets:
        """These budgets, held against the log."""
        return Budgets(self.pool, self.log, budgets, self.metrics, actor="worker:one")

    def story(self, row: Job) -> Story:
        """The story of a claimed job."""
        return Story(self.log, row, "worker:one")

    async def hand_back(self, row: Job, policy: RetryPolicy = EAGER) -> None:
        """What the sweep of another worker does when the one that had the job is gone."""
        story = self.story(row)
        now = datetime.now(UTC) - timedelta(seconds=1)
        await story.decide(
            lambda job: job.fail("worker_lost", "It is gone.", policy=policy, now=now, jitter=0.0, retryable=True)
        )
        await project(self.pool)

    # --- by itself ----------------------------------------------------------------------------------------------

    def worker(
        self, review: Callable[[Story], Awaitable[None]] | None = None, *, instance: str = "one", **settings: Any
    ) -> Worker:
        """A quick worker."""
        chosen: dict[str, Any] = {"heartbeat": 0.05, "poll": 0.05, "policy": EAGER, "stop_grace": 5.0} | settings
        return Worker(
            self.pool,
            self.log,
            Processes(self.pool, uuid4(), instance),
            review or self.steps().review,
            WorkerSettings(**chosen),
            self.metrics,
            provider=self.provider.name,
        )

    def keeper(self, instance: str = "one") -> Keeper:
        """A keeper of Check Runs."""
        processes = Processes(self.pool, uuid4(), instance)
        return Keeper(self.pool, self.log, self.github, processes, self.vault, app_id=APP_ID)

    @asynccontextmanager
    async def running(self, *workers: Worker) -> AsyncIterator[None]:
        """The projector and the workers at work until the block ends, then cut off without a word."""
        projectors = [Projector(self.pool, each, poll_seconds=0.05) for each in ALL]
        for projector in projectors:
            self.log.on_append(projector.wake)
        loops = [asyncio.create_task(each.run()) for each in projectors]
        loops += [asyncio.create_task(each.run()) for each in workers]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*loops)
