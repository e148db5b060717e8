"""The figures of a run in Prometheus' text format: each metric's name, type, unit and meaning.

`METRICS` is the one list, of which the file, the reference and the tests are made. Names
follow Prometheus' conventions (base units, `_total` for counters, moments as
`…_timestamp_seconds`); counters begin at zero with every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

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
_Reader = str | Callable[[Any], Values]


class ModeStanding(Struct, frozen=True):
    """What is known of the runs of one mode; `merged` is the last whose merge was committed."""

    exit_code: int | None = None
    ended_at: datetime | None = None
    last_success_at: datetime | None = None
    merged: LastRun | None = None


class Standing(Struct, frozen=True):
    """What is known of a target at one moment; a None becomes a metric that is absent.

    `figures` and `run_id` are those of the run that is going on, or else of the last one.
    """

    source: str
    target: str
    version: str
    written_at: datetime
    in_progress: bool = False
    run_id: int | None = None
    started_at: datetime | None = None
    figures: Figures | None = None
    full: ModeStanding = ModeStanding()
    incremental: ModeStanding | None = None


class Metric(Struct, frozen=True):
    """One metric, read from a `Standing`, the standing of each mode, or the figures of its run.

    `reads` are the attributes that lead to one value, or a function that gives a value for each
    value of `label`.
    """

    name: str
    of: Literal["target", "mode", "run"]
    reads: _Reader
    help: str
    label: str = ""

    @property
    def kind(self) -> MetricKind:
        """The metric's type, as the name or the label tells by the conventions."""
        if self.label == "quantile":
            return "summary"
        return "counter" if self.name.endswith("_total") else "gauge"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels beside source and target."""
        own = (self.label,) if self.label else ()
        return ("mode", *own) if self.of == "mode" else own

    def samples(self, standing: Standing) -> Iterator[tuple[dict[str, str], str, float]]:
        """Give the mode, if any, the value of the label, and the known value, of each sample."""
        if self.of != "mode":
            found = standing.figures if self.of == "run" else standing
            for value_of, value in self._values(found).items():
                yield {}, value_of, value
            return
        for mode in ("full", "incremental"):
            for value_of, value in self._values(getattr(standing, mode)).items():
                yield {"mode": mode}, value_of, value

    def _values(self, found: Any) -> Values:
        """Return the known values by the label's value, which is "" where there is no label."""
        if found is None:
            return {}
        if not isinstance(self.reads, str):
            return self.reads(found)
        for name in self.reads.split("."):
            found = None if found is None else getattr(found, name)
        if found is None:
            return {}
        return {"": found.timestamp() if isinstance(found, datetime) else float(found)}


def expose(standing: Standing) -> bytes:
    """Return all metrics in Prometheus' text format 0.0.4, labelled by source and target."""
    return generate_latest(_Reading(standing))


class _Reading(Collector):
    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterator[Family]:
        common = {"source": self._standing.source, "target": self._standing.target}
        for metric in METRICS:
            family = Family(metric.name.removesuffix("_total"), metric.help, metric.kind)
            for mode, value_of, value in metric.samples(self._standing):
                if metric.kind == "summary" and value_of in {"count", "sum"}:
                    family.add_sample(f"{metric.name}_{value_of}", common, value)
                else:
                    own = {metric.label: value_of} if metric.label else {}
                    family.add_sample(metric.name, common | mode | own, value)
            if family.samples:
                yield family


def _by_kind(figures: Figures) -> Values:
    return {kind.value: figures.errors.get(kind, 0) for kind in FailureKind}


def _requests(figures: Figures) -> Values:
    return figures.requests


def _requests_today(figures: Figures) -> Values:
    return figures.api_use.today if figures.api_use else {}


def _quota_remaining(figures: Figures) -> Values:
    return {quota.name: quota.remaining for quota in figures.quotas}


def _quota_limit(figures: Figures) -> Values:
    return {quota.name: quota.limit for quota in figures.quotas if quota.limit is not None}


def _by_verdict(figures: Figures) -> Values:
    return {verdict.value: figures.probes.get(verdict, 0) for verdict in ProbeVerdict}


def _response_times(figures: Figures) -> Values:
    answers = figures.attempts - sum(figures.errors.values())
    measured = {
        "0.5": figures.latency_p50_s,
        "0.95": figures.latency_p95_s,
        "0.99": figures.latency_p99_s,
        "count": answers,
        "sum": answers * (figures.latency_mean_s or 0.0),
    }
    return {name: value for name, value in measured.items() if value is not None}


def _merged_rows(standing: ModeStanding) -> Values:
    return {} if standing.merged is None else msgspec.to_builtins(standing.merged.counts)


def _checks(standing: ModeStanding) -> Values:
    checks = standing.merged.acceptance if standing.merged else ()
    return {c.name: float(c.verdict == "pass") for c in checks if c.verdict != "n/a"}


def _last_success(standing: ModeStanding) -> Values:
    at = standing.last_success_at
    return {"": 0.0 if at is None else at.timestamp()}


_Rows = dict[str, tuple[_Reader, str] | tuple[_Reader, str, str]]

