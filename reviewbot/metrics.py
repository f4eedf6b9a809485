"""Metrics: every Prometheus metric of ReviewBot, in a registry of its own, so that two services can share a process."""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

# Those of aiohttp-prometheus, so that its dashboards work here.
REQUEST_BUCKETS = (0.01, 0.05, 0.1, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0)
MODEL_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
REVIEW_BUCKETS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0)


class Metrics:
    """Every metric; what a label may be is said beside it, and all of them have few values."""

    def __init__(self, version: str = "") -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        build = Gauge(
            "reviewbot_build_info", "The version that runs, always 1.", ["version", "python"], registry=self.registry
        )
        build.labels(version, platform.python_version()).set(1)
        self._http()
        self._intake()
        self._log_and_queue()
        self._work()
        self._outside()
        self._recovery()
        self._sweeps()

    def render(self) -> bytes:
        """The text that Prometheus reads (exposition format 0.0.4)."""
        return generate_latest(self.registry)

    def _http(self) -> None:
        # handler: a route's name; method: an HTTP method or "other"; status: "2xx" to "5xx"
        self.http_requests = Counter(
            "aiohttp_http_requests_total",
            "HTTP requests answered.",
            ["handler", "method", "status"],
            registry=self.registry,
        )
        self.http_seconds = Histogram(
            "aiohttp_http_request_duration_seconds",
            "How long HTTP requests took.",
            ["handler", "method"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.http_in_progress = Gauge(
            "aiohttp_http_requests_in_progress",
            "HTTP requests being answered now.",
            ["handler"],
            registry=self.registry,
        )
        self.connections = Gauge("reviewbot_connections", "Open HTTP connections.", registry=self.registry)
        self.connections_refused = Counter(
            "reviewbot_connections_refused_total",
            "Connections refused because too many were open.",
            registry=self.registry,
        )

    def _intake(self) -> None:
        # event: a GitHub event that has a handler, or "other"; outcome: queued, recorded, ignored, duplicate, parked
        self.deliveries = Counter(
            "reviewbot_deliveries_total",
            "Signed deliveries, by what became of them.",
            ["event", "outcome"],
            registry=self.registry,
        )
        # reason: the HTTP status, or why a 503
        self.deliveries_refused = Counter(
            "reviewbot_deliveries_refused_total",
            "Deliveries that were refused; GitHub does not send them again by itself.",
            ["reason"],
            registry=self.registry,
        )
        self.body_bytes = Gauge(
            "reviewbot_body_bytes", "Bytes of request bodies held in memory now.", registry=self.registry
        )
        self.unexpected = Counter(
            "reviewbot_unexpected_errors_total",
            "Errors that nothing was prepared for; each is in the log with a traceback.",
            ["where"],  # a route's name, or a loop's
            registry=self.registry,
        )

    def _log_and_queue(self) -> None:
        self.log_position = Gauge("reviewbot_log_position", "Position of the newest event.", registry=self.registry)
        self.log_waiting = Gauge(
            "reviewbot_log_waiting_appends", "Appends waiting for their commit.", registry=self.registry
        )
        self.sealed_events = Gauge(
            "reviewbot_sealed_events", "Events that are sealed, from the first on.", registry=self.registry
        )
        self.seal_fault = Gauge(
            "reviewbot_seal_fault",
            "1 while this process refuses to seal the log, or cannot; its log says why.",
            registry=self.registry,
        )
        self.installations_erased = Counter(
            "reviewbot_installations_erased_total",
            "Deleted installations whose texts were erased here when their time was over.",
            registry=self.registry,
        )
        # projection: a name of the catalog
        self.projection_lag = Gauge(
            "reviewbot_projection_lag_events",
            "Events that a projection is behind the log.",
            ["projection"],
            registry=self.registry,
        )
        self.projection_fault = Gauge(
            "reviewbot_projection_fault",
            "1 while a projection stands still before an event that it cannot take in.",
            ["projection"],
            registry=self.registry,
        )
        # state: pending, processing, ending, failed (of the last 24 hours)
        self.jobs = Gauge("reviewbot_jobs", "Review jobs by state.", ["state"], registry=self.registry)
        self.oldest_job = Gauge(
            "reviewbot_oldest_job_seconds", "How long the first due job has been waiting.", registry=self.registry
        )
        self.paused = Gauge(
            "reviewbot_paused_installations", "Installations held back for a while.", registry=self.registry
        )
        self.drift = Gauge(
            "reviewbot_drift_installations",
            "Installations whose counters differ from their jobs; anything but 0 is a defect.",
            registry=self.registry,
        )

    def _work(self) -> None:
        self.slots = Gauge("reviewbot_worker_slots", "How many reviews may run here at a time.", registry=self.registry)
        self.slots_busy = Gauge("reviewbot_worker_busy_slots", "Reviews running here now.", registry=self.registry)
        # outcome: completed, retried, failed, released, superseded, cancelled, skipped, fenced
        self.attempts = Counter(
            "reviewbot_attempts_total",
            "Attempts at a review, by how they ended.",
            ["outcome"],
            registry=self.registry,
        )
        # outcome: completed, failed, superseded, cancelled, skipped
        self.jobs_finished = Counter(
            "reviewbot_jobs_finished_total", "Review jobs that ended here.", ["outcome"], registry=self.registry
        )
        self.review_seconds = Histogram(
            "reviewbot_review_duration_seconds",
            "From the request to the end of a completed review.",
            buckets=REVIEW_BUCKETS,
            registry=self.registry,
        )
        # severity: critical, high, medium, low
        self.findings = Counter(
            "reviewbot_findings_total", "Findings in reviews that were made.", ["severity"], registry=self.registry
        )
        self.findings_dropped = Counter(
            "reviewbot_findings_dropped_total",
            "Findings of a model that could not be read.",
            registry=self.registry,
        )
        self.rescued = Counter(
            "reviewbot_rescued_jobs_total", "Jobs taken from workers that had died.", registry=self.registry
        )

    def _outside(self) -> None:
        # provider, model: as configured; outcome: complete, truncated, refused, or the name of the error
        self.model_calls = Counter(
            "reviewbot_model_calls_total",
            "Calls to a model.",
            ["provider", "model", "outcome"],
            registry=self.registry,
        )
        self.model_tokens = Counter(
            "reviewbot_model_tokens_total",
            "Tokens of model calls.",
            ["provider", "model", "kind"],  # kind: input, cached_input, output
            registry=self.registry,
        )
        self.cost_usd = Counter(
            "reviewbot_cost_usd_total",
            "What model calls cost, in US dollars.",
            ["provider", "model"],
            registry=self.registry,
        )
        self.calls_unpriced = Counter(
            "reviewbot_unpriced_calls_total",
            "Answers of models without a known price: they are missing in the cost.",
            ["provider", "model"],
            registry=self.registry,
        )
        # budget: day, week, month
        self.budget_holds = Counter(
            "reviewbot_budget_holds_total",
            "Reviews that were held back because the budget of their installation is used up.",
            ["budget"],
            registry=self.registry,
        )
        self.model_seconds = Histogram(
            "reviewbot_model_latency_seconds",
            "How long model calls took.",
            ["provider", "model"],
            buckets=MODEL_BUCKETS,
            registry=self.registry,
        )
        # outcome: 2xx, 3xx, 4xx, 5xx, limited, unreachable
        self.github_requests = Counter(
            "reviewbot_github_requests_total", "Requests to GitHub.", ["outcome"], registry=self.registry
        )
        self.github_wait = Counter(
            "reviewbot_github_wait_seconds_total", "Time spent waiting for GitHub's limits.", registry=self.registry
        )

    def _recovery(self) -> None:
        # kind: failed (no OK from us), promised (GitHub has our OK; anything but 0 is a defect)
        self.deliveries_missing = Counter(
            "reviewbot_deliveries_missing_total",
            "Deliveries that GitHub lists and the inbox lacked.",
            ["kind"],
            registry=self.registry,
        )
        self.deliveries_asked_again = Counter(
            "reviewbot_deliveries_asked_again_total",
            "Times that GitHub was asked to send a delivery again.",
            registry=self.registry,
        )
        self.deliveries_recovered = Counter(
            "reviewbot_deliveries_recovered_total",
            "Missing deliveries that have arrived after all.",
            registry=self.registry,
        )
        self.deliveries_lost = Counter(
            "reviewbot_deliveries_lost_total",
            "Deliveries that never arrived and that GitHub does not send any more.",
            registry=self.registry,
        )
        self.intake_gaps = Counter(
            "reviewbot_intake_gaps_total",
            "Times whose deliveries nobody compared while GitHub kept them.",
            registry=self.registry,
        )
        self.recovered_at = Gauge(
            "reviewbot_recovery_covered_timestamp_seconds",
            "Every delivery before this time was compared with the inbox (Unix time).",
            registry=self.registry,
        )

    def _sweeps(self) -> None:
        # outcome: requested, left_out
        self.swept_heads = Counter(
            "reviewbot_swept_heads_total",
            "Heads of open pull requests that nothing was known of, by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self.swept_at = Gauge(
            "reviewbot_sweep_timestamp_seconds",
            "When the last complete sweep of open pull requests ended (Unix time).",
            registry=self.registry,
        )
        # part: deliveries, sweep; reason: limited, failed
        self.recovery_stops = Counter(
            "reviewbot_recovery_stops_total",
            "Runs of the recovery that ended early and go on later.",
            ["part", "reason"],
            registry=self.registry,
        )
