"""The figures of a run in Prometheus' text format: each metric's name, type, unit and meaning.

`METRICS` is the one list, of which the file, the reference and the tests are made. Names
follow Prometheus' conventions (base units, `_total` for counters, moments as
`…_timestamp_seconds`); counters begin at zero with every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from carsync.errors import FailureKind
from carsync.model import ProbeVerdict
from carsync.state.checkpoint import LastRun
from carsync.state.figures import Figures

MetricKind = Literal["gauge", "counter", "summary"]
Values = Mapping[str, float]


class Standing(Struct, frozen=True):
    """What is known of a target at one moment; a None becomes a metric that is absent.

    `figures` and `run_id` are those of the run that is going on, or else of the last one.
    `merged` is the last run whose merge was committed.
    """

    source: str
    target: str
    version: str
    written_at: datetime
    in_progress: bool = False
    run_id: int | None = None
    started_at: datetime | None = None
    figures: Figures | None = None
    exit_code: int | None = None
    ended_at: datetime | None = None
    last_success_at: datetime | None = None
    merged: LastRun | None = None


class Metric(Struct, frozen=True):
    """One metric: `values` gives a value for each value of `label` ("" where it has none)."""

    name: str
    kind: MetricKind
    help: str
    values: Callable[[Standing], Values]
    label: str = ""


def expose(standing: Standing) -> bytes:
    """Return all metrics in Prometheus' text format 0.0.4, labelled by source and target."""
    return generate_latest(_Reading(standing))


