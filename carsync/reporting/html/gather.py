"""All that is known of one run, gathered for its report; PostgreSQL counts, examples are few."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from carsync import __version__
from carsync.exit_codes import advise
from carsync.model import Target
from carsync.postgres.connection import Connection
from carsync.reporting.html.data import (
    PageFailures,
    RejectExample,
    RejectReason,
    ReportData,
    Session,
    TimePoint,
)
from carsync.reporting.views import run_details
from carsync.reporting.views.run_details import PastRun, RunDetails
from carsync.reporting.views.run_details_view import fate
from carsync.run.report import outcome
from carsync.state import changes, rejects
from carsync.state.samples import Sample

PAGES = 15
"""So many pages with failed attempts are told."""
REJECTS = 5
EXCERPT_CHARS = 241
"""One more than the page shows, so that it can say that a text goes on."""


def gather(conn: Connection, target: Target, run_id: int, now: datetime) -> ReportData:
    """Read what is known of a run, whatever became of it; `now` is UTC.

    `target` is the configuration's table, named where there is no such run. Raises
    `ConfigError` then, and `DatabaseError`.
    """
    told = run_details.gather(conn, target, run_id, pages=PAGES)
    past, run = told.past, told.past.run
    how, next_step = _outcome(past)
    summary = run.summary or {}
    return ReportData(
        run_id=run_id,
        kind=past.kind,
        source=run.source,
        target=str(run.target),
        state=past.state,
        exit_code=run.exit_code,
        outcome=how,
        next_step=next_step,
        started_at=run.started_at,
        merged_at=run.merged_at,
        finished_at=run.finished_at,
        duration_s=past.duration_s,
        version=run.version,
        hash_scheme=run.hash_scheme,
        fingerprints=run.fingerprints,
        made_at=now,
        made_by=__version__,
        problem=summary.get("problem", ""),
        detail=summary.get("detail", ""),
        hint=summary.get("hint", ""),
        notes=tuple(summary.get("notes", ())),
        related=_related(told),
        figures=None if past.report is None else msgspec.to_builtins(past.report.figures),
        counts=run.counts,
        checks=() if past.report is None else tuple(past.report.checks),
        changes=changes.summarize(conn, run),
        points=_points(told.samples),
        sessions=_sessions(told),
        errors=told.failed_attempts,
        failed_pages=tuple(
            PageFailures(page.page, page.failures, page.kinds, page.problem, page.given_up)
            for page in told.failed_pages
        ),
        failed_pages_total=told.failures_kept.pages,
        reject_reasons=tuple(
            RejectReason(each.column, each.reason, each.count) for each in told.reasons
        ),
        reject_examples=tuple(
            RejectExample(r.page, r.ordinal, r.record_id, r.column, r.reason, r.original)
            for r in rejects.list_open(conn, run.target, run.source, run_id, REJECTS, EXCERPT_CHARS)
        ),
    )


def _outcome(past: PastRun) -> tuple[str, str]:
    """Say how the run ended, or how it stands, and what the operator does now."""
    run = past.run
    if run.exit_code is not None:
        next_step = (run.summary or {}).get("next_step", advise(run.exit_code).next_step)
        return outcome(run.exit_code), next_step
    why, next_step = fate(past)
    if past.goes_on:
        return "it is going on", next_step
    return why or "its end is not recorded", next_step


def _related(told: RunDetails) -> tuple[str, ...]:
    """Say what other runs and people have to do with this one."""
    run, found = told.past.run, []
    if run.replay_of is not None:
        found.append(f"It replays the rejects of run {run.replay_of}; it read no feed.")
    if run.reverts is not None:
        found.append(f"It takes back what run {run.reverts} did; it read no feed.")
    for done, runs in (("replayed", told.replayed_by), ("taken back", told.reverted_by)):
        if runs:
            what = "Its rejects were" if done == "replayed" else "What it did was"
            found.append(f"{what} {done} by run {', '.join(map(str, runs))}.")
    if told.past.kind == "dry run":
        found.append("A dry run: what it merged was rolled back.")
    if told.past.kind == "sample":
        found.append("Only the first pages were read; nobody is deactivated then.")
    approval = (run.summary or {}).get("approval")
    if approval:
        found.append(
            f"The cars that it held were approved by {approval['by']} at {approval['at']}: "
            f"{approval['deactivated']:,} deactivated, {approval['left_out']:,} left out."
        )
    return tuple(found)


def _points(samples: Sequence[Sample]) -> tuple[TimePoint, ...]:
    """Lay the sessions end to end: the pause between them is no time at work."""
    points, before_s, last = [], 0.0, None
    for sample in samples:
        if last is not None and sample.session != last.session:
            before_s += last.elapsed_s
        last = sample
        points.append(
            TimePoint(
                before_s + sample.elapsed_s,
                sample.session,
                sample.pages_per_s,
                sample.recent_rows_per_s,
                sample.recent_latency_p50_s,
                sample.recent_latency_p95_s,
                sample.recent_latency_p99_s,
                sample.queue_depth,
                sample.rss_bytes,
                sample.errors,
            )
        )
    return tuple(points)


def _sessions(told: RunDetails) -> tuple[Session, ...]:
    return tuple(
        Session(
            each.number,
            each.first.at,
            each.last.elapsed_s,
            each.last.pages_done,
            each.last.rows_staged,
            each.last.errors,
        )
        for each in told.sessions
    )
