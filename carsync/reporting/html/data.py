"""The data of one run's report, gathered; PostgreSQL counts, examples are few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from carsync import __version__
from carsync.deactivation import approval
from carsync.deactivation.approval import HeldCar
from carsync.destination.column_values import ColumnValues
from carsync.model import Check, RunMode, RunState, Target
from carsync.postgres.wait import Connection
from carsync.reporting.views import run_details, wording
from carsync.run.report import outcome
from carsync.state import changes, rejects
from carsync.state.changes import ChangeSummary
from carsync.state.figures import Figures
from carsync.state.rejects import ReasonCount
from carsync.state.samples import FailedPage, Sample

PAGES = 15
"""At most this many pages with failed attempts are listed."""
REJECTS = 5
HELD = 50
"""At most this many held cars are listed."""
EXCERPT_CHARS = 241
"""One more than the page shows, so that it can say that a text goes on."""

_OF_THE_RUN = (
    *("run_id", "source", "exit_code", "started_at", "merged_at", "finished_at", "version"),
    *("hash_scheme", "fingerprints", "mode", "window_from"),
)
_OF_THE_END = ("problem", "detail", "hint")
_RELATIONS: dict[run_details.RelationKind, str] = {
    "replays": "It replays the rejects of run {}; it read no feed.",
    "reverts": "It takes back what run {} did; it read no feed.",
    "replayed by": "Run {} replayed its rejects.",
    "reverted by": "Run {} took back what it did.",
}


class Point(Sample, frozen=True, kw_only=True):
    """A sample and its place in the report's charts: `at_s` seconds at work after the start."""

    at_s: float


class RejectExample(Struct, frozen=True):
    """One open reject: its page and place, and the start of the record's text."""

    page: int
    ordinal: int
    record_id: str | None
    column: str | None
    reason: str
    excerpt: str


class ReportData(Struct, frozen=True, kw_only=True):
    """All that the report of one run holds; times are UTC.

    `outcome` and `next_step` are sentences. `exit_code`, `finished_at`, `duration_s` and
    `figures` are None where the run recorded no end, `counts` where nothing was merged.
    `held_cars` are the first of the cars that the run still holds; there are none once they were
    approved, or a later run was merged.
    `related` are sentences on other runs: the one whose rejects this run replays, the one that
    it takes back, the one that took it back.
    """

    run_id: int
    kind: run_details.RunKind
    mode: RunMode = "full"
    window_from: datetime | None = None
    source: str
    target: str
    state: RunState
    exit_code: int | None
    outcome: str
    next_step: str
    started_at: datetime
    merged_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    version: str
    hash_scheme: str
    fingerprints: Mapping[str, str]
    made_at: datetime
    made_by: str
    problem: str
    detail: str
    hint: str
    notes: tuple[str, ...]
    related: tuple[str, ...]
    figures: Figures | None
    counts: Mapping[str, int] | None
    checks: tuple[Check, ...]
    columns: tuple[ColumnValues, ...] = ()
    changes: ChangeSummary
    points: Sequence[Point]
    sessions: Sequence[run_details.RunSession]
    errors: Mapping[str, int]
    failed_pages: Sequence[FailedPage]
    failed_pages_total: int
    reject_reasons: Sequence[ReasonCount]
    reject_examples: Sequence[RejectExample]
    held_cars: Sequence[HeldCar] = ()
    held_total: int = 0


def gather(conn: Connection, target: Target, run_id: int, now: datetime) -> ReportData:
    """Read what is known of a run, whatever its fate; `now` is UTC.

    Raises `ConfigError` where there is no such run, naming the nearest of `target`; raises
    `DatabaseError`.
    """
    details = run_details.gather(conn, target, run_id, pages=PAGES)
    past, run, report = details.past, details.past.run, details.past.report
    words, next_step = _outcome(past)
    summary = run.summary or {}
    held = (run.counts_now or {}).get("held", 0)
    return ReportData(
        **{name: getattr(run, name) for name in _OF_THE_RUN},
        **{name: summary.get(name, "") for name in _OF_THE_END},
        kind=past.kind,
        counts=run.counts_now,
        target=str(run.target),
        state=past.state,
        outcome=words,
        next_step=next_step,
        duration_s=past.duration_s,
        made_at=now,
        made_by=__version__,
        notes=tuple(summary.get("notes", ())),
        related=_related(details),
        figures=report.figures if report else None,
        checks=report.checks if report else (),
        columns=(report.columns if report else None) or (),
        changes=changes.summarize(conn, run),
        points=_points(details.samples),
        sessions=details.sessions,
        errors=details.failed_attempts,
        failed_pages=details.failed_pages,
        failed_pages_total=details.failures_kept.pages,
        reject_reasons=details.reasons,
        reject_examples=_reject_examples(conn, past),
        held_cars=approval.list_held(conn, run, HELD) if held else (),
        held_total=held,
    )


def _outcome(past: run_details.PastRun) -> tuple[str, str]:
    """Say how the run ended, or how it stands, and what the operator does now."""
    run = past.run
    why, next_step = run_details.fate(past)
    if run.exit_code is not None:
        return outcome(run.exit_code), (run.summary or {}).get("next_step", next_step)
    if past.is_running:
        return "it is in progress", next_step
    return why or "its end is not recorded", next_step


def _related(details: run_details.RunDetails) -> tuple[str, ...]:
    """Say what other runs and people have to do with this one."""
    found = [_RELATIONS[how].format(others) for how, others in details.relations]
    overlap_s = details.past.report.window_overlap_s if details.past.report else None
    if asked := wording.window(details.past.run.window_from, overlap_s):
        found.insert(0, f"It asked for {asked}.")
    if details.past.kind == "dry run":
        found.append("A dry run: what it merged was rolled back.")
    if details.past.kind == "sample":
        found.append("Only the first pages were read; so no car is deactivated.")
    if details.past.run.approval is not None:
        found.append(f"It was held, and approved at {wording.approval(details.past.run.approval)}.")
    return tuple(found)


def _points(samples: Sequence[Sample]) -> list[Point]:
    """Lay the sessions end to end: the pause between them is no time at work."""
    points: list[Point] = []
    before_s = 0.0
    for sample in samples:
        if points and points[-1].session != sample.session:
            before_s = points[-1].at_s
        at_s = before_s + sample.elapsed_s
        points.append(Point(at_s=at_s, **msgspec.structs.asdict(sample)))
    return points


def _reject_examples(conn: Connection, past: run_details.PastRun) -> list[RejectExample]:
    run = past.run
    found = rejects.list_open(conn, run.target, run.source, run.run_id, REJECTS, EXCERPT_CHARS)
    return [
        RejectExample(r.page, r.ordinal, r.record_id, r.column, r.reason, r.original) for r in found
    ]
