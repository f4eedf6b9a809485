"""How replays read on a terminal, or as JSON lines: one review in full, or many with what they come to in all."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import click
import msgspec

from reviewbot.commands import EXIT_CONFIG, EXIT_FINDINGS
from reviewbot.invisible import show_invisible
from reviewbot.replay import Counts, Replayed


class Show:
    """Prints each review as it comes, and at the end what all of them come to."""

    def __init__(self, *, as_json: bool, one: bool) -> None:
        self._as_json, self._one = as_json, one
        self._outcomes: Counter[str] = Counter()
        self._totals = Totals()

    def __call__(self, replayed: Replayed) -> None:
        self._outcomes[replayed.outcome] += 1
        self._totals.add(replayed)
        if self._as_json:
            click.echo(msgspec.json.encode(replayed).decode(), file=sys.stdout)
            return
        for text in told(replayed) if self._one else row(replayed):
            for line in show_invisible(text).split("\n"):
                click.secho(line, file=sys.stdout, fg=_COLOURS.get(line[:1]))  # by name: a bar may have taken its place

    def end(self) -> int:
        """Says what all come to; gives the exit code."""
        if not self._one and not self._as_json:
            for line in self._totals.told(self._outcomes):
                click.echo(line)
        if self._outcomes["different"]:
            return EXIT_FINDINGS
        return EXIT_CONFIG if self._outcomes["unknown"] else 0


_COLOURS = {"+": "green", "-": "red", "@": "cyan"}  # of a diff's lines; no other line begins so


class Totals:
    """What was posted and what would be, over the reviews that could be told."""

    def __init__(self) -> None:
        self._posted: Counter[str] = Counter()
        self._made: Counter[str] = Counter()
        self._changed: Counter[str] = Counter()
        self._remarks: Counter[str] = Counter()

    def add(self, replayed: Replayed) -> None:
        self._remarks.update(replayed.remarks)
        posted, made = replayed.posted, replayed.made
        if posted is None or made is None:
            return
        for sums, counts in ((self._posted, posted), (self._made, made)):
            sums.update(findings=counts.findings, comments=counts.comments, green=counts.conclusion == "success")
        self._changed.update(fewer=made.comments < posted.comments, more=made.comments > posted.comments)

    def told(self, outcomes: Counter[str]) -> Iterator[str]:
        counted = ", ".join(f"{outcomes[each]:,} {each}" for each in ("equal", "different", "unknown"))
        yield f"{outcomes.total():,} reviews: {counted}."
        if outcomes["different"]:
            sums = (f"{name} {self._posted[key]:,} -> {self._made[key]:,}" for name, key in _SUMS)
            yield f"In all: {', '.join(sums)}."
            yield f"{self._changed['fewer']:,} with fewer inline comments, {self._changed['more']:,} with more."
        for remark, count in self._remarks.items():
            yield f"note on {count:,} of them: {remark}"


_SUMS = (("findings", "findings"), ("inline comments", "comments"), ("green", "green"))


def told(replayed: Replayed) -> Iterator[str]:
    """One review in full."""
    if not replayed.repository:
        yield replayed.told
        return
    yield f"{_name(replayed)} at {replayed.head_sha[:12]}: {replayed.told}"
    yield f"posted: {_counted(replayed.posted)} (plan {replayed.digest})"
    if replayed.outcome == "different":
        yield f"made:   {_counted(replayed.made)}"
    for remark in replayed.remarks:
        yield f"note: {remark}"
    for difference in replayed.differences:
        yield f"\n{difference.diff}"


def row(replayed: Replayed) -> Iterator[str]:
    """One review of many in a line; none for one that stays as it is."""
    if replayed.outcome == "unknown":
        yield f"{_name(replayed):<40} {replayed.told}" + (f"  {replayed.job}" if replayed.repository else "")
    elif replayed.outcome == "different":
        yield f"{_name(replayed):<40} {_counted(replayed.posted)} -> {_counted(replayed.made)}  {replayed.job}"


def _name(replayed: Replayed) -> str:
    return f"{replayed.repository}#{replayed.pull_request}" if replayed.repository else str(replayed.job)


def _counted(counts: Counts | None) -> str:
    if counts is None:
        return "nothing"
    findings = "1 finding" if counts.findings == 1 else f"{counts.findings} findings"
    return f"{findings}, {counts.comments} inline, {counts.conclusion}"
