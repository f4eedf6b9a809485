"""How claims, appends, audit queries and rebuilds fare as their tables grow."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import TypeAlias

import msgspec

from projections.jobs.project import Jobs
from projections.rebuild import rebuild
from projections.trail.project import Trail
from schema.log import Log
from tests.bench import audits
from tests.bench.appends import append_rate
from tests.bench.beside.comparisons import Measure, spread
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


Grown: TypeAlias = Callable[[Place, int], contextlib.AbstractAsyncContextManager[Measure]]


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
    points: Sequence[Point]


async def measure(place: Place) -> list[Curve]:
    """Claims of ten jobs, appends, rebuilds, the slowest audit query."""
    smaller = [rows for rows in place.scale.sizes if rows <= place.scale.largest]
    return [
        await _curve(place, "claim of ten jobs", "ms", place.scale.sizes, _claims),
        await _curve(place, "append by 64 callers", "events/s", place.scale.sizes, _appends),
        await _curve(place, "rebuild", "events/s", smaller, _rebuilds),
        await _curve(place, "slowest audit query, p95", "ms", smaller, _queries),
    ]


async def _curve(place: Place, title: str, unit: str, sizes: Sequence[int], grown: Grown) -> Curve:
    """Makes every size first, and measures them in turns: what else the machine does then meets all of them."""
    async with AsyncExitStack() as stack:
        measures = {}
        for rows in sizes:
            say(f"growth, {title}: making {rows:,} rows")
            measures[rows] = await stack.enter_async_context(grown(place, rows))
        taken: dict[int, list[float]] = {rows: [] for rows in sizes}
        for _ in range(place.scale.repeats):
            for rows, values in taken.items():
                values.append(await measures[rows]())
    for rows, values in taken.items():
        say(f"growth, {title}, {rows:,} rows: {spread(values)} {unit}")
    return Curve(title, unit, [Point(rows, values) for rows, values in taken.items()])


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


@contextlib.asynccontextmanager
async def _claims(place: Place, rows: int) -> AsyncIterator[Measure]:
    """The median claim in a job table of so many rows, three tenths of them of one installation."""
    async with place.ground.database() as url:
        await fill_jobs(url, rows, max(FEWEST_INSTALLATIONS, rows // ROWS_PER_INSTALLATION))
        async with place.ground.pool_on(url) as pool:
            claims = min(CLAIMS, rows // ROWS_PER_INSTALLATION)

            async def measure() -> float:
                return percentile(await time_claims(pool, claims), 50)

            yield measure


@contextlib.asynccontextmanager
async def _appends(place: Place, rows: int) -> AsyncIterator[Measure]:
    """Appends to a log of so many events."""
    async with place.ground.database() as url:
        await fill(url, round(rows / EVENTS_PER_JOB))
        async with place.ground.pool_on(url) as pool:
            log = Log(pool)
            yield lambda: append_rate(log, place.scale.append)
            await log.close()


@contextlib.asynccontextmanager
async def _rebuilds(place: Place, rows: int) -> AsyncIterator[Measure]:
    """The job list made anew from a log of so many events."""
    async with place.ground.database() as url:
        await fill(url, round(rows / EVENTS_PER_JOB))

        async def measure() -> float:
            return (await rebuild_aside(url)).rate

        yield measure


@contextlib.asynccontextmanager
async def _queries(place: Place, rows: int) -> AsyncIterator[Measure]:
    """The 95th percentile of the slowest of all audit queries, over a log of so many events of whole reviews."""
    async with place.ground.database() as url:
        await audits.fill(url, round(rows / EVENTS_PER_REVIEW))
        for projection in (Trail(), Jobs()):
            await rebuild(url, projection)
        async with place.ground.pool_on(url) as pool:

            async def measure() -> float:
                return max((await audits.ask_all(pool, QUESTIONS)).values())

            yield measure
