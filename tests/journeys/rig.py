"""The whole way in one place: GitHub's stand-in, a model, a database, and the service as real processes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg

from projections.jobs.rows import OPEN, Job
from reviewbot.demo.run import new_app_key
from reviewbot.demo.standin import Standin
from reviewbot.demo.state import CheckRun, Review
from schema.database import open_pool
from tests.demo.contract import check_exchanges
from tests.helpers import ENCRYPTION_KEY, wait_until
from tests.journeys.model import Model

ROOT = Path(__file__).parents[2]
SECRET = "It's a Secret to Everybody"
APP_ID = 7


@dataclass(frozen=True)
class Process:
    """One process of the service, which writes what it says to a file."""

    pid: int
    output: Path
    poll: Callable[[], int | None]  # its exit code, negative for a signal; None while it runs

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        return [json.loads(line) for line in self.story().splitlines() if line.startswith("{") and line.endswith("}")]

    @property
    def url(self) -> str:
        """The address of its server, once it has started."""
        return f"http://127.0.0.1:{self.said('started')[0]['port']}"

    def said(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of that event."""
        return [line for line in self.lines if line.get("message") == event]

    def story(self) -> str:
        """All that it said."""
        return self.output.read_text("utf-8", "replace")

    async def started(self) -> None:
        """Returns when it is at work. Fails with what it said when it ended before."""
        with contextlib.suppress(AssertionError):
            await wait_until(lambda: self.said("started") or self.poll() is not None, seconds=20)
        assert self.said("started"), self.story() or "it says nothing"

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self, seconds: float = 30.0) -> int:
        """Wait for its end; gives the exit code, negative for a signal."""
        await wait_until(lambda: self.poll() is not None, seconds=seconds, what=f"the end of process {self.pid}")
        code = self.poll()
        assert code is not None
        return code


Launch = Callable[[list[str], dict[str, str], Path], Process]  # arguments, environment, where to write what it says


