"""All there is to say of one run that ended, as a record and as plain data. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from carsync.destination.column_values import ColumnValues
from carsync.exit_codes import ExitCode, advise
from carsync.model import Check, MergeCounts, Mode, RunMode, RunState
from carsync.state.checkpoint import LastRun
from carsync.state.figures import Figures


class ListReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one list: its pages and records, and the total that the API reports.

    `pages_failed` could not be read, `problem` says why the first one could not.
    """

    name: str
    pages: int
    records: int
    reported: int | None = None
    pages_failed: int = 0
    problem: str = ""


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to say of one run that ended.

    `counts` is None where nothing was merged; `notes` are sentences worth reading
    (why deactivations were held, signs of drift). `problem`, `detail` and `hint` are
    the error's, if any. No page is older than `data_at` (None: stored by a carsync that did
    not know). A `dry_run` was rolled back; at most `max_pages` were read.
    An incremental run asked for what changed since `window_from`; its `window_overlap_s` had been
    asked for before. `api_clock` is the API's time at the run's first page, None where it sends
    none. `columns` are those whose values are worth a look, None where not all pages were read;
    `fields` are those that records have, or had before. `lists` are those that were begun; a feed
    without `api.lists` has none. `usual_mode` is that of a run which is told no mode.
    """

    run_id: int | None
    state: RunState
    exit_code: int
    source: str
    target: str
    started_at: datetime
    finished_at: datetime
    duration_s: float
    figures: Figures = msgspec.field(name="snapshot")
    data_at: datetime | None = None
    counts: MergeCounts | None = None
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    detail: str = ""
    hint: str = ""
    dry_run: bool = False
    max_pages: int | None = None
    columns: tuple[ColumnValues, ...] | None = None
    fields: tuple[str, ...] = ()
    lists: tuple[ListReport, ...] = ()
    mode: RunMode = "full"
    usual_mode: Mode = "full"
    window_from: datetime | None = None
    window_overlap_s: float | None = None
    api_clock: datetime | None = None

    @property
    def is_success(self) -> bool:
        """Whether the run left the table equal to the feed."""
        return self.exit_code in {ExitCode.OK, ExitCode.ACCEPTANCE}

    @property
    def advice(self) -> str:
        """What the operator does now."""
        return next_step(self.exit_code, self.hint, self.mode, self.usual_mode)


def last_run(report: RunReport) -> LastRun | None:
    """Return what the checkpoint remembers of a merged run; None of a run that was not merged."""
    if report.counts is None or report.run_id is None:
        return None
    return LastRun(
        run_id=report.run_id,
        state=report.state,
        exit_code=report.exit_code,
        finished_at=report.finished_at,
        duration_s=report.duration_s,
        counts=report.counts,
        acceptance=report.checks,
        api_clock=report.api_clock,
    )


def summary_data(report: RunReport) -> dict[str, Any]:
    """Return a report as plain data for `--json`: numbers unrounded, times as ISO-8601 UTC."""
    data: dict[str, Any] = msgspec.to_builtins(report)
    data["meaning"] = advise(report.exit_code).meaning
    data["next_step"] = report.advice
    return data


def next_step(exit_code: int, hint: str, mode: RunMode = "full", usual: Mode = "full") -> str:
    """Return what the operator does now: the error's own hint first, then the code's advice.

    A hint that says itself which run comes next needs no advice. `mode` is that of the run,
    `usual` that of a run which is told none.

    >>> next_step(4, "check the password")
    'check the password; then run `carsync sync` again: it resumes'
    >>> next_step(3, "run again: it resumes")
    'run again: it resumes'
    >>> next_step(3, "check the key", "incremental")
    'check the key; then run `carsync sync --mode incremental` again: it resumes'
    >>> next_step(2, "run a full sync: `carsync sync --mode full`")
    'run a full sync: `carsync sync --mode full`'
    """
    step = in_mode(advise(exit_code).next_step, mode, usual)
    if "run again" in hint or "`carsync sync" in hint:
        return hint
    joint = "; " if step.startswith("or ") else "; then "
    return f"{hint.rstrip('.')}{joint}{step}" if hint else step


def in_mode(step: str, mode: RunMode, usual: Mode) -> str:
    """Let `carsync sync` in a step name the mode, where it would not read in this one.

    >>> in_mode("run `carsync sync` again", "full", "incremental")
    'run `carsync sync --mode full` again'
    """
    if mode == "incremental" or (mode == "full" and usual != mode):
        return step.replace("`carsync sync`", f"`carsync sync --mode {mode}`")
    return step


def outcome(exit_code: int) -> str:
    """Say how a run ended.

    >>> outcome(3)
    'the API failed (exit 3)'
    """
    return f"{advise(exit_code).meaning} (exit {exit_code})"