_OF_TARGET: _Rows = {
    "build_info": (
        lambda now: {now.version: 1.0},
        "Always 1; the version of carsync that wrote this.",
        "version",
    ),
    "metrics_written_timestamp_seconds": (
        "written_at",
        "When these figures were written. During a run: every minute.",
    ),
    "run_in_progress": ("in_progress", "1 during a run, else 0."),
    "run_id": ("run_id", "Number of the current run, or of the last one (carsync runs)."),
    "run_start_timestamp_seconds": ("started_at", "When this run began."),
}
_OF_MODE: _Rows = {
    "last_success_timestamp_seconds": (
        _last_success,
        "When the last run that ended with exit code 0 or 7 began: the data are as of then. "
        "0: there is none yet.",
    ),
    "last_run_exit_code": ("exit_code", "Exit code of the last run that ended."),
    "last_run_end_timestamp_seconds": ("ended_at", "When the last run ended."),
    "last_merge_timestamp_seconds": (
        "merged.finished_at",
        "End of the last run whose merge was committed.",
    ),
    "last_merge_duration_seconds": ("merged.duration_s", "Duration of that run."),
    "last_merge_rows": (
        _merged_rows,
        "Rows of the last committed merge by outcome. held: deactivations that wait for "
        "approval; the figure stays until the next run, approved or not.",
        "outcome",
    ),
    "acceptance_check_passed": (
        _checks,
        "1: the last merged run met this target of the configuration. 0: it missed it. "
        "Targets that were not judged are left out.",
        "check",
    ),
}
_OF_RUN: _Rows = {
    "run_duration_seconds": ("elapsed_s", "How long the process of this run has worked."),
    "run_pages_planned": (
        "pages_planned",
        "Pages that the feed has; absent until the number is known.",
    ),
    "run_pages_resumed": (
        "pages_resumed",
        "Pages that the interrupted run had staged before.",
    ),
    "run_pages_staged_total": ("pages_staged", "Pages read and staged."),
    "run_pages_failed_total": ("pages_given_up", "Pages given up after all their attempts."),
    "run_rows_staged_total": (
        "rows_staged",
        "Rows staged, those of an interrupted run that was resumed included.",
    ),
    "run_records_total": ("records", "Records that the pages held."),
    "run_rejects_total": ("rejects", "Rejected records (carsync rejects list)."),
    "run_attempts_total": ("attempts", "Requests for pages and cars, retries included."),
    "run_failed_attempts_total": (_by_kind, "Requests for pages that failed, by class.", "class"),
    "run_retries_total": ("retries", "Failed requests that were, or will be, sent again."),
    "run_slowed_requests_per_second": (
        "slowed.rate",
        "Rate that the API is asked at since it refused requests or told a lower limit; absent "
        "where it did neither.",
    ),
    "run_breaker_openings_total": ("breaker_openings", "How often the circuit breaker opened."),
    "run_probes_total": (
        _by_verdict,
        "Requests for single cars, by what the answer proves.",
        "verdict",
    ),
    "run_received_bytes_total": ("wire_bytes", "Bodies of good answers as they came, compressed."),
    "run_unpacked_bytes_total": ("body_bytes", "Bodies of good answers, unpacked."),
    "run_response_seconds": (
        _response_times,
        "How long good answers took, from the first byte sent to the last one read. "
        "Quantiles are within 1 %.",
        "quantile",
    ),
    "run_requests_total": (
        _requests,
        "Requests of the run by kind, those of its earlier sessions too.",
        "kind",
    ),
    "requests_today": (
        _requests_today,
        "Requests of all runs of the feed on the run's day (UTC), by kind. reserved: allowed to "
        "a run under limits.budget, and not sent.",
        "kind",
    ),
    "budget_requests": ("api_use.budget.allowed", "limits.budget: requests in a period."),
    "budget_left_requests": (
        "api_use.budget.left",
        "Requests that limits.budget left when the run was last seen.",
    ),
    "budget_renews_timestamp_seconds": (
        "api_use.budget.renews_at",
        "When the whole budget may be used again.",
    ),
    "api_quota_remaining_requests": (
        _quota_remaining,
        "Requests that the API's own header told to be left, by header.",
        "header",
    ),
    "api_quota_limit_requests": (
        _quota_limit,
        "Requests of a whole period as this header told; absent where it does not.",
        "header",
    ),
    "run_queued_pages": ("queue_depth", "Pages that wait for a writer."),
    "run_queued_pages_peak": (
        "queue_depth_peak",
        "Largest number of pages that waited for a writer.",
    ),
    "run_resident_memory_bytes": ("rss_bytes", "Resident memory of all processes of the run."),
    "run_resident_memory_peak_bytes": (
        "rss_peak_bytes",
        "Largest resident memory of all processes of the run.",
    ),
}
_ROWS: dict[Literal["target", "mode", "run"], _Rows] = {
    "target": _OF_TARGET,
    "mode": _OF_MODE,
    "run": _OF_RUN,
}
METRICS = tuple(
    Metric(f"carsync_{name}", of, *row) for of, rows in _ROWS.items() for name, row in rows.items()
)
