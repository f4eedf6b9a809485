"""The demo: a pull request made of real commits goes the whole way, and each step is shown as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import msgspec
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax

from reviewbot.app import Service, set_up
from reviewbot.audit import history, sentence
from reviewbot.config import Settings, load
from reviewbot.demo.run import new_app_key
from reviewbot.demo.standin import Standin
from reviewbot.embedded import embedded_postgres
from reviewbot.errors import FinalError
from reviewbot.local import git, resolve
from reviewbot.render import find_marker
from schema.codec import Recorded
from schema.events import ReviewCancelled, ReviewCompleted, ReviewFailed, ReviewSkipped, ReviewSuperseded

REPOSITORY = "demo/repository"
NEWEST_COMMITS = 5
PATIENCE_SECONDS = 600.0  # a slow model may take its time


class DemoFailed(FinalError):
    """The demo did not end with a posted review."""


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """What to show: the commits `base`..`head` of the git repository in `folder`."""

    folder: Path
    base: str
    head: str
    title: str
    body: str


async def choose(folder: Path, revisions: str | None) -> Demo:
    """The commits of a range a..b, or the newest ones. Raises GitFailed or DemoFailed."""
    if revisions is None:
        count = int(await git(folder, "rev-list", "--count", "--first-parent", "HEAD"))
        if count < 2:
            raise DemoFailed(
                f"{folder} has only {count} commit: name a repository with REPO=path, or a range with RANGE=a..b."
            )
        revisions = f"HEAD~{min(NEWEST_COMMITS, count - 1)}..HEAD"
    left, dots, right = revisions.partition("..")
    if not dots:
        raise DemoFailed(f"{revisions!r} is no range: write RANGE=a..b.")
    base, head = await resolve(folder, left or "HEAD"), await resolve(folder, right.removeprefix(".") or "HEAD")
    subjects = (await git(folder, "log", "--format=%s", f"{base}..{head}")).decode("utf-8", "replace").splitlines()
    if not subjects:
        raise DemoFailed(f"{revisions} holds no commits.")
    title = subjects[0] if len(subjects) == 1 else f"{subjects[0]} (and {len(subjects) - 1} more commits)"
    return Demo(folder=folder, base=base, head=head, title=title, body="\n".join(f"- {s}" for s in reversed(subjects)))


async def run_demo(demo: Demo, environ: Mapping[str, str], console: Console, *, once: bool, port: int = 0) -> None:
    """Show everything, then serve until cancelled; with `once` end after the review. Raises DemoFailed."""
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="reviewbot-demo-", ignore_cleanup_errors=True))
        )
        console.print(f"Pull request: [bold]{escape(demo.title)}[/bold]  {demo.base[:12]}..{demo.head[:12]}")
        private, public = new_app_key()
        secret = secrets.token_hex(20)
        standin = Standin(app_id=1, public_key_pem=public, webhook_secret=secret)
        await standin.add_repository(REPOSITORY, demo.folder)
        api = await stack.enter_async_context(standin.serve(port=port))
        url = await stack.enter_async_context(embedded_postgres(folder / "postgres"))
        await set_up(url)
        service = Service(_settings(environ, api, private, secret), url)
        await service.start()
        stack.push_async_callback(service.stop, 0)
        standin.webhooks.url = f"http://127.0.0.1:{service.port}/webhooks/github"
        console.print(
            f"Everything is up after {time.monotonic() - began:.1f} s: Postgres, the service on port {service.port}, "
            f"and a GitHub stand-in on {standin.world.html_url}. Provider: {service.settings.provider.name}."
        )
        teller = asyncio.create_task(_tell(service, console))
        try:
            await _show(demo, standin, service, console, began)
            if not once:
                console.print("\nServing until Ctrl-C: push, comment or re-run with the stand-in's control endpoint,")
                console.print(f"  curl {standin.world.html_url}/_standin")
                await asyncio.Event().wait()
        finally:
            teller.cancel()


def _settings(environ: Mapping[str, str], api: str, private_key: str, secret: str) -> Settings:
    """The caller's own provider settings, and everything else as the stand-in wants it."""
    ours = {
        "GITHUB_APP_ID": "1",
        "GITHUB_PRIVATE_KEY": private_key,
        "GITHUB_WEBHOOK_SECRET": secret,
        "GITHUB_API_URL": api,
        "GITHUB_APP_SLUG": "reviewbot",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "INSTANCE": "demo",
    }
    foreign = ("GITHUB_", "DATABASE_URL", "METRICS_TOKEN")
    return load({**{k: v for k, v in environ.items() if not k.startswith(foreign)}, **ours})


