"""Metrics: their names follow the rules of Prometheus, and two services in one process do not mix theirs."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reviewbot.metrics import Metrics

# What the library itself exports about the process.
OF_THE_PROCESS = ("process_", "python_")
UNITS = ("_seconds", "_bytes", "_info", "_events", "_installations", "_jobs", "_connections", "_slots", "_appends")
COUNTED_PLAIN = {
    "reviewbot_log_position",
    "reviewbot_projection_fault",
    "reviewbot_seal_fault",
    "aiohttp_http_requests_in_progress",
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3")


def test_what_is_rendered_can_be_read_back(metrics: Metrics) -> None:
    metrics.deliveries.labels("pull_request", "queued").inc(3)
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    (sample,) = [each for each in families["reviewbot_deliveries"].samples if each.name.endswith("_total")]
    assert (sample.value, sample.labels) == (3.0, {"event": "pull_request", "outcome": "queued"})
    assert families["reviewbot_build_info"].samples[0].labels["version"] == "1.2.3"


def test_every_metric_says_what_it_counts_and_in_which_unit(metrics: Metrics) -> None:
    for family in metrics.registry.collect():
        if family.name.startswith(OF_THE_PROCESS):
            continue
        assert re.fullmatch(r"(reviewbot|aiohttp_http)_[a-z0-9_]+", family.name)
        assert family.documentation.endswith(".")
        named = family.type == "counter" or family.name.endswith(UNITS) or family.name in COUNTED_PLAIN
        assert named, f"{family.name} does not end with its unit"


def test_two_services_in_one_process_count_for_themselves(metrics: Metrics) -> None:
    other = Metrics()
    other.drift.set(5)
    assert metrics.registry.get_sample_value("reviewbot_drift_installations") == 0.0
