"""The benchmark in its quickest form: every figure is there, and stands in bench.json as it is printed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FIGURES = {
    "ingest_per_s", "ingest_p99_ms", "ingest_ratio", "append_per_s", "append_ratio", "claim_p50_ms", "claim_p99_ms",
    "claim_violations", "cycle_single_per_s", "cycle_batch_per_s", "rebuild_per_s", "rebuild_rss_mb", "swap_pause_ms",
    "start_latency_p50_ms", "review_p50_ms", "serve_start_s", "idle_rss_mb", "bombs_rss_mb", "big_diff_rss_mb",
    "seal_per_s", "verify_per_s", "replay_per_s", "replay_rss_mb", "api_p95_ms", "past_one_job_ms", "past_per_s",
    "audit_p95_ms", "audit_why_p95_ms", "trail_bytes_per_event", "trail_per_s", "usage_per_s",
}  # fmt: skip


@pytest.mark.timeout(480)  # half a minute on an idle machine
def test_every_figure_is_measured_printed_and_written(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", "--output", str(output)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(output.read_text())
    assert all(set(figure) == {"name", "value", "unit"} for figure in figures)
    values = {figure["name"]: figure["value"] for figure in figures}
    assert values.keys() >= FIGURES
    assert [name for name in FIGURES - {"claim_violations"} if not values[name] > 0] == []
    assert values["claim_violations"] == 0
    printed = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert [(name, unit) for name, _, unit in printed] == [(figure["name"], figure["unit"]) for figure in figures]
