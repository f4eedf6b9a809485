"""What several commands show on a terminal: a review, and how far a long pass over the log is."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from reviewbot import local
from reviewbot.findings import Located
from reviewbot.invisible import show_invisible

Tell = Callable[[int, int], None]  # how many are done, how many there are


class RateColumn(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


def event_progress() -> Progress:
    """A bar that counts events, on standard error."""
    return counting("events")


def counting(unit: str) -> Progress:
    """A bar that counts, with the rate and the time that is left, on standard error.

    What is written to `sys.stdout` meanwhile stands above the bar on a terminal, and goes on its own way elsewhere.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        RateColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),
    )


def print_review(found: local.LocalReview, console: Console) -> None:
    """A local review: summary, findings, what was left out, and a line that sums up.

    A model may write what moves the cursor, hides text or looks like a line of ours. So no character is printed that
    cannot be seen, nothing is taken for markup, and all that may have several lines stands indented.
    """
    verdict = found.verdict
    if verdict.summary:
        console.print(_block(verdict.summary))
    for located in verdict.located:
        _print_finding(located, console)
    for note in verdict.notes:
        console.print(Text.assemble(("note", "yellow"), " ", _line(note)), soft_wrap=True)
    for left in found.left_out:
        console.print(Text(f"left out {_line(left.path)}: it {_line(left.reason)}", "dim"), soft_wrap=True)
    console.print(
        Text(
            f"{len(verdict.located)} findings in {_line(found.change)}: {len(found.reviewed)} files reviewed, "
            f"{len(found.left_out)} left out, by {verdict.provider} ({_line(verdict.model)})."
        ),
        soft_wrap=True,  # else a file has lines as wide as a terminal
    )


_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def _print_finding(located: Located, console: Console) -> None:
    finding = located.finding
    line = located.anchor.start_line or located.anchor.line if located.anchor else finding.line
    place = _line(finding.path) if line is None else f"{_line(finding.path)}:{line}"
    severity = (finding.severity, _COLOURS[finding.severity])
    console.print(Text.assemble(severity, " ", (place, "bold"), " ", _line(finding.title)), soft_wrap=True)
    if finding.body:
        console.print(_block(finding.body))
    if located.anchor is None:
        console.print(_block(f"No place on the diff: {located.note}.", "dim"))


def _line(text: str) -> str:
    return " ".join(show_invisible(text).split())


def _block(text: str, style: str = "") -> Padding:
    return Padding(Text(show_invisible(text), style), (0, 0, 0, 4), expand=False)
