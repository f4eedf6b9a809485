"""Rates measured side by side: rounds in alternation, the ratio of each round, and the table made of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec

from tests.bench.figures import say

Measure = Callable[[], Awaitable[float]]


class Peer(msgspec.Struct, frozen=True):
    """What stands beside ours: how it is measured, and in what way it is asked."""

    measure: Measure
    how: str


class Comparison(msgspec.Struct, frozen=True):
    """Ours and one peer in the same rounds; the ratio is the median of the rounds' own ratios."""

    name: str
    unit: str
    ours: Sequence[float]
    peer: Sequence[float]
    how: str

    @property
    def ratios(self) -> list[float]:
        return [ours / peer for ours, peer in zip(self.ours, self.peer, strict=True)]

    @property
    def row(self) -> str:
        cells = (spread(self.ratios), self.name, spread(self.ours), spread(self.peer), self.unit, self.how)
        return f"| {' | '.join(cells)} |"

    @property
    def entry(self) -> dict[str, str | float]:
        """As it stands in bench-peers.json."""
        values = {"ours": self.ours, "peer": self.peer, "ratio": self.ratios}
        return {"name": self.name} | {key: float(f"{median(rounds):.4g}") for key, rounds in values.items()}


HEAD = "| ours : peer | what | ours | peer | unit | how the peer is asked |\n|---|---|---|---|---|---|"


async def side_by_side(name: str, unit: str, rounds: int, ours: Measure, peers: Mapping[str, Peer]) -> list[Comparison]:
    """Measure ours and each peer once a round, each time another one first, after a round that does not count."""
    measures = {"ours": ours} | {peer: about.measure for peer, about in peers.items()}
    taken: dict[str, list[float]] = {who: [] for who in measures}
    order = list(measures)
    for number in range(rounds + 1):
        for who in order:
            taken[who].append(await measures[who]())
        order = order[1:] + order[:1]
        shown = ", ".join(f"{who} {values[-1]:.4g}" for who, values in taken.items())
        say(f"{name}, {f'round {number} of {rounds}' if number else 'warming up'}: {shown} {unit}")
    kept = {who: values[1:] for who, values in taken.items()}
    return [Comparison(f"{name}: {peer}", unit, kept["ours"], kept[peer], about.how) for peer, about in peers.items()]


def spread(values: Sequence[float]) -> str:
    """The median, and in brackets the lowest and the highest."""
    return f"{figure(median(values))} ({figure(min(values))} to {figure(max(values))})"


def figure(value: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(comparisons: Sequence[Comparison]) -> str:
    """Markdown."""
    return "\n".join([HEAD, *(comparison.row for comparison in comparisons)])


def write(comparisons: Sequence[Comparison], path: Path) -> None:
    """bench-peers.json: a list of {"name", "ours", "peer", "ratio"}, the medians."""
    entries = [comparison.entry for comparison in comparisons]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(entries), indent=2) + b"\n")
