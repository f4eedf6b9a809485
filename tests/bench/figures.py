"""What a benchmark run gives: figures, each the median of its rounds, and how far the rounds lay apart."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One measured value, as it stands in bench.json."""

    name: str
    value: float
    unit: str

    @property
    def line(self) -> str:
        return f"{self.name} {self.value:g} {self.unit}"


class Figures:
    """Collects figures; progress and spread go to stderr, so that stdout holds nothing but the figures."""

    def __init__(self) -> None:
        self.all: list[Figure] = []

    def add(self, name: str, unit: str, rounds: Sequence[float]) -> None:
        """The median of the rounds becomes the figure and is printed at once."""
        figure = Figure(name, round(median(rounds), 3), unit)
        self.all.append(figure)
        if len(rounds) > 1:
            say(f"{name}: {min(rounds):.4g} to {max(rounds):.4g} {unit} in {len(rounds)} rounds")
        print(figure.line, flush=True)

    def write(self, path: Path) -> None:
        """bench.json: a list of {"name", "value", "unit"}."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self.all), indent=2) + b"\n")


def say(text: str) -> None:
    """A line of progress."""
    print(f"# {text}", file=sys.stderr, flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; 50 is the median but for even counts."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