class _Reading(Collector):
    """The metrics of one moment, as prometheus_client collects them."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterator[Family]:
        common = {"source": self._standing.source, "target": self._standing.target}
        for metric in METRICS:
            family = Family(metric.name.removesuffix("_total"), metric.help, metric.kind)
            for value_of, value in metric.values(self._standing).items():
                name, labels = metric.name, dict(common)
                if metric.kind == "summary" and value_of in {"count", "sum"}:
                    name = f"{metric.name}_{value_of}"
                elif metric.label:
                    labels[metric.label] = value_of
                family.add_sample(name, labels, value)
            if family.samples:
                yield family


def _one(value: float | None) -> Values:
    return {} if value is None else {"": float(value)}


def _moment(at: datetime | None) -> Values:
    return {} if at is None else {"": at.timestamp()}


def _figure(read: Callable[[Figures], float | None]) -> Callable[[Standing], Values]:
    """Return a reader of one figure of the run, where there is a run."""
    return lambda now: {} if now.figures is None else _one(read(now.figures))


def _by_kind(standing: Standing) -> Values:
    if standing.figures is None:
        return {}
    return {kind.value: standing.figures.errors.get(kind, 0) for kind in FailureKind}


def _by_verdict(standing: Standing) -> Values:
    if standing.figures is None:
        return {}
    return {verdict.value: standing.figures.probes.get(verdict, 0) for verdict in ProbeVerdict}


def _response_times(standing: Standing) -> Values:
    taken = standing.figures
    if taken is None:
        return {}
    answers = taken.attempts - sum(taken.errors.values())
    measured = {
        "0.5": taken.latency_p50_s,
        "0.95": taken.latency_p95_s,
        "0.99": taken.latency_p99_s,
        "count": answers,
        "sum": answers * (taken.latency_mean_s or 0.0),
    }
    return {name: value for name, value in measured.items() if value is not None}


def _merged_rows(standing: Standing) -> Values:
    return {} if standing.merged is None else msgspec.to_builtins(standing.merged.counts)


def _checks(standing: Standing) -> Values:
    checks = standing.merged.acceptance if standing.merged else ()
    return {c.name: float(c.verdict == "pass") for c in checks if c.verdict != "n/a"}


METRICS: tuple[Metric, ...] = (
    Metric(
        "carsync_build_info",
        "gauge",
        "Always 1; the version of carsync that wrote this.",
        lambda now: {now.version: 1.0},
        "version",
    ),
    Metric(
        "carsync_metrics_written_timestamp_seconds",
        "gauge",
        "When these figures were written. Every minute while a run is going on.",
        lambda now: _moment(now.written_at),
    ),
    Metric(
        "carsync_last_success_timestamp_seconds",
        "gauge",
        "End of the last run that left the table equal to the feed (exit code 0 or 7). "
        "0: there is none yet.",
        lambda now: _moment(now.last_success_at) or _one(0.0),
    ),
    Metric(
        "carsync_last_run_exit_code",
        "gauge",
        "Exit code of the last run that ended.",
        lambda now: _one(now.exit_code),
    ),
    Metric(
        "carsync_last_run_end_timestamp_seconds",
        "gauge",
        "When the last run ended.",
        lambda now: _moment(now.ended_at),
    ),
    Metric(
        "carsync_last_merge_timestamp_seconds",
        "gauge",
        "End of the last run whose merge was committed.",
        lambda now: _moment(now.merged.finished_at if now.merged else None),
    ),
    Metric(
        "carsync_last_merge_duration_seconds",
        "gauge",
        "How long that run took.",
        lambda now: _one(now.merged.duration_s if now.merged else None),
    ),
    Metric(
        "carsync_last_merge_rows",
        "gauge",
        "Rows of the last committed merge by outcome. held: deactivations that wait for "
        "approval; the figure stays until the next run, approved or not.",
        _merged_rows,
        "outcome",
    ),
    Metric(
        "carsync_acceptance_check_passed",
        "gauge",
        "1: the last merged run met this target of the configuration. 0: it missed it. "
        "Targets that were not judged are left out.",
        _checks,
        "check",
    ),
    Metric(
        "carsync_run_in_progress",
        "gauge",
        "1 while a run is going on, else 0.",
        lambda now: _one(now.in_progress),
    ),
    Metric(
        "carsync_run_id",
        "gauge",
        "Number of the current run, or of the last one (carsync runs).",
        lambda now: _one(now.run_id),
    ),
    Metric(
        "carsync_run_start_timestamp_seconds",
        "gauge",
        "When that run began.",
        lambda now: _moment(now.started_at),
    ),
    Metric(
        "carsync_run_duration_seconds",
        "gauge",
        "For how long its process has been at work, or was.",
        _figure(lambda s: s.elapsed_s),
    ),
    Metric(
        "carsync_run_pages_planned",
        "gauge",
        "Pages that the feed has; absent until it is known.",
        _figure(lambda s: s.pages_planned),
    ),
    Metric(
        "carsync_run_pages_resumed",
        "gauge",
        "Pages of these that an interrupted run had staged before.",
        _figure(lambda s: s.pages_resumed),
    ),
    Metric(
        "carsync_run_pages_staged_total",
        "counter",
        "Pages read and staged.",
        _figure(lambda s: s.pages_staged),
    ),
    Metric(
        "carsync_run_pages_failed_total",
        "counter",
        "Pages given up after all their attempts.",
        _figure(lambda s: s.pages_given_up),
    ),
    Metric(
        "carsync_run_rows_staged_total",
        "counter",
        "Rows staged, those of an interrupted run that was resumed included.",
        _figure(lambda s: s.rows_staged),
    ),
    Metric(
        "carsync_run_records_total",
        "counter",
        "Records that the pages held.",
        _figure(lambda s: s.records),
    ),
    Metric(
        "carsync_run_rejects_total",
        "counter",
        "Records that no row could hold (carsync rejects list).",
        _figure(lambda s: s.rejects),
    ),
    Metric(
        "carsync_run_attempts_total",
        "counter",
        "Requests for pages, retries included.",
        _figure(lambda s: s.attempts),
    ),
    Metric(
        "carsync_run_failed_attempts_total",
        "counter",
        "Requests for pages that failed, by class.",
        _by_kind,
        "class",
    ),
    Metric(
        "carsync_run_retries_total",
        "counter",
        "Failed requests that were, or will be, sent again.",
        _figure(lambda s: s.retries),
    ),
    Metric(
        "carsync_run_breaker_openings_total",
        "counter",
        "How often the circuit breaker opened.",
        _figure(lambda s: s.breaker_openings),
    ),
    Metric(
        "carsync_run_probes_total",
        "counter",
        "Requests for single cars, by what the answer proves.",
        _by_verdict,
        "verdict",
    ),
    Metric(
        "carsync_run_received_bytes_total",
        "counter",
        "Bodies of good answers as they came, compressed.",
        _figure(lambda s: s.wire_bytes),
    ),
    Metric(
        "carsync_run_unpacked_bytes_total",
        "counter",
        "The same unpacked.",
        _figure(lambda s: s.body_bytes),
    ),
    Metric(
        "carsync_run_response_seconds",
        "summary",
        "How long good answers took, from the first byte sent to the last one read. "
        "Quantiles are within 1 %.",
        _response_times,
        "quantile",
    ),
    Metric(
        "carsync_run_queued_pages",
        "gauge",
        "Pages that wait for a writer.",
        _figure(lambda s: s.queue_depth),
    ),
    Metric(
        "carsync_run_queued_pages_peak",
        "gauge",
        "The most that waited at once.",
        _figure(lambda s: s.queue_depth_peak),
    ),
    Metric(
        "carsync_run_resident_memory_bytes",
        "gauge",
        "Resident memory of all processes of the run.",
        _figure(lambda s: s.rss_bytes),
    ),
    Metric(
        "carsync_run_resident_memory_peak_bytes",
        "gauge",
        "The most that it was.",
        _figure(lambda s: s.rss_peak_bytes),
    ),
)
