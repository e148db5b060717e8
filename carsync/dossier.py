"""All that is known of one run, gathered for its report; PostgreSQL counts, examples are few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from carsync import __version__, changesummary, history, observations, rejects
from carsync.acceptance import Check
from carsync.advice import advise
from carsync.database import Connection
from carsync.errors import ConfigError
from carsync.history import Run
from carsync.observations import Sample
from carsync.reportdata import (
    PageFailures,
    RejectExample,
    RejectReason,
    ReportData,
    Session,
    TimePoint,
)

PAGES = 15
"""So many pages with failed attempts are told."""
REJECTS = 5
EXCERPT_CHARS = 241
"""One more than the page shows, so that it can say that a text goes on."""

_UNENDED = {
    "running": (
        "no end is recorded: it is going on, or was killed",
        "look at `carsync status`; `carsync sync` resumes a run that was killed",
    ),
    "abandoned": ("given up unfinished: a newer run began instead of resuming it", "nothing to do"),
}
_UNKNOWN = ("its end is not recorded", "look at the log and at `carsync status`")


def gather(conn: Connection, run_id: int, now: datetime) -> ReportData:
    """Read what is known of a run, whatever became of it; `now` is UTC.

    Raises `ConfigError` where there is no such run, and `DatabaseError`.
    """
    run = history.find_run(conn, run_id)
    if run is None:
        raise ConfigError(
            f"there is no run {run_id}",
            detail="no such line in carsync.runs of this database",
            hint="list the runs with `carsync runs`",
        )
    samples = observations.read_samples(conn, run_id)
    target, source = run.target, run.source
    outcome, next_step = _outcome(run)
    summary = run.summary or {}
    return ReportData(
        run_id=run_id,
        source=source,
        target=str(target),
        state=run.state,
        exit_code=run.exit_code,
        outcome=outcome,
        next_step=next_step,
        started_at=run.started_at,
        merged_at=run.merged_at,
        finished_at=run.finished_at,
        duration_s=summary.get("duration_s"),
        version=run.version,
        hash_scheme=run.hash_scheme,
        fingerprints=run.fingerprints,
        made_at=now,
        made_by=__version__,
        problem=summary.get("problem", ""),
        detail=summary.get("detail", ""),
        hint=summary.get("hint", ""),
        notes=tuple(summary.get("notes", ())),
        related=_related(run, changesummary.reverted_by(conn, run_id)),
        figures=summary.get("snapshot"),
        counts=run.counts,
        checks=msgspec.convert(summary.get("checks", []), tuple[Check, ...]),
        changes=changesummary.summarize(conn, run),
        points=_points(samples),
        sessions=_sessions(samples),
        errors=_errors(samples, summary),
        failed_pages=tuple(
            PageFailures(p.page, p.failures, p.kinds, p.problem, p.status, p.given_up)
            for p in observations.list_failed_pages(conn, run_id, PAGES)
        ),
        failed_pages_total=observations.count_failures(conn, run_id).pages,
        reject_reasons=tuple(
            RejectReason(each.column, each.reason, each.count)
            for each in rejects.count_reasons(conn, target, source, run_id)
        ),
        reject_examples=tuple(
            RejectExample(r.page, r.ordinal, r.record_id, r.column, r.reason, r.original)
            for r in rejects.list_open(conn, target, source, run_id, REJECTS, EXCERPT_CHARS)
        ),
    )


def _outcome(run: Run) -> tuple[str, str]:
    """Say how the run ended, and what the operator does now."""
    if run.exit_code is None:
        return _UNENDED.get(run.state, _UNKNOWN)
    advice = advise(run.exit_code)
    told = run.summary or {}
    return f"{advice.meaning} (exit {run.exit_code})", told.get("next_step", advice.next_step)


def _related(run: Run, reverted_by: int | None) -> tuple[str, ...]:
    """Say what other runs have to do with this one."""
    found = []
    if run.replay_of is not None:
        found.append(f"Replays the rejects of run {run.replay_of}; it read no feed.")
    if run.reverts is not None:
        found.append(f"Takes back what run {run.reverts} did; it read no feed.")
    if reverted_by is not None:
        found.append(f"What this run did was taken back by run {reverted_by}.")
    if run.scope == "dry":
        found.append("A dry run: what it merged was rolled back.")
    if run.scope == "sample":
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
                sample.rows_per_s,
                sample.latency_p50_s,
                sample.latency_p95_s,
                sample.latency_p99_s,
                sample.queue_depth,
                sample.rss_bytes,
                sample.errors,
            )
        )
    return tuple(points)


def _sessions(samples: Sequence[Sample]) -> tuple[Session, ...]:
    first = {sample.session: sample for sample in reversed(samples)}
    last = {sample.session: sample for sample in samples}
    return tuple(
        Session(
            number,
            first[number].at,
            end.elapsed_s,
            end.pages_staged,
            end.rows_staged,
            end.errors,
        )
        for number, end in sorted(last.items())
    )


def _errors(samples: Sequence[Sample], summary: Mapping[str, Any]) -> dict[str, int]:
    """Count failed attempts of the whole run by class.

    Each session's last sample tells its own. The last session's are in the summary too,
    which is the later one.
    """
    by_session = {sample.session: sample.errors for sample in samples}
    told = (summary.get("snapshot") or {}).get("errors")
    if told is not None:
        by_session[max(by_session, default=1)] = told
    total: Counter[str] = Counter()
    for errors in by_session.values():
        total.update(errors)
    return {kind: number for kind, number in total.items() if number}
