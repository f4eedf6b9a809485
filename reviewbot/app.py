"""The only file that knows everybody: opens and closes database, clients and loops, in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import structlog
from eventsourcing.persistence import OperationalError

from projections.catalog import ALL
from projections.projector import Projector
from projections.rebuild import NewerTables, prepare
from projections.swap import Blocked
from reviewbot.budgets import Budgets
from reviewbot.check_runs import Keeper
from reviewbot.config import Settings
from reviewbot.embedded import embedded_postgres
from reviewbot.erasure import make_eraser
from reviewbot.errors import ConfigError, RetryableError
from reviewbot.gauges import keep_gauges
from reviewbot.github.client import GitHub
from reviewbot.github.deliveries import get_app, retention
from reviewbot.keyrings import open_vault
from reviewbot.llm.base import Provider
from reviewbot.llm.catalog import create, find
from reviewbot.metrics import Metrics
from reviewbot.prices import known
from reviewbot.recovery.keeper import Recovery
from reviewbot.recovery.store import Store
from reviewbot.recovery.work import Tools
from reviewbot.review import RetryPolicy
from reviewbot.seals import make_sealer, newest_seal
from reviewbot.server import Server
from reviewbot.steps import Steps, StepSettings
from reviewbot.wakeups import Hub, listen
from reviewbot.worker import Worker, WorkerSettings
from schema.database import connect, open_pool
from schema.log import CHANNEL, Log
from schema.migrate import LOCK, MigrationError, migrate
from schema.processes import Processes
from schema.seal import Sealer
from schema.vault import Vault

logger = structlog.get_logger(__name__)

SLUG_WAITS = (0.0, 1.0, 2.0, 4.0)  # seconds before each try to learn the App's name from GitHub


def our_version() -> str:
    """The installed version."""
    try:
        return version("reviewbot")
    except PackageNotFoundError:
        return "unknown"


@contextlib.asynccontextmanager
async def database(settings: Settings, *, projected: bool = True) -> AsyncIterator[str]:
    """The URL of a database that is migrated; embedded when none is configured. Raises ConfigError with what to do.

    Its projections are made, unless it need not be `projected`.
    """
    async with contextlib.AsyncExitStack() as stack:
        if settings.database_url is None:
            url = await stack.enter_async_context(embedded_postgres(settings.data_dir / "postgres"))
        else:
            url = settings.database_url.reveal()
        await set_up(url, projected=projected)
        yield url


async def set_up(url: str, *, projected: bool = True) -> None:
    """Migrate, one process at a time, and make projections, one process at a time. Raises ConfigError."""
    try:
        for migration in await _migrate(url):
            logger.info("migrated", migration=migration)
        for projection in await prepare(url, ALL) if projected else []:
            logger.info("projection made", projection=projection)
    except (Blocked, MigrationError, NewerTables) as error:
        raise ConfigError(str(error)) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigError(
            f"The database user may not set up ReviewBot ({error}). It must own the database and may create roles. Let "
            "an administrator run: alter role <the user> createrole; and if another database of this server has "
            "ReviewBot too: grant reviewbot_app to <the user> with admin option;"
        ) from error


async def _migrate(url: str) -> list[str]:
    try:
        connection = await connect(url)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise ConfigError(f"The database of DATABASE_URL cannot be used: {error}") from error
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        return await migrate(connection)
    finally:
        await connection.close()


class Service:
    """One process: its role's loops over one pool of connections."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.settings, self._url = settings, url
        self.metrics = Metrics(our_version())
        self._stack = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._worker: Worker | None = None
        self._processes: Processes
        self._server: Server | None = None
        self._sealer: Sealer | None = None
        self.log: Log
        self.pool: asyncpg.Pool[asyncpg.Record]

    @property
    def port(self) -> int:
        """The port that the server listens on; of interest when PORT is 0."""
        assert self._server is not None
        return self._server.port

    async def start(self) -> None:
        """Everything that the role asks for is at work when this returns."""
        began = time.monotonic()
        settings = self.settings
        process = uuid4()
        self.pool = await open_pool(
            self._url, size=settings.concurrency * 2 + 8, name="reviewbot serve", process=str(process)
        )
        self._stack.push_async_callback(self.pool.close)
        self.log = Log(self.pool)
        self._stack.push_async_callback(self.log.close)
        self._processes = Processes(self.pool, process, settings.instance)
        vault = None if settings.role == "projector" else await open_vault(settings.keys, self.pool)
        wake_log, wake_projected = Hub(), Hub()
        if settings.role in ("all", "projector"):
            self._follow(wake_log, wake_projected)
        self.log.on_append(wake_log)
        slug = settings.github.slug
        if settings.role in ("all", "worker"):
            github = await self._github()
            slug = slug or await ask_slug(github)
            assert vault is not None
            worker, keeper = self._workers(github, slug, vault)
            wake_projected.add(worker.wake)
            wake_projected.add(keeper.wake)
            self._spawn(worker.run())
            self._spawn(keeper.run())
            recovery = make_recovery(settings, self.pool, self.log, github, self._processes, self.metrics)
            self._spawn(recovery.run())
        elif settings.role == "web" and not slug:
            slug = await ask_slug(await self._github())
        self._spawn(listen(self._url, {CHANNEL: wake_log, "projected": wake_projected}, process=str(process)))
        self._spawn(keep_gauges(self.pool, self.log, self.metrics))
        self._server = Server(
            settings,
            slug,
            self.pool,
            self.log,
            self.metrics,
            vault=vault,
            version=our_version(),
            seal_fault=lambda: self._sealer.fault if self._sealer else None,
        )
        await self._server.start()
        seconds = round(time.monotonic() - began, 3)
        logger.info("started", role=settings.role, port=self.port, provider=settings.provider.name, seconds=seconds)

    def _follow(self, wake_log: Hub, wake_projected: Hub) -> None:
        """What reads the log on: projectors, sealer, eraser."""
        for projection in ALL:
            projector = Projector(self.pool, projection, on_page=wake_projected)
            if projection.prompt:
                wake_log.add(projector.wake)
            self._spawn(projector.run())
        settings = self.settings
        self._sealer = make_sealer(settings.seal, self.pool, self._processes, self.metrics)
        wake_log.add(self._sealer.wake)
        self._spawn(self._sealer.run())
        self._spawn(make_eraser(settings.keys, self.pool, self.log, self._processes, self.metrics).run())

    async def stop(self, grace_seconds: float | None = None) -> None:
        """Take no more deliveries, finish or hand back reviews, store what was accepted, close everything."""
        if self._server is not None:
            await self._server.stop()
        if self._worker is not None:
            await self._worker.stop(grace_seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(OperationalError):  # the database is gone: the lease will run out by itself
            await self._processes.discharge()
        await self._stack.aclose()

    def _spawn(self, loop: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(loop))

    async def failed(self) -> None:
        """Returns when one of the loops has ended, which none should; raises what ended it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _github(self) -> GitHub:
        session = aiohttp.ClientSession(auto_decompress=True, trust_env=False)
        self._stack.push_async_callback(session.close)
        return make_github(self.settings, session, self.metrics)

    def _workers(self, github: GitHub, slug: str, vault: Vault) -> tuple[Worker, Keeper]:
        settings = self.settings
        provider = make_provider(settings)
        self._stack.push_async_callback(provider.close)
        budgets = Budgets(self.pool, self.log, settings.budgets, self.metrics, actor=f"worker:{settings.instance}")
        self._spawn(budgets.run())
        steps = Steps(
            vault,
            github,
            (provider, create("rules")),  # the rules cost nothing, and show the code to nobody
            StepSettings(
                max_files=settings.max_files,
                max_findings=settings.max_findings,
                max_output_tokens=settings.provider.max_output_tokens,
                max_attempts=settings.max_attempts,
                secrets=settings.secrets(),
                prices=settings.provider.prices,
                version=our_version(),
            ),
            self.metrics,
            budgets,
            bot_login=f"{slug}[bot]",
        )
        self._worker = Worker(
            self.pool,
            self.log,
            self._processes,
            steps.review,
            worker_settings(settings),
            self.metrics,
            provider=provider.name,
        )
        seal, app_id = partial(newest_seal, self.pool), settings.github.app_id
        keeper = Keeper(self.pool, self.log, github, self._processes, vault, app_id=app_id, seal=seal)
        return self._worker, keeper


def worker_settings(settings: Settings) -> WorkerSettings:
    """The worker's part of the configuration."""
    return WorkerSettings(
        concurrency=settings.concurrency,
        per_installation=settings.concurrency_per_installation,
        review_timeout=settings.review_timeout_seconds,
        lease=settings.lease_seconds,
        heartbeat=settings.heartbeat_seconds,
        stop_grace=settings.stop_grace_seconds,
        policy=RetryPolicy(
            max_attempts=settings.max_attempts,
            base_seconds=settings.retry_base_seconds,
            cap_seconds=settings.retry_cap_seconds,
        ),
    )


def check_prices(settings: Settings) -> None:
    """Raises ConfigError when there is a budget and nobody knows what the model costs: it would never be used up."""
    chosen = settings.provider
    model = chosen.model or find(chosen.name).default_model
    if settings.budgets.any and not known(chosen.name, model, datetime.now(UTC), chosen.prices):
        raise ConfigError(
            f"A budget is set, and what {model} costs is not known: set MODEL_PRICES={model}=INPUT/OUTPUT, in US "
            "dollars per million tokens."
        )


def make_provider(settings: Settings) -> Provider:
    """The configured model provider. Raises ProviderMisconfigured."""
    chosen = settings.provider
    return create(
        chosen.name,
        api_key=chosen.api_key.reveal() if chosen.api_key else "",
        model=chosen.model,
        base_url=chosen.base_url,
        context_tokens=chosen.context_tokens,
        timeout_seconds=chosen.timeout_seconds,
    )


def make_github(settings: Settings, session: aiohttp.ClientSession, metrics: Metrics) -> GitHub:
    """The way to GitHub as the configured App."""
    github = settings.github
    assert github.private_key is not None
    return GitHub(
        session,
        app_id=github.app_id,
        private_key=github.private_key.reveal(),
        api_url=github.api_url,
        timeout_seconds=github.timeout_seconds,
        user_agent=f"reviewbot/{our_version()} ({settings.instance})",
        metrics=metrics,
    )


def make_recovery(
    settings: Settings,
    pool: asyncpg.Pool[asyncpg.Record],
    log: Log,
    github: GitHub,
    processes: Processes,
    metrics: Metrics,
) -> Recovery:
    """The recovery of what GitHub sent and we did not get."""
    tools = Tools(
        log=log,
        github=github,
        store=Store(pool),
        metrics=metrics,
        actor=f"worker:{processes.instance}",
        window=retention(settings.github.api_url),
    )
    return Recovery(
        pool,
        tools,
        processes,
        recovery_seconds=settings.recovery_seconds,
        sweep_seconds=settings.sweep_seconds,
    )


async def ask_slug(github: GitHub) -> str:
    """The App's name in its address, from GitHub. Raises GitHub's errors; unreachable is tried a few times."""
    for pause in SLUG_WAITS:
        await asyncio.sleep(pause)
        try:
            return (await get_app(github.app)).slug
        except RetryableError as error:
            logger.warning("GitHub does not say the App's name yet", error=str(error))
            failure = error
    raise failure


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; the second one stops at once. Raises ConfigError before anything is opened."""
    check_prices(settings)
    async with database(settings) as url:
        service = Service(settings, url)
        stopping, at_once = asyncio.Event(), asyncio.Event()

        def stop() -> None:
            (at_once if stopping.is_set() else stopping).set()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        await service.start()
        await _first(stopping.wait(), service.failed())
        logger.info("stopping; a second signal stops at once")
        await _first(service.stop(), at_once.wait())
        if at_once.is_set():
            await service.stop(grace_seconds=0)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait for the first of several; the others are cancelled. Raises what it raised."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()
