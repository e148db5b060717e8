"""Details of a past run, gathered from all that carsync keeps of it; only reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from carsync.errors import ConfigError
from carsync.exit_codes import ExitCode
from carsync.model import RunState, Scope, Target
from carsync.postgres import sql
from carsync.postgres.wait import Connection
from carsync.run.report import RunReport
from carsync.state import rejects, runs, samples, target_lock
from carsync.state.rejects import ReasonCount
from carsync.state.runs import Run
from carsync.state.samples import FailedPage, FailureCount, Sample, read_samples

RunKind = Literal["sync", "incremental", "sample", "dry run", "replay", "revert", "refresh"]

_KINDS: dict[Scope, RunKind] = {"sample": "sample", "dry": "dry run"}

RelationKind = Literal["replays", "reverts", "replayed by", "reverted by"]


class PastRun(Struct, frozen=True):
    """A run as it stands: `state` is the true one, for a dead run may be recorded as running.

    `report` is what the run said at its end; None where it is running, died, or is no sync.
    """

    run: Run
    kind: RunKind
    state: RunState
    report: RunReport | None

    @property
    def is_running(self) -> bool:
        """Whether a process works on the run now."""
        return self.state == "running"

    @property
    def duration_s(self) -> float | None:
        """How long the last session took; None where no end is recorded."""
        if self.report is not None:
            return self.report.duration_s
        run = self.run
        if run.finished_at is None or run.state == "abandoned":
            return None
        return (run.finished_at - (run.resumed_at or run.started_at)).total_seconds()


class RunSession(msgspec.Struct, frozen=True, kw_only=True):
    """One process's work on a run, as its samples show it.

    `pages_done` and `rows_staged` are those of the whole run when the session ended.
    """

    number: int
    started_at: datetime
    seen_until: datetime
    worked_s: float
    phase: str
    pages_done: int = msgspec.field(name="pages_staged")
    rows_staged: int
    errors: dict[str, int]
    samples: int


class RunDetails(Struct, frozen=True):
    """All that is known of a run.

    `failed_attempts` counts by class over all sessions, whether the attempts are kept or not;
    `failed_pages` come from the kept ones. `reasons` are those of open rejects.
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

    @property
    def relations(self) -> list[tuple[RelationKind, str]]:
        """How this run and others bear on each other, with the numbers of the others."""
        run = self.past.run
        others: list[tuple[RelationKind, Sequence[int | None]]] = [
            ("replays", [run.replay_of]),
            ("reverts", [run.reverts]),
            ("replayed by", self.replayed_by),
            ("reverted by", self.reverted_by),
        ]
        return [(how, ", ".join(map(str, ids))) for how, ids in others if any(ids)]


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
    """Return a run of any target; raise `ConfigError` with the nearest where there is none."""
    run = runs.find_run(conn, run_id) if has_schema(conn) else None
    if run is None:
        raise _unknown(conn, target, run_id)
    newest = runs.list_runs(conn, run.target, 1)[0]
    return _past(conn, run, newest.run_id)


def gather(conn: Connection, target: Target, run_id: int, *, pages: int) -> RunDetails:
    """Gather the details of a run, with at most `pages` pages that failed.

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
        RunSession(
            number=number,
            started_at=found[0].at,
            seen_until=found[-1].at,
            worked_s=found[-1].elapsed_s,
            phase=found[-1].phase,
            pages_done=found[-1].pages_done,
            rows_staged=found[-1].rows_staged,
            errors=found[-1].errors,
            samples=len(found),
        )
        for number, found in by_number.items()
    ]


def errors_since(samples: Sequence[Sample]) -> list[dict[str, int]]:
    """Return for each sample the attempts failed since the one before in its session, by class."""
    found = []
    for before, sample in zip((None, *samples), samples, strict=False):
        known = before.errors if before and before.session == sample.session else {}
        grown = {kind: n - known.get(kind, 0) for kind, n in sample.errors.items()}
        found.append({kind: n for kind, n in grown.items() if n > 0})
    return found


def kind_of(run: Run) -> RunKind:
    """Return the kind of a run."""
    if run.replay_of is not None:
        return "replay"
    if run.reverts is not None:
        return "revert"
    if run.mode == "refresh":
        return "refresh"
    return _KINDS.get(run.scope, "incremental" if run.mode == "incremental" else "sync")


def read_report(summary: Mapping[str, Any] | None) -> RunReport | None:
    """Return the report of a stored summary; None where there is none, or of another shape."""
    if not summary or "snapshot" not in summary:
        return None
    try:
        return msgspec.convert(dict(summary), RunReport)
    except msgspec.ValidationError:
        return None


def fate(past: PastRun) -> tuple[str, str]:
    """Say why the run stands as it does, and what to do."""
    if past.is_running:
        return "", "nothing to do; the run is in progress (see `carsync status`)"
    if past.state == "abandoned":
        return (
            "a later run did not resume this run",
            "nothing to do: its staged pages are deleted, the table was not changed",
        )
    if past.run.counts is not None:
        return "", "nothing to do; it was merged"
    died = "its process ended unexpectedly" if past.run.state == "running" else ""
    if past.kind == "revert":
        return died, f"nothing was changed; run `carsync revert {past.run.reverts}` again"
    if past.kind == "refresh":
        return died, "nothing was changed; run `carsync refresh` again"
    if past.kind == "replay":
        return died, "nothing was changed; run `carsync rejects replay` again"
    resumes = ": it resumes the newest run if it can" if died else ""
    return died, f"run `carsync sync` again{resumes}"


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
        total.update(session.errors)
    return dict(total)


def _unknown(conn: Connection, target: Target, run_id: int) -> ConfigError:
    detail, hint = "the database has no run yet", "run `carsync sync` first"
    if has_schema(conn):
        parameters = {"schema": target.schema, "table": target.table, "run_id": run_id}
        query = sql.load("runs/list_nearest_runs")
        found = sorted(n for (n,) in sql.fetch(conn, "listing runs", query, parameters))
        detail = f"no run of {target} is recorded yet"
        if found:
            detail = f"the nearest of {target}: {', '.join(map(str, found))}"
            hint = "list them with `carsync runs`"
    return ConfigError(f"there is no run {run_id}", detail=detail, hint=hint)
