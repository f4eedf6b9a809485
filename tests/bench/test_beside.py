"""The comparison with peers in its quickest form, without a network, and the parts of it that need no Postgres."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench.beside import comparisons, environment, picture
from tests.bench.beside.comparisons import Comparison, Peer, side_by_side
from tests.bench.beside.growth import Curve, Point
from tests.bench.beside.runners import runner

NAMES = [
    "cycle_single: bare commits",
    "append: bare commits",
    "append: bare batched inserts",
    "ingest: aiohttp, store nothing",
    "ingest: aiohttp, commit each",
]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.timeout(300)
def test_what_needs_no_packages_is_compared_and_growth_is_drawn(tmp_path: Path) -> None:
    output, drawn = tmp_path / "bench-peers.json", tmp_path / "growth.svg"
    command = [
        sys.executable,
        "-m",
        "tests.bench.beside",
        "--quick",
        "--offline",
        "--output",
        output,
        "--picture",
        drawn,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    entries = json.loads(output.read_text())
    assert [entry["name"] for entry in entries] == NAMES
    assert all(entry.keys() == {"name", "ours", "peer", "ratio"} for entry in entries)
    assert all(entry[key] > 0 for entry in entries for key in ("ours", "peer", "ratio"))
    rows = [line.split(" | ")[1] for line in done.stdout.splitlines() if line.startswith("| ") and ": " in line]
    assert [row for row in rows if row in NAMES] == NAMES
    assert len(list(ElementTree.parse(drawn).iter(f"{SVG}polyline"))) == 4


async def test_every_round_measures_all_once_and_begins_with_another_one() -> None:
    calls: list[str] = []

    async def measure(who: str, rate: float) -> float:
        calls.append(who)
        return rate

    peers = {who: Peer(lambda who=who: measure(who, 2.0), "how") for who in ("a", "b")}
    found = await side_by_side("race", "laps/s", 2, lambda: measure("ours", 3.0), peers)
    assert calls == ["ours", "a", "b", "a", "b", "ours", "b", "ours", "a"]
    assert [(one.name, list(one.ours), one.ratios) for one in found] == [
        ("race: a", [3.0, 3.0], [1.5, 1.5]),
        ("race: b", [3.0, 3.0], [1.5, 1.5]),
    ]


def test_the_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_the_medians(tmp_path: Path) -> None:
    uneven = Comparison("race", "laps/s", ours=[1, 20, 300], peer=[10, 10, 1000], how="")
    comparisons.write([uneven], tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == [{"name": "race", "ours": 20, "peer": 10, "ratio": 0.3}]
    assert uneven.row == "| 0.3 (0.1 to 2) | race | 20 (1 to 300) | 10 (10 to 1,000) | laps/s |  |"


def test_packages_that_cannot_be_had_are_left_out_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/python/here")
    assert environment.make(tmp_path / "peers") is None
    assert "could not be installed, so they are left out: " in capsys.readouterr().err


async def test_a_peer_is_asked_by_lines_and_one_that_ends_too_early_is_named(tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(
        "import sys\nname, count = sys.stdin.readline().split()\nprint(name == 'laps' and int(count) * 2)\n"
    )
    async with runner(Path(sys.executable), str(script)) as peer:
        assert await peer.rate("laps", 21) == 42
        with pytest.raises(RuntimeError, match=r"peer\.py ended before it had measured laps"):
            await peer.rate("laps", 21)


def test_a_picture_has_a_point_for_every_size_inside_its_frame() -> None:
    curve = Curve("a < b", "ms", [Point(10_000, [1.0, 3.0, 2.0]), Point(1_000_000, [4.0]), Point(3_000_000, [5.0])])
    root = ElementTree.fromstring(picture.draw([curve]))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"a < b", "2", "10 k", "1 M", "3 M"} <= set(texts)
    places = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in root.iter(f"{SVG}circle")]
    assert len(places) == 3
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert all(0 < x < picture.WIDTH and 0 < y < picture.HEIGHT for x, y in places)