async def _tell(service: Service, console: Console) -> None:
    """Every event of the log, as it is appended."""
    async for event in service.log.follow():
        console.print(_line(event), highlight=False)


def _line(event: Recorded) -> str:
    return f"[dim]{event.recorded_at:%H:%M:%S.%f}[/dim] [cyan]{event.position:>4}[/cyan] {escape(sentence(event))}"


async def _show(demo: Demo, standin: Standin, service: Service, console: Console, began: float) -> None:
    number = await standin.open_pull_request(
        REPOSITORY, base=demo.base, head=demo.head, title=demo.title, body=demo.body, author="octocat"
    )
    for delivery in standin.deliveries:
        answer = f"{delivery.status_code} {delivery.response_body.strip()}"
        console.print(f"[green]delivery of {delivery.message.event}[/green] {delivery.message.guid}: {escape(answer)}")
    async with asyncio.timeout(PATIENCE_SECONDS):
        job = await _completed(service)
        await _check_run_concluded(standin, number)
    console.print(f"\n[bold green]Review posted[/bold green], {time.monotonic() - began:.1f} s after the start:")
    _show_review(standin, number, console)
    _show_check_run(standin, number, console)
    console.print(f"\nThe pull request's page: {standin.world.html_url}/{REPOSITORY}/pull/{number}")
    console.print("\n[bold]The job's history, from the log:[/bold]")
    for event in await history(service.log, job):
        console.print(_line(event), highlight=False)


async def _completed(service: Service) -> UUID:
    """The first job that completes. Raises DemoFailed with the reason when one ends otherwise."""
    async for event in service.log.follow():
        match event.fact:
            case ReviewCompleted():
                return event.stream
            case ReviewFailed(retry_at=None) | ReviewSkipped() | ReviewCancelled() | ReviewSuperseded():
                raise DemoFailed(f"No review was posted: {sentence(event)}.")
    raise AssertionError("the log never ends")


async def _check_run_concluded(standin: Standin, number: int) -> None:
    while not any(run.status == "completed" for run in standin.check_runs(REPOSITORY, number)):  # noqa: ASYNC110 - asked by looking, as a person does
        await asyncio.sleep(0.05)


def _show_review(standin: Standin, number: int, console: Console) -> None:
    reviews = [review for review in standin.reviews(REPOSITORY, number) if find_marker(review.body)]
    if len(reviews) != 1:
        raise DemoFailed(f"There are {len(reviews)} reviews on the pull request; there should be exactly one.")
    body = reviews[0].body.partition("\n")[2].replace("<details><summary>", "").replace("</summary>", "")
    console.print(Panel(Markdown(body.replace("</details>", "")), title="reviewbot commented", title_align="left"))
    for comment in standin.comments(REPOSITORY, number):
        console.print(f"\n[bold]{escape(comment.path)}[/bold], line {comment.line}", highlight=False)
        if comment.diff_hunk:
            shown = "\n".join(comment.diff_hunk.splitlines()[-4:])
            console.print(Syntax(shown, "diff", theme="ansi_dark", background_color="default"))
        console.print(Panel(Markdown(comment.body)))
    if not standin.comments(REPOSITORY, number):
        console.print("Nothing was found here, so there are no inline comments. Other commits: make demo RANGE=a..b")


def _show_check_run(standin: Standin, number: int, console: Console) -> None:
    for run in standin.check_runs(REPOSITORY, number):
        console.print(
            f"Check Run [bold]{run.name}[/bold]: {run.status}, {run.conclusion}: {escape(run.output.title or '')}"
        )