def command(arguments: list[str], environment: dict[str, str], output: Path) -> Process:
    """Start `reviewbot serve` as an operator would."""
    with output.open("wb") as file:
        started = subprocess.Popen(
            [sys.executable, "-m", "reviewbot", "serve", *arguments],
            cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    return Process(started.pid, output, started.poll)


@dataclass
class Rig:
    """Everything around the service; `serve` starts it, as often and in as many roles as wanted."""

    standin: Standin
    model: Model
    database: str
    pool: asyncpg.Pool[asyncpg.Record]  # with the rights of the application
    http: aiohttp.ClientSession
    repository: Path
    environment: dict[str, str]
    folder: Path  # where processes write what they say
    processes: list[Process] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def serve(
        self, role: str = "all", *, instance: str = "one", launch: Launch = command, **settings: object
    ) -> Process:
        """Start a process and wait until it is at work; deliveries go to the newest one that takes any.

        `settings` are environment variables.
        """
        process = self.launch(role, instance=instance, launch=launch, **settings)
        await process.started()
        if role in ("all", "web"):
            self.standin.webhooks.url = f"{process.url}/webhooks/github"
        return process

    def launch(
        self, role: str = "all", *, instance: str = "one", launch: Launch = command, **settings: object
    ) -> Process:
        """Start a process and do not wait."""
        own = {name: str(value) for name, value in settings.items()}
        output = self.folder / f"{len(self.processes)}-{instance}-{role}.log"
        process = launch(["--role", role], {**self.environment, "INSTANCE": instance, **own}, output)
        self.processes.append(process)
        return process

    async def new_place(self) -> Place:
        """A repository of its own under an installation of its own."""
        name = f"acme-{next(self._numbers)}/shop"
        repository = await self.standin.add_repository(name, self.repository)
        return Place(self, name, repository.id)

    async def close(self) -> None:
        """End every process that still runs."""
        for process in self.processes:
            if process.poll() is None:
                await process.kill()

    async def job_rows(self) -> list[Job]:
        """The whole job table."""
        return [Job(**row) for row in await self.pool.fetch("select * from jobs order by request_position")]


@dataclass
class Place:
    """One repository, as seen by its people. Each thing they do happens a second after the one before."""

    rig: Rig
    name: str
    id: int

    @property
    def standin(self) -> Standin:
        """The stand-in, a second later: GitHub's times have no fractions, and people are slower than tests."""
        self.rig.standin.world.advance(1)
        return self.rig.standin

    async def open(
        self,
        head: str = "topic",
        *,
        base: str = "main",
        title: str = "A change",
        draft: bool = False,
        fork: bool = False,
    ) -> int:
        """Open a pull request; gives its number."""
        return await self.standin.open_pull_request(
            self.name, base=base, head=head, title=title, draft=draft, fork=fork
        )

    async def jobs(self, number: int = 1) -> list[Job]:
        """The jobs of a pull request, in the order of their requests."""
        return [job for job in await self.rig.job_rows() if job.repository_id == self.id and job.pull_request == number]

    async def states(self, number: int = 1) -> list[str]:
        """The states of its jobs, in the order of their requests."""
        return [job.state for job in await self.jobs(number)]

    def reviews(self, number: int = 1) -> list[Review]:
        """The reviews that people can see."""
        return [review for review in self.rig.standin.reviews(self.name, number) if review.state != "PENDING"]

    def check_runs(self) -> list[CheckRun]:
        return self.rig.standin.check_runs(self.name)

    def conclusions(self) -> list[str | None]:
        """How each Check Run of the repository ended, oldest first; None: it has not."""
        return [run.conclusion for run in self.check_runs()]

    async def reaches(self, *states: str, number: int = 1, seconds: float = 30.0) -> list[Job]:
        """Wait until the jobs of a pull request are in exactly these states."""
        await wait_until(self._in(states, number), seconds=seconds, what=f"{self.name}#{number} in {states}")
        return await self.jobs(number)

    async def ends(self, *states: str, number: int = 1, seconds: float = 30.0) -> list[Job]:
        """As `reaches`, and everything that GitHub has to show of it stands there."""
        await self.reaches(*states, number=number, seconds=seconds)

        async def shown() -> bool:
            jobs = await self.jobs(number)
            return all(job.state not in OPEN and (job.check_concluded or job.head_sha is None) for job in jobs)

        await wait_until(shown, seconds=seconds, what=f"the Check Runs of {self.name}#{number} concluded")
        return await self.jobs(number)

    def replay(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """`reviewbot replay`, with settings that differ from those of the service."""
        environment = {**self.rig.environment, "MODEL": "another", "MAX_FINDINGS": "1", "MAX_FILES": "1"}
        return subprocess.run(
            [sys.executable, "-m", "reviewbot", "replay", *map(str, arguments)],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    async def delivered(self) -> list[str]:
        """What was answered to the deliveries about this repository."""
        return [
            f"{delivery.message.event}.{delivery.message.action} {delivery.status_code} {delivery.response_body}"
            for delivery in self.rig.standin.deliveries
            if delivery.message.repository_id == self.id
        ]

    def _in(self, states: Sequence[str], number: int) -> Any:
        async def compare() -> bool:
            return await self.states(number) == list(states)

        return compare


@asynccontextmanager
async def make_rig(database: str, repository: Path, **settings: object) -> AsyncIterator[Rig]:
    """A rig on a database that is migrated. At the end every exchange with GitHub is held to GitHub's description."""
    private, public = new_app_key()
    standin = Standin(app_id=APP_ID, public_key_pem=public, webhook_secret=SECRET)
    model = Model()
    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(standin.serve())
        model_url = await stack.enter_async_context(model.serve())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        pool = await open_pool(database, size=3)
        stack.callback(pool.terminate)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reviewbot-tests-")))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DATABASE_URL": database,
            "ENCRYPTION_KEY": ENCRYPTION_KEY,
            "DATA_DIR": str(folder),
            "HOST": "127.0.0.1",
            "PORT": "0",
            "GITHUB_APP_ID": str(APP_ID),
            "GITHUB_APP_SLUG": "reviewbot",
            "GITHUB_PRIVATE_KEY": private,
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "GITHUB_API_URL": api,
            "PROVIDER": "openai-compatible",
            "OPENAI_BASE_URL": model_url,
            "MODEL": "some-model",
            "RETRY_BASE_SECONDS": "0",
            **{name: str(value) for name, value in settings.items()},
        }
        rig = Rig(standin, model, database, pool, http, repository, environment, folder)
        stack.push_async_callback(rig.close)
        yield rig
        await standin.settle()
        check_exchanges(standin.requests)


def job_of_run(run: CheckRun) -> UUID:
    """The job that a Check Run is about."""
    return UUID(run.external_id)
