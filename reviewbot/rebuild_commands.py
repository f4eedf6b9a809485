"""`reviewbot rebuild`: projections made anew from the log, compared with it, and taken back."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import click

from projections.base import FoldError, Projection
from projections.build import Busy, Position
from projections.catalog import ALL
from projections.compare import Comparison, OtherVersion, compare
from projections.rebuild import NothingKept, Rebuilt, Standing, abort, rebuild, roll_back, status
from projections.replay import Progress as Show
from projections.swap import Blocked
from reviewbot import config, logs
from reviewbot.app import database
from reviewbot.commands import EXIT_FAILED, EXIT_FINDINGS, run
from reviewbot.errors import ConfigError
from reviewbot.terminal import event_progress

Work = Callable[[str, Projection, Show], Awaitable[list[str]]]


class _Differs(Exception):
    """The live tables are not what the log says."""


@click.command(name="rebuild")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every projection.")
@click.option("--status", "mode", flag_value="status", help="Show how projections and their builds stand; no more.")
@click.option(
    "--verify", "mode", flag_value="verify", help="Compare the live tables with a replay of the log; no more."
)
@click.option("--abort", "mode", flag_value="abort", help="Remove an unfinished build and kept tables; no more.")
@click.option("--rollback", "mode", flag_value="rollback", help="Take back the tables that --keep-old kept.")
@click.option("--keep-old", is_flag=True, help="Keep the old tables, for --rollback.")
def command(names: Sequence[str], everything: bool, mode: str | None, keep_old: bool) -> None:
    """Make projections anew from the log while the service goes on.

    New tables are filled beside the live ones and take their place in a moment. The log itself is not touched.
    Interrupted, it is run again, and goes on where it was.

    Exit codes: 0 done; 1 an event cannot be taken in, or --verify found rows that differ; 2 configuration; 3 not now.
    """

    async def main() -> None:
        wanted = _wanted(names, everything or (mode == "status" and not names))
        if keep_old and mode is not None:
            raise ConfigError("--keep-old goes with a rebuild alone.")
        settings = config.load(role="projector")
        logs.configure(level="warning", form="text", stream=sys.stderr)
        work = partial(_rebuild, keep=keep_old) if mode is None else MODES[mode]
        async with database(settings, projected=False) as url:
            for projection in wanted:
                await _do(url, projection, work)

    run(main)


def _wanted(names: Sequence[str], everything: bool) -> list[Projection]:
    wanted = [projection for projection in ALL if everything or projection.name in names]
    if set(names) - {projection.name for projection in ALL} or not wanted:
        known = ", ".join(projection.name for projection in ALL)
        raise ConfigError(f"Name what to rebuild, or give --all. There are: {known}.")
    return wanted


async def _do(url: str, projection: Projection, work: Work) -> None:
    """Exits when it does not end well."""
    code = 0
    with event_progress() as progress:

        def show(done: int, total: int) -> None:
            for task in progress.task_ids or [progress.add_task(projection.name)]:
                progress.update(task, completed=done, total=total)

        try:
            lines = await work(url, projection, show)
        except FoldError as poison:
            lines, code = [f"{projection.name}: {poison}. The live tables are as they were."], EXIT_FINDINGS
        except _Differs as difference:
            lines, code = str(difference).splitlines(), EXIT_FINDINGS
        except (Busy, Blocked, NothingKept, OtherVersion) as refusal:
            lines, code = [f"Error: {refusal}"], EXIT_FAILED
    for line in lines:
        click.echo(line, err=code == EXIT_FAILED)
    if code:
        sys.exit(code)


async def _rebuild(url: str, projection: Projection, show: Show, *, keep: bool = False) -> list[str]:
    return [rebuilt_told(projection.name, await rebuild(url, projection, show, keep=keep))]


async def _roll_back(url: str, projection: Projection, show: Show) -> list[str]:
    return [rebuilt_told(projection.name, await roll_back(url, projection, show))]


async def _abort(url: str, projection: Projection, show: Show) -> list[str]:
    removed = await abort(url, projection)
    return [f"{projection.name}: removed {what}." for what in removed] or [f"{projection.name}: nothing to remove."]


async def _status(url: str, projection: Projection, show: Show) -> list[str]:
    return standing_told(await status(url, projection))


async def _verify(url: str, projection: Projection, show: Show) -> list[str]:
    comparison = await compare(url, projection, show)
    lines = comparison_told(projection.name, comparison)
    if comparison.differing:
        raise _Differs("\n".join(lines))
    return lines


MODES: dict[str, Work] = {"status": _status, "verify": _verify, "abort": _abort, "rollback": _roll_back}


def rebuilt_told(name: str, rebuilt: Rebuilt) -> str:
    """What a rebuild did, in a sentence."""
    return (
        f"{name}: {rebuilt.events} events folded; live at position {rebuilt.position} "
        f"after a pause of {rebuilt.pause_seconds * 1000:.0f} ms."
    )


def standing_told(standing: Standing) -> list[str]:
    """How a projection stands, in sentences."""
    name, live = standing.projection, standing.live
    if live is None:
        lines = [f"{name}: there are no tables yet."]
    else:
        lines = [f"{name}: version {live.version}, position {live.position}, {live.behind} events behind."]
        if live.fault:
            lines.append(f"{name}: stands still: {live.fault}")
    if standing.holder:
        lines.append(f"{name}: at work on it: {standing.holder}.")
    if standing.build:
        lines.append(f"{name}: a build of {_place(standing.build)}, {'ready' if standing.build.finished else 'bare'}.")
    if standing.kept:
        lines.append(f"{name}: the tables before are kept: {_place(standing.kept)}.")
    return lines


def _place(position: Position) -> str:
    return f"version {position.version} at position {position.position}"


def comparison_told(name: str, comparison: Comparison) -> list[str]:
    """The outcome of a comparison in sentences, the judgement last."""
    where = f"{name}: {comparison.rows} rows compared at position {comparison.position}"
    if not comparison.differing:
        return [f"{where}: they are what the log says."]
    return [
        *map(str, comparison.differences),
        f"{where}: {', '.join(comparison.differing)} NOT what the log says. `reviewbot rebuild {name}` puts it right.",
    ]
