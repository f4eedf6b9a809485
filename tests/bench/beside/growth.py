"""How claims, appends, audit queries and rebuilds fare as their tables grow."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from projections.jobs.project import Jobs
from projections.rebuild import rebuild
from projections.trail.project import Trail
from schema.log import Log
from tests.bench import audits
from tests.bench.appends import append_rate
from tests.bench.beside.comparisons import spread
from tests.bench.beside.place import Place
from tests.bench.claims import fill_jobs, time_claims
from tests.bench.figures import percentile, say
from tests.bench.rebuilds import fill, rebuild_aside

CLAIMS = 100
QUESTIONS = 20  # of each kind
EVENTS_PER_JOB = 3.2
EVENTS_PER_REVIEW = 11.4
ROWS_PER_INSTALLATION = 100
FEWEST_INSTALLATIONS = 100


class Point(msgspec.Struct, frozen=True):
    """What was measured in a table of so many rows."""

    rows: int
    values: Sequence[float]

    @property
    def middle(self) -> float:
        return median(self.values)


class Curve(msgspec.Struct, frozen=True):
    """One thing at every size."""

    title: str
    unit: str
    points: list[Point]


async def measure(place: Place) -> list[Curve]:
    """Claims of ten jobs, appends, the slowest audit query, rebuilds."""
    claims, appends, queries, rebuilds = (
        Curve("claim of ten jobs", "ms", []),
        Curve("append by 64 callers", "events/s", []),
        Curve("slowest audit query, p95", "ms", []),
        Curve("rebuild", "events/s", []),
    )
    for rows in place.scale.sizes:
        _add(claims, rows, await _claims(place, rows))
        appended, rebuilt = await _log(place, rows)
        _add(appends, rows, appended)
        if rows <= place.scale.largest:
            _add(rebuilds, rows, rebuilt)
            _add(queries, rows, await _queries(place, rows))
    return [claims, appends, queries, rebuilds]


def _add(curve: Curve, rows: int, values: Sequence[float]) -> None:
    curve.points.append(Point(rows, values))
    say(f"growth, {rows:,} rows: {curve.title} {spread(values)} {curve.unit}")


def table(curves: Sequence[Curve]) -> str:
    """Markdown: a line for each size."""
    sizes = sorted({point.rows for curve in curves for point in curve.points})
    lines = [
        f"| rows | {' | '.join(f'{curve.title}, {curve.unit}' for curve in curves)} |",
        "|---" * (len(curves) + 1) + "|",
    ]
    for rows in sizes:
        cells = [next((spread(point.values) for point in curve.points if point.rows == rows), "") for curve in curves]
        lines.append(f"| {rows:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


async def _claims(place: Place, rows: int) -> list[float]:
    """The median claim of each round in a job table of so many rows, three tenths of them of one installation."""
    async with place.ground.database() as url:
        await fill_jobs(url, rows, max(FEWEST_INSTALLATIONS, rows // ROWS_PER_INSTALLATION))
        async with place.ground.pool_on(url) as pool:
            claims = min(CLAIMS, rows // ROWS_PER_INSTALLATION)
            return [percentile(await time_claims(pool, claims), 50) for _ in range(place.scale.repeats)]


async def _log(place: Place, rows: int) -> tuple[list[float], list[float]]:
    """Rebuilds from a log of so many events, unless they are too many, and then appends to it."""
    async with place.ground.database() as url:
        await fill(url, round(rows / EVENTS_PER_JOB))
        rebuilt = (
            [(await rebuild_aside(url)).rate for _ in range(place.scale.repeats)] if rows <= place.scale.largest else []
        )
        async with place.ground.pool_on(url) as pool:
            log = Log(pool)
            appended = [await append_rate(log, place.scale.append) for _ in range(place.scale.repeats)]
            await log.close()
    return appended, rebuilt


async def _queries(place: Place, rows: int) -> list[float]:
    """The p95 of the slowest of all audit queries in each round, over a log of so many events of whole reviews."""
    async with place.ground.database() as url:
        await audits.fill(url, round(rows / EVENTS_PER_REVIEW))
        for projection in (Trail(), Jobs()):
            await rebuild(url, projection)
        async with place.ground.pool_on(url) as pool:
            return [max((await audits.ask_all(pool, QUESTIONS)).values()) for _ in range(place.scale.repeats)]
