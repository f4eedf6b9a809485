"""The command line: every command, its options and its exit codes. The only file that prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from reviewbot import (
    app,
    audit_commands,
    config,
    job_commands,
    key_commands,
    local,
    logs,
    rebuild_commands,
    recovery_commands,
    replay_commands,
    seal_commands,
    terminal,
    token_commands,
)
from reviewbot.commands import EXIT_FINDINGS, run
from reviewbot.errors import ConfigError
from reviewbot.findings import SEVERITIES, Severity
from reviewbot.recovery.coverage import told
from reviewbot.sarif import sarif
from reviewbot.variables import VARIABLES

Format = Literal["text", "json", "sarif"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(app.our_version(), prog_name="reviewbot")
def main() -> None:
    """ReviewBot reviews pull requests with a language model and keeps a full record of what it did.

    The service is configured by environment variables; `reviewbot config` lists them.
    """


@main.command()
@click.option(
    "--role",
    type=click.Choice(["all", "web", "worker", "projector"]),
    default="all",
    show_default=True,
    help="What this process does; several processes share the work through the database.",
)
def serve(role: config.Role) -> None:
    """Receive webhooks and review pull requests.

    SIGTERM or Ctrl-C stops in good order: running reviews may finish (STOP_GRACE_SECONDS), the rest is handed back.
    A second one stops at once; nothing is lost either way.
    """

    async def command() -> None:
        settings = config.load(role=role)
        logs.configure(level=settings.log_level, form=settings.log_format, secrets=settings.secrets())
        await app.serve(settings)

    run(command)


@main.command(name="config")
@click.option(
    "--check",
    type=click.Choice(["all", "web", "worker", "projector"]),
    default=None,
    help="Check the environment for this role instead; all faults are listed.",
)
def config_command(check: config.Role | None) -> None:
    """List every environment variable, or check them."""

    async def command() -> None:
        if check is not None:
            config.load(role=check)
            click.echo("The configuration is fine.")
            return
        for variable in VARIABLES:
            default = variable.default or variable.computed
            click.echo(f"{variable.name}" + (f"  (default: {default})" if default else ""))
            click.echo(f"    {variable.meaning}")

    run(command)


@main.command(short_help="Review a local change before it is pushed.")
@click.argument("revisions", metavar="[RANGE]", required=False)
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default=False,
    help="The repository (default: the current folder).",
)
@click.option("--format", "form", type=click.Choice(get_args(Format)), default="text", show_default=True)
@click.option(
    "--fail-on",
    type=click.Choice([*SEVERITIES, "never"]),
    default="high",
    show_default=True,
    help="Exit with 1 when there is a finding of this severity or above.",
)
def review(revisions: str | None, repo: Path, form: Format, fail_on: str) -> None:
    """Review a local change before it is pushed: RANGE (main...HEAD, or one commit), else what is staged.

    No GitHub, server or database is needed. The model is chosen as for the service: by PROVIDER or by the key that is
    set, else the offline rules. Exit codes: 0 fine, 1 findings, 2 configuration, 3 the review failed.
    """

    async def command() -> None:
        settings = config.load(role="tool")
        logs.configure(level="error", form="text", stream=sys.stderr)
        provider = app.make_provider(settings)
        try:
            change = await local.find_change(repo, revisions)
            found = await local.review(
                repo,
                change,
                provider,
                max_files=settings.max_files,
                max_findings=settings.max_findings,
                max_output_tokens=settings.provider.max_output_tokens,
            )
        finally:
            await provider.close()
        _show_review(found, form)
        if fail_on != "never" and found.at_least(_severity(fail_on)):
            sys.exit(EXIT_FINDINGS)

    run(command)


def _severity(name: str) -> Severity:
    return next(severity for severity in SEVERITIES if severity == name)


def _show_review(found: local.LocalReview, form: Format) -> None:
    match form:
        case "json":
            click.echo(msgspec.json.format(msgspec.json.encode(found)))
        case "sarif":
            log = sarif(found.verdict.located, notes=found.verdict.notes, version=app.our_version())
            click.echo(msgspec.json.format(msgspec.json.encode(log)))
        case "text":
            terminal.print_review(found, Console())


@main.command(short_help="See a pull request reviewed on this machine alone.")
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="A git repository (default: the current folder).",
)
@click.option(
    "--range", "revisions", default=None, help="The commits of the pull request, as a..b (default: the newest ones)."
)
@click.option("--once", is_flag=True, help="Exit when the review is posted: 0, or non-zero with the reason.")
@click.option("--port", type=int, default=0, help="The stand-in's port (default: any free one).")
def demo(repo: Path, revisions: str | None, once: bool, port: int) -> None:
    """See a real pull request reviewed, from the webhook to the posted review, on this machine alone."""

    from reviewbot import demonstration  # a GitHub of its own, which the service need not load

    async def command() -> None:
        logs.configure(level="warning", form="text", stream=sys.stderr)
        chosen = await demonstration.choose(repo, revisions, config.environment())
        await demonstration.run_demo(chosen, config.environment(), Console(), once=once, port=port)

    run(command)


@main.command(short_help="A GitHub of your own over local repositories.")
@click.option("--port", type=int, default=0, show_default="any free one")
@click.option(
    "--repo",
    "repositories",
    multiple=True,
    metavar="OWNER/NAME=PATH",
    required=True,
    help="A repository and the local git repository behind it; may be given several times.",
)
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("reviewbot-standin.pem"),
    show_default=True,
    help="The App's private key; made when there is none.",
)
@click.option("--webhook-url", default="http://127.0.0.1:3000/webhooks/github", show_default=True)
@click.option("--webhook-secret", default=None, help="The webhook secret (default: a new one).")
@click.option(
    "--trouble",
    "troubles",
    multiple=True,
    metavar="RULE",
    help='What goes wrong, e.g. "POST /repos/*/pulls/*/reviews lost-reply times=1".',
)
@click.option("--enterprise", is_flag=True, help="Serve the API below /api/v3, as GitHub Enterprise Server does.")
def standin(
    port: int,
    repositories: Sequence[str],
    key_file: Path,
    webhook_url: str,
    webhook_secret: str | None,
    troubles: Sequence[str],
    enterprise: bool,
) -> None:
    """A GitHub of your own over local git repositories, to try ReviewBot against."""

    from reviewbot.demo.run import run_standin

    async def command() -> None:
        await run_standin(
            repositories=[_named_path(text) for text in repositories],
            key_file=key_file,
            say=click.echo,
            port=port,
            webhook_url=webhook_url,
            webhook_secret=webhook_secret,
            troubles=troubles,
            enterprise=enterprise,
        )

    run(command)


def _named_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise ConfigError(f"--repo {text!r} is not understood: write owner/name=PATH")
    return name, Path(path)


main.add_command(rebuild_commands.command)
main.add_command(seal_commands.verify_command)
main.add_command(seal_commands.seal)
audit_commands.audit.add_command(job_commands.show_jobs)
main.add_command(audit_commands.audit)
main.add_command(replay_commands.command)
main.add_command(token_commands.group)
main.add_command(key_commands.group)
main.add_command(key_commands.erase_command)


@main.group()
def deliveries() -> None:
    """What GitHub sent, and whether all of it arrived."""


@deliveries.command(name="recover", short_help="Ask GitHub again for deliveries that are missing.")
@click.option("--sweep/--no-sweep", default=True, help="Also look at every open pull request.", show_default=True)
def deliveries_recover(sweep: bool) -> None:
    """Ask GitHub again for every delivery that failed or is missing, and find heads that nobody reviews.

    The service does this by itself every RECOVERY_SECONDS and SWEEP_SECONDS; both may run at once. Interrupted, it is
    simply run again.
    """

    async def command() -> None:
        settings = config.load(role="worker")
        logs.configure(level="warning", form="text", stream=sys.stderr, secrets=settings.secrets())
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            found, swept = await recovery_commands.recover(settings, progress, sweep=sweep)
        for line in recovery_commands.summary(found, swept):
            click.echo(line)

    run(command)


@deliveries.command(name="status", short_help="Every head by what became of it.")
def deliveries_status() -> None:
    """Every head that the log knows by what became of it, and how the recovery stands.

    Exit code 1 when a head has neither a review nor a reason.
    """

    async def command() -> None:
        found = await recovery_commands.status(config.load(role="projector"))
        for line in told(found):
            click.echo(line)
        if found.count("unexplained"):
            sys.exit(EXIT_FINDINGS)

    run(command)
