"""Whether anything fell through: every head that the log knows with what became of it, and how the recovery stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import asyncpg
import msgspec

from reviewbot.recovery.store import HERE, Standing, Store
from reviewbot.webhooks.pull_request import TRIGGERS
from schema.log import as_persistence_errors
from schema.sql import load

NAMED = 50  # unexplained heads that are named
GAPS = 20
FATES = ("reviewed", "waiting", "failed", "left out", "unexplained")


class Heads(msgspec.Struct, frozen=True):
    """Heads with the same fate, for the same reason. `names` are those of unexplained ones, at most `NAMED`."""

    fate: str
    reason: str
    heads: int
    names: list[str] | None


class Coverage(msgspec.Struct, frozen=True):
    """Everything that `reviewbot deliveries status` tells."""

    standing: Standing
    heads: list[Heads]
    troubles: dict[str, int]  # topic -> events
    gaps: list[tuple[datetime, datetime]]

    def count(self, fate: str | None = None) -> int:
        """Heads of one fate, or all."""
        return sum(each.heads for each in self.heads if fate in (None, each.fate))

    @property
    def unexplained(self) -> list[str]:
        """The names of the heads that nothing explains; more than `NAMED` are counted only."""
        return [name for each in self.heads if each.fate == "unexplained" for name in each.names or ()]


async def coverage(pool: asyncpg.Pool[asyncpg.Record]) -> Coverage:
    """Read it all. Raises OperationalError when the database does not answer."""
    with as_persistence_errors():
        heads = await pool.fetch(load(HERE, "coverage"), list(TRIGGERS), NAMED)
        troubles = await pool.fetch(load(HERE, "troubles"))
        gaps = await pool.fetch(load(HERE, "gaps"), GAPS)
    return Coverage(
        standing=await Store(pool).standing(),
        heads=[Heads(*row) for row in heads],
        troubles={row["topic"]: row["times"] for row in troubles},
        gaps=[(row["since"], row["until"]) for row in gaps],
    )


def told(found: Coverage) -> Iterator[str]:
    """The coverage in lines, for somebody who was just woken up: first whether all is well, then the numbers."""
    yield from _verdict(found)
    yield ""
    yield f"{'heads seen':<24}{found.count():>10,}"
    for fate in FATES:
        yield f"  {fate:<22}{found.count(fate):>10,}"
        for each in found.heads:
            if each.fate == fate and each.reason:
                yield f"    {each.heads:>8,}  {each.reason}"
    yield ""
    yield from _deliveries(found)


def _verdict(found: Coverage) -> Iterator[str]:
    number = found.count("unexplained")
    if not number:
        yield "Fine: every head that the log knows is reviewed, waiting, or left out for a reason."
        return
    yield f"NOT FINE: {number:,} heads have neither a review nor a reason:"
    yield from (f"  {name}" for name in found.unexplained)
    if number > len(found.unexplained):
        yield f"  and {number - len(found.unexplained):,} more"
    yield "`reviewbot deliveries recover` asks GitHub for what is missing and sweeps the open pull requests."


def _deliveries(found: Coverage) -> Iterator[str]:
    standing = found.standing
    yield f"last comparison         {_ago(standing.recovered_at, standing.now)}"
    yield f"compared until          {_ago(standing.covered_until, standing.now)}"
    yield f"last sweep              {_ago(standing.swept_at, standing.now)}"
    missing = f"{standing.missing:,}"
    if standing.oldest_missing is not None:
        missing += f", the oldest of {_ago(standing.oldest_missing, standing.now)}"
    yield f"deliveries missing now  {missing}"
    for topic, what in (
        ("DeliveryMissed", "acknowledged, not kept"),
        ("DeliveryLost", "lost for good"),
        ("DeliveryParked", "not understood, parked"),
    ):
        yield f"{what:<24}{found.troubles.get(topic, 0):,}"
    if not found.gaps:
        yield "gaps                    none"
    for since, until in found.gaps:
        yield f"gap                     {_moment(since)} to {_moment(until)}"


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    return f"{_moment(moment)} ({_span(now - moment)} ago)"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _span(span: timedelta) -> str:
    """A duration in its largest unit: 42 s, 7 min, 3 h, 12 days."""
    seconds = max(0, int(span.total_seconds()))
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
