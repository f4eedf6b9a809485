"""What several commands show on a terminal: a review, and how far a long pass over the log is."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reviewbot import local

Tell = Callable[[int, int], None]  # how many are done, how many there are


def event_progress() -> Progress:
    """A bar that counts events, on standard error."""
    return counting("events")


def counting(unit: str) -> Progress:
    """A bar that counts, on standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def print_review(found: local.LocalReview, console: Console) -> None:
    """A local review: its findings, what was left out, and a line that sums up."""
    colours = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
    for located in found.verdict.located:
        finding = located.finding
        line = located.anchor.start_line or located.anchor.line if located.anchor else finding.line
        place = finding.path if line is None else f"{finding.path}:{line}"
        colour = colours[finding.severity]
        console.print(
            f"[{colour}]{finding.severity}[/{colour}] [bold]{escape(place)}[/bold] {escape(finding.title)}",
            highlight=False,
        )
        if finding.body:
            console.print(f"    {escape(finding.body)}", highlight=False)
    for note in found.verdict.notes:
        console.print(f"[yellow]note[/yellow] {escape(note)}", highlight=False)
    for left in found.left_out:
        console.print(f"[dim]left out {escape(left.path)}: it {escape(left.reason)}[/dim]", highlight=False)
    verdict = found.verdict
    console.print(
        f"{len(verdict.located)} findings in {found.change}: {len(found.reviewed)} files reviewed, "
        f"{len(found.left_out)} left out, by {verdict.provider} ({verdict.model}).",
        highlight=False,
    )
