"""The story of a past run, gathered from all that carsync keeps of it; only reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from carsync.errors import ConfigError
from carsync.exit_codes import ExitCode
from carsync.model import RunState, Target
from carsync.postgres import sql
from carsync.postgres.connection import Connection
from carsync.run.report import RunReport
from carsync.state import rejects, runs, samples, target_lock
from carsync.state.rejects import ReasonCount
from carsync.state.runs import Run
from carsync.state.samples import FailedPage, FailureCount, Sample, read_samples

RunKind = Literal["sync", "sample", "dry run", "replay", "revert"]

_KINDS: dict[str, RunKind] = {"sample": "sample", "dry": "dry run"}


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as it stands: `state` is the true one, for a run may say running and be dead.

    `report` is its last word, None where it has none (it goes on, died, or is no sync).
    """

    run: Run
    kind: RunKind
    state: RunState
    report: RunReport | None

    @property
    def goes_on(self) -> bool:
        """Say whether a process works on it now."""
        return self.state == "running"

    @property
    def duration_s(self) -> float | None:
        """How long its last session took; None where it never said its end."""
        if self.report is not None:
            return self.report.duration_s
        run = self.run
        if run.finished_at is None or run.state == "abandoned":
            return None
        return (run.finished_at - (run.resumed_at or run.started_at)).total_seconds()


@dataclass(frozen=True, slots=True)
class RunSession:
    """One process's work on a run, as its samples tell it: first, last, and how many."""

    number: int
    first: Sample
    last: Sample
    samples: int


@dataclass(frozen=True, slots=True)
class RunDetails:
    """All there is to tell of a run.

    `failed_attempts` counts them by class over all sessions, kept or not; `failed_pages`
    are those of the kept ones. `reasons` are those of open rejects.
    """

    past: PastRun
    samples: Sequence[Sample]
    failed_attempts: Mapping[str, int]
    failures_kept: FailureCount
    failed_pages: Sequence[FailedPage]
    reasons: Sequence[ReasonCount]
    replayed_by: tuple[int, ...]
    reverted_by: tuple[int, ...]

    @property
    def sessions(self) -> list[RunSession]:
        """The run's sessions, of which there is more than one where it was resumed."""
        return sessions_of(self.samples)


def has_schema(conn: Connection) -> bool:
    """Say whether carsync's own tables are there; before the first run they are not."""
    query = sql.load("runs/find_runs_table")
    return bool(sql.fetch(conn, "looking for carsync's tables", query)[0][0])


def list_past(conn: Connection, target: Target, limit: int) -> list[PastRun]:
    """Return the target's newest runs, newest first; none where there is no schema yet."""
    if not has_schema(conn):
        return []
    found = runs.list_runs(conn, target, limit)
    return [_past(conn, run, found[0].run_id) for run in found]


def find_past(conn: Connection, target: Target, run_id: int) -> PastRun:
    """Return a run, of any target; raise `ConfigError`, naming the nearest, if there is none."""
    run = runs.find_run(conn, run_id) if has_schema(conn) else None
    if run is None:
        raise _unknown(conn, target, run_id)
    newest = runs.list_runs(conn, run.target, 1)[0]
    return _past(conn, run, newest.run_id)


def gather(conn: Connection, target: Target, run_id: int, *, pages: int) -> RunDetails:
    """Gather the story of a run, with at most `pages` pages that failed.

    Raises `ConfigError` where there is no such run.
    """
    past = find_past(conn, target, run_id)
    run = past.run
    query = sql.load("runs/list_relatives")
    relatives = sql.fetch(conn, "looking for relatives", query, {"run_id": run_id})
    kept = samples.exist(conn)
    series = read_samples(conn, run_id) if kept else []
    return RunDetails(
        past=past,
        samples=series,
        failed_attempts=_failed_attempts(series, past.report),
        failures_kept=samples.count_failures(conn, run_id) if kept else FailureCount(),
        failed_pages=samples.list_failed_pages(conn, run_id, pages) if kept else [],
        reasons=rejects.count_reasons(conn, run.target, run.source, run_id),
        replayed_by=tuple(relative for relative, replays in relatives if replays),
        reverted_by=tuple(relative for relative, replays in relatives if not replays),
    )


