"""Draws curves of growth as SVG: a panel for each, its rows on a logarithmic axis and its values from zero."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from tests.bench.beside.comparisons import figure
from tests.bench.beside.growth import Curve, Point

WIDTH, HEIGHT = 400, 250  # of a panel, in pixels
LEFT, RIGHT, TOP, BOTTOM = 40, 40, 56, 34  # its margins
ACROSS = 2  # panels beside each other
HEADROOM = 1.15
STYLE = (
    "text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:13px}.at{text-anchor:middle}"
    ".axis{stroke:#999}.curve{fill:none;stroke:#1f6feb;stroke-width:2}.spread{stroke:#1f6feb}.point{fill:#1f6feb}"
)


def draw(curves: Sequence[Curve]) -> str:
    """The whole picture."""
    width, height = WIDTH * ACROSS, HEIGHT * math.ceil(len(curves) / ACROSS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    ]
    parts += [f"<style>{STYLE}</style>", f'<rect width="{width}" height="{height}" fill="#fff"/>']
    rows = [point.rows for curve in curves for point in curve.points]
    for number, curve in enumerate(curves):
        x, y = number % ACROSS * WIDTH, number // ACROSS * HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_panel(curve, min(rows), max(rows)), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(curve: Curve, fewest: int, most: int) -> Iterator[str]:
    """Every panel has the same rows across, so that they can be read against each other."""
    highest = max(max(point.values) for point in curve.points) * HEADROOM
    bottom = HEIGHT - BOTTOM

    def across(point: Point) -> float:
        share = math.log(point.rows / fewest) / math.log(most / fewest)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def up(value: float) -> float:
        return round(bottom - value / highest * (bottom - TOP), 1)

    yield f'<text class="title" x="{LEFT}" y="24">{escape(curve.title)}</text>'
    yield f'<text x="{LEFT}" y="40">{escape(curve.unit)}, from zero; median, lowest and highest</text>'
    yield f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}"/>'
    line = " ".join(f"{across(point)},{up(point.middle)}" for point in curve.points)
    yield f'<polyline class="curve" points="{line}"/>'
    for point in curve.points:
        x, low, high = across(point), up(min(point.values)), up(max(point.values))
        yield f'<line class="spread" x1="{x}" y1="{low}" x2="{x}" y2="{high}"/>'
        yield f'<circle class="point" cx="{x}" cy="{up(point.middle)}" r="3.5"/>'
        yield f'<text class="at" x="{x}" y="{high - 7}">{figure(point.middle)}</text>'
        yield f'<text class="at" x="{x}" y="{bottom + 18}">{short(point.rows)}</text>'


def short(rows: int) -> str:
    """10 k, 3 M."""
    return f"{rows / 1e6:g} M" if rows >= 1_000_000 else f"{rows / 1e3:g} k"
