"""The demo: a pull request made of real commits goes the whole way, and each step is shown as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import re
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

from reviewbot.app import Service, make_provider, set_up
from reviewbot.audit.history import history
from reviewbot.audit.sentences import sentence
from reviewbot.config import Settings, load
from reviewbot.demo.run import new_app_key
from reviewbot.demo.standin import Standin
from reviewbot.embedded import embedded_postgres
from reviewbot.errors import FinalError
from reviewbot.llm.base import Provider
from reviewbot.local import ensure_repository, find_change, git, resolve, review
from reviewbot.render import find_marker
from schema.codec import Recorded
from schema.events import ReviewCancelled, ReviewCompleted, ReviewFailed, ReviewSkipped, ReviewSuperseded

REPOSITORY = "demo/repository"
NEWEST_COMMITS = 5  # of one pull request
SEARCHED_COMMITS = 100
SEARCH_SECONDS = 3.0
COLLAPSED = re.compile(r"<details><summary>(.*?)</summary>.*?</details>", re.DOTALL)  # as GitHub shows it at first
PATIENCE_SECONDS = 600.0  # a slow model may take its time


class DemoFailed(FinalError):
    """The demo did not end with a posted review."""


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """What to show: the commits `base`..`head` of the git repository in `folder`; `note` says how they were chosen."""

    folder: Path
    base: str
    head: str
    title: str
    body: str
    note: str = ""


async def choose(folder: Path, revisions: str | None, environ: Mapping[str, str]) -> Demo:
    """The commits of a range a..b; without one, new commits that the provider has something to say about.

    Raises GitFailed, DemoFailed and ConfigError.
    """
    await ensure_repository(folder)
    note = ""
    if revisions is None:
        base, head, note = await _new_commits(folder, load(environ, role="tool"))
    else:
        left, dots, right = revisions.partition("..")
        if not dots:
            raise DemoFailed(f"{revisions!r} is no range: write --range a..b, or RANGE=a..b with make.")
        base, head = await resolve(folder, left or "HEAD"), await resolve(folder, right.removeprefix(".") or "HEAD")
    subjects = (await git(folder, "log", "--format=%s", f"{base}..{head}")).decode("utf-8", "replace").splitlines()
    if not subjects:
        raise DemoFailed(f"{revisions} holds no commits.")
    title = subjects[0] if len(subjects) == 1 else f"{subjects[0]} (and {len(subjects) - 1} more commits)"
    body = "\n".join(f"- {subject}" for subject in reversed(subjects))
    return Demo(folder=folder, base=base, head=head, title=title, body=body, note=note)


async def _new_commits(folder: Path, settings: Settings) -> tuple[str, str, str]:
    """Base, head and how they were chosen: the newest commits, or older ones if only there the rules find anything."""
    listed = await git(folder, "rev-list", "--first-parent", f"--max-count={SEARCHED_COMMITS + 1}", "HEAD")
    commits = listed.decode().split()
    if len(commits) < 2:
        raise DemoFailed(
            "The repository has only one commit: name another repository with --repo (REPO=path with make)."
        )
    ends = list(range(0, len(commits) - 1, NEWEST_COMMITS))
    stretches = [(commits[min(end + NEWEST_COMMITS, len(commits) - 1)], commits[end]) for end in ends]
    if settings.provider.name != "rules":
        return *stretches[0], ""
    provider = make_provider(settings)
    deadline = time.monotonic() + SEARCH_SECONDS
    for number, (base, head) in enumerate(stretches):
        if time.monotonic() > deadline:
            break
        found = await _findings(folder, base, head, settings, provider)
        if found:
            older = "These are the newest commits about which the offline rules have anything to say." if number else ""
            return base, head, older
    return *stretches[0], "The offline rules have nothing to say about these commits, nor about those before them."


async def _findings(folder: Path, base: str, head: str, settings: Settings, provider: Provider) -> int:
    change = await find_change(folder, f"{base}..{head}")
    output = settings.provider.max_output_tokens
    found = await review(
        folder,
        change,
        provider,
        max_files=settings.max_files,
        max_findings=settings.max_findings,
        max_output_tokens=output,
    )
    return sum(located.anchor is not None for located in found.verdict.located)


async def run_demo(demo: Demo, environ: Mapping[str, str], console: Console, *, once: bool, port: int = 0) -> None:
    """Show everything, then serve until cancelled; with `once` end after the review. Raises DemoFailed."""
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="reviewbot-demo-", ignore_cleanup_errors=True))
        )
        console.print(f"Pull request: [bold]{escape(demo.title)}[/bold]  {demo.base[:12]}..{demo.head[:12]}")
        if demo.note:
            console.print(demo.note)
        private, public = new_app_key()
        secret = secrets.token_hex(20)
        standin = Standin(app_id=1, public_key_pem=public, webhook_secret=secret)
        await standin.add_repository(REPOSITORY, demo.folder)
        api = await stack.enter_async_context(standin.serve(port=port))
        url = await stack.enter_async_context(embedded_postgres(folder / "postgres"))
        await set_up(url)
        service = Service(_settings(environ, api, private, secret, folder), url)
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


def _settings(environ: Mapping[str, str], api: str, private_key: str, secret: str, folder: Path) -> Settings:
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
        "DATA_DIR": str(folder),
    }
    foreign = ("GITHUB_", "DATABASE_URL", "METRICS_TOKEN", "SEAL_", "CHECKPOINT_FILE", "ENCRYPTION_", "ERASURE_")
    return load({**{k: v for k, v in environ.items() if not k.startswith(foreign)}, **ours})


async def _tell(service: Service, console: Console) -> None:
    """Every event of the log, as it is appended."""
    async for event in service.log.follow():
        console.print(_line(event), highlight=False, soft_wrap=True)


def _line(event: Recorded) -> str:
    return f"[dim]{event.recorded_at:%H:%M:%S.%f}[/dim] [cyan]{event.position:>4}[/cyan] {escape(sentence(event))}"


async def _show(demo: Demo, standin: Standin, service: Service, console: Console, began: float) -> None:
    number = await standin.open_pull_request(
        REPOSITORY, base=demo.base, head=demo.head, title=demo.title, body=demo.body, author="octocat"
    )
    for delivery in standin.deliveries:
        answer = f"{delivery.status_code} {delivery.response_body.strip()}"
        said = f"[green]delivery of {delivery.message.event}[/green] {delivery.message.guid}: {escape(answer)}"
        console.print(said, highlight=False, soft_wrap=True)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            job = await _completed(service)
            await _check_run_concluded(standin, number)
    except TimeoutError as error:
        raise DemoFailed(f"No review was posted within {PATIENCE_SECONDS:.0f} s.") from error
    console.print(f"\n[bold green]Review posted[/bold green], {time.monotonic() - began:.1f} s after the start:")
    _show_review(standin, number, console)
    _show_check_run(standin, number, console)
    console.print(f"\nThe pull request's page: {standin.world.html_url}/{REPOSITORY}/pull/{number}")
    console.print("\n[bold]The job's history, from the log:[/bold]")
    for event in await history(service.log, job):
        console.print(_line(event), highlight=False, soft_wrap=True)


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
    body = COLLAPSED.sub("\u25b8 \\1", reviews[0].body.partition("\n")[2])
    console.print(Panel(Markdown(body), title="reviewbot commented", title_align="left"))
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