def sessions_of(samples: Sequence[Sample]) -> list[RunSession]:
    """Group samples, which come in order, by session."""
    by_number: dict[int, list[Sample]] = {}
    for sample in samples:
        by_number.setdefault(sample.session, []).append(sample)
    return [
        RunSession(number, found[0], found[-1], len(found)) for number, found in by_number.items()
    ]


def kind_of(run: Run) -> RunKind:
    """Say what a run is: a sync, one that reads less or changes nothing, a replay, a revert."""
    if run.replay_of is not None:
        return "replay"
    if run.reverts is not None:
        return "revert"
    return _KINDS.get(run.scope, "sync")


def read_report(summary: Mapping[str, Any] | None) -> RunReport | None:
    """Return a stored summary as the report it was; None for none, or one of another shape."""
    if not summary or "snapshot" not in summary:
        return None
    try:
        return msgspec.convert(dict(summary), RunReport)
    except msgspec.ValidationError:
        return None


def as_line(past: PastRun) -> dict[str, Any]:
    """Return a run as `carsync runs --json` lists it: plain data, times as ISO-8601 UTC."""
    run, report = past.run, past.report
    return {
        "run_id": run.run_id,
        "kind": past.kind,
        "state": past.state,
        "recorded_state": run.state,
        "target": str(run.target),
        "source": run.source,
        "started_at": _iso(run.started_at),
        "resumed_at": _iso(run.resumed_at),
        "merged_at": _iso(run.merged_at),
        "finished_at": _iso(run.finished_at),
        "duration_s": past.duration_s,
        "exit_code": run.exit_code,
        "counts": run.counts,
        "pages_per_s": report.figures.pages_per_s_mean if report else None,
        "problem": report.problem if report else "",
        "version": run.version,
        "replay_of": run.replay_of,
        "reverts": run.reverts,
    }


def as_data(story: RunDetails) -> dict[str, Any]:
    """Return all of a story as plain data for `--json`."""
    run = story.past.run
    data: dict[str, Any] = {
        **as_line(story.past),
        "hash_scheme": run.hash_scheme,
        "fingerprints": run.fingerprints,
        "replayed_by": story.replayed_by,
        "reverted_by": story.reverted_by,
        "summary": run.summary,
        "sessions": [
            {
                "session": session.number,
                "started_at": session.first.at,
                "seen_until": session.last.at,
                "phase": session.last.phase,
                "pages_staged": session.last.pages_done,
                "errors": session.last.errors,
                "samples": session.samples,
            }
            for session in story.sessions
        ],
        "errors": {"by_class": story.failed_attempts, "kept": asdict(story.failures_kept)},
        "failed_pages": story.failed_pages,
        "rejects": {
            "open": sum(reason.count for reason in story.reasons),
            "reasons": story.reasons,
        },
        "samples": story.samples,
    }
    plain: dict[str, Any] = msgspec.to_builtins(data)
    return plain


def _past(conn: Connection, run: Run, newest: int) -> PastRun:
    state: RunState = run.state
    if state == "running" and not (
        run.run_id == newest and target_lock.describe_holder(conn, run.target)
    ):
        state = "interrupted"
    elif state == "partial" and run.exit_code == ExitCode.OK:
        state = "complete"  # a replay or a revert that did what it was asked for
    # What an earlier session said at its end is not the last word of a run taken up again.
    report = None if run.state == "running" else read_report(run.summary)
    return PastRun(run, kind_of(run), state, report)


def _failed_attempts(samples: Sequence[Sample], report: RunReport | None) -> dict[str, int]:
    """Add up what the last sample of each session counts; without samples, the report's."""
    if not samples:
        return dict(report.figures.errors) if report else {}
    total: Counter[str] = Counter()
    for session in sessions_of(samples):
        total.update(session.last.errors)
    return dict(total)


def _unknown(conn: Connection, target: Target, run_id: int) -> ConfigError:
    if not has_schema(conn):
        return ConfigError(
            f"there is no run {run_id}",
            detail="the database holds no run yet",
            hint="run `carsync sync` first",
        )
    parameters = {"schema": target.schema, "table": target.table, "run_id": run_id}
    query = sql.load("runs/list_nearest_runs")
    found = sorted(n for (n,) in sql.fetch(conn, "listing runs", query, parameters))
    nearest = f"the nearest of {target}: {', '.join(map(str, found))}"
    return ConfigError(
        f"there is no run {run_id}",
        detail=nearest if found else f"no run of {target} is recorded yet",
        hint="list them with `carsync runs`" if found else "run `carsync sync` first",
    )


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()
