"""`carsync sync`, `runs` and `report` as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from carsync.exit_codes import advise
from carsync.model import RunMode, RunState
from carsync.reporting.answers.figures import (
    FiguresAnswer,
    KeptFailures,
    SampleAnswer,
    SessionAnswer,
    sample_fields,
    tell_figures,
    tell_kept,
    tell_sessions,
)
from carsync.reporting.html.data import ReportData
from carsync.reporting.views.run_details import PastRun, RunDetails, RunKind
from carsync.run.report import RunReport
from carsync.state.changes import CarChange
from carsync.state.rejects import ReasonCount
from carsync.state.samples import FailedPage, FailureCount


class SyncAnswer(RunReport, frozen=True, kw_only=True):
    """The summary of a run that ended."""

    figures: FiguresAnswer = field(name="figures")
    snapshot: FiguresAnswer
    meaning: str
    next_step: str


class RunLine(Struct, frozen=True, kw_only=True):
    """One run of the list."""

    run_id: int
    kind: RunKind
    mode: RunMode
    window_from: datetime | None
    state: RunState
    recorded_state: RunState
    target: str
    source: str
    started_at: datetime
    resumed_at: datetime | None
    merged_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    exit_code: int | None
    counts: Mapping[str, int] | None
    deactivated: int | None
    approval: dict[str, Any] | None
    pages_per_s_mean: float | None
    pages_per_s: float | None
    problem: str
    version: str
    replay_of: int | None
    reverts: int | None


class RunsAnswer(Struct, frozen=True):
    """The runs of the target, newest first."""

    runs: list[RunLine]


class CarAnswer(Struct, frozen=True):
    """What the runs did to one car, newest first."""

    id: str
    car: str
    changes: list[CarChange]


class FailedAttempts(Struct, frozen=True):
    """The failed attempts of a run."""

    by_class: Mapping[str, int]
    kept: FailureCount


class OpenRejects(Struct, frozen=True):
    """The open rejects of a run."""

    open: int
    reasons: Sequence[ReasonCount]


class RunAnswer(RunLine, frozen=True, kw_only=True):
    """One run in full."""

    hash_scheme: str
    fingerprints: Mapping[str, str]
    replayed_by: tuple[int, ...]
    reverted_by: tuple[int, ...]
    summary: dict[str, Any] | None
    sessions: list[SessionAnswer]
    failed_attempts: Mapping[str, int]
    failures_kept: KeptFailures
    errors: FailedAttempts
    failed_pages: Sequence[FailedPage]
    open_rejects: int
    reject_reasons: Sequence[ReasonCount]
    rejects: OpenRejects
    samples: list[SampleAnswer]


class PointAnswer(SampleAnswer, frozen=True, kw_only=True):
    """A sample with its place in the charts of the report."""

    at_s: float


class ReportAnswer(ReportData, frozen=True, kw_only=True):
    """The contents of the report of one run."""

    figures: FiguresAnswer | None
    points: Sequence[PointAnswer]  # type: ignore[assignment]  # the same and more names
    sessions: list[SessionAnswer]
    failed_attempts: Mapping[str, int]
    open_rejects: int


def tell_summary(report: RunReport) -> SyncAnswer:
    """Return the summary of a run that ended: numbers unrounded, times UTC."""
    figures = tell_figures(report.figures)
    return SyncAnswer(
        **asdict(report) | {"figures": figures},
        snapshot=figures,
        meaning=advise(report.exit_code).meaning,
        next_step=report.advice,
    )


def tell_runs(found: Sequence[PastRun]) -> RunsAnswer:
    """Return the list of runs."""
    return RunsAnswer([RunLine(**_line(past)) for past in found])


def tell_car(car_id: str, found: Sequence[CarChange]) -> CarAnswer:
    """Return what runs did to a car."""
    return CarAnswer(car_id, car_id, list(found))


def tell_run(details: RunDetails) -> RunAnswer:
    """Return all details of a run."""
    run, reasons = details.past.run, details.reasons
    opened = _total(reasons)
    return RunAnswer(
        **_line(details.past),
        hash_scheme=run.hash_scheme,
        fingerprints=run.fingerprints,
        replayed_by=details.replayed_by,
        reverted_by=details.reverted_by,
        summary=run.summary,
        sessions=tell_sessions(details.sessions),
        failed_attempts=details.failed_attempts,
        failures_kept=tell_kept(details.failures_kept),
        errors=FailedAttempts(details.failed_attempts, details.failures_kept),
        failed_pages=details.failed_pages,
        open_rejects=opened,
        reject_reasons=reasons,
        rejects=OpenRejects(opened, reasons),
        samples=[SampleAnswer(**sample_fields(sample)) for sample in details.samples],
    )


def tell_report(data: ReportData) -> ReportAnswer:
    """Return the contents of a report."""
    own = {
        "figures": None if data.figures is None else tell_figures(data.figures),
        "points": [PointAnswer(**sample_fields(point)) for point in data.points],
        "sessions": tell_sessions(data.sessions),
    }
    return ReportAnswer(
        **asdict(data) | own,
        failed_attempts=data.errors,
        open_rejects=_total(data.reject_reasons),
    )


def _total(reasons: Sequence[ReasonCount]) -> int:
    return sum(reason.count for reason in reasons)


def _line(past: PastRun) -> dict[str, Any]:
    """Return the fields of a `RunLine`."""
    run, report = past.run, past.report
    names = (
        *("run_id", "source", "started_at", "resumed_at", "merged_at", "finished_at"),
        *("exit_code", "counts", "approval", "version", "replay_of", "reverts"),
        *("mode", "window_from"),
    )
    rate = report.figures.pages_per_s_mean if report else None
    return {
        **{name: getattr(run, name) for name in names},
        "kind": past.kind,
        "state": past.state,
        "recorded_state": run.state,
        "target": str(run.target),
        "duration_s": past.duration_s,
        "deactivated": (run.counts_now or {}).get("deactivated"),
        "pages_per_s_mean": rate,
        "pages_per_s": rate,
        "problem": report.problem if report else "",
    }
