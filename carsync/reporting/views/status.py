"""The status of a run, worked out from the checkpoint alone.

Pure: the checkpoint, the moment and whether the lock is held come in; text or
plain data go out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.model import Mode, RunState
from carsync.postgres.sessions import DatabaseSession
from carsync.reporting.views import layout, wording
from carsync.reporting.views.cost import cost_rows
from carsync.reporting.views.freshness import describe
from carsync.run.report import in_mode, next_step, outcome
from carsync.state.checkpoint import ACTIVE_STATES, CheckpointState, LastRun, RunStanding

SILENT_AFTER_S: dict[RunState, float] = {"running": 120.0, "merging": 3600.0}
"""A run whose checkpoint is older may hang, though its process lives; a merge is one statement."""

MIN_WIDTH, MAX_WIDTH = 40, 200
"""Columns within which `status_lines` follows the terminal."""

_SHOWN_FAILED_PAGES = 3
_TWO_COLUMNS = 140
_NAME, _BESIDE_NAME = "latency", 4
"""The longest name of a line, but for those of `cost_rows`; and the blanks around it."""
_MIN_BAR, _MAX_BAR = 10, 60
_LAST = "last completed run"
_LAST_INCREMENTAL = "last completed incremental run"
_AFRESH = "run `carsync sync` again: it starts a new run, because this one is too old"
_NONE_YET = "no run of this target has completed yet"


class Verdict(Struct, frozen=True):
    """What the checkpoint and the lock say together: the state shown, why, and the next step."""

    state: RunState | Literal["none"]
    reason: str
    next_step: str


def judge(
    state: RunStanding | None,
    now: datetime,
    lock_held: bool,
    resume_within_h: float,
    usual: Mode = "full",
) -> Verdict:
    """Return the true state: a run recorded as running whose lock nobody holds has died.

    `usual` is the mode of a run which is told none.
    """
    verdict = _judge(state, now, lock_held, resume_within_h)
    if state is None:
        return verdict
    return replace(verdict, next_step=in_mode(verdict.next_step, state.mode, usual))


def judge_other(other: RunStanding, now: datetime, resume_within_h: float) -> Verdict:
    """Return the true state of the last run of the other mode; its next step names the mode."""
    usual: Mode = "full" if other.mode == "incremental" else "incremental"
    return judge(other, now, False, resume_within_h, usual)


def _judge(
    state: RunStanding | None, now: datetime, lock_held: bool, resume_within_h: float
) -> Verdict:
    if state is None:
        step = "wait: the first run is starting" if lock_held else "run `carsync sync`"
        return Verdict("none", "there is no checkpoint of this target here", step)
    if lock_held:
        return _judge_living(state, now)
    if state.state in ACTIVE_STATES:
        return _judge_dead(state, now, resume_within_h)
    if state.exit_code is None:
        return Verdict(state.state, state.problem, state.hint or "run `carsync sync` again")
    step = next_step(state.exit_code, state.hint)
    reason = state.problem or (outcome(state.exit_code) if state.exit_code else "")
    if state.state == "interrupted" and _is_too_old(state, now, resume_within_h):
        step = _AFRESH
    return Verdict(state.state, reason, step)


def _judge_living(state: RunStanding, now: datetime) -> Verdict:
    is_tried = isinstance(state, CheckpointState) and state.tried is not None
    if state.state not in ACTIVE_STATES or is_tried:
        return Verdict(
            "interrupted" if state.state in ACTIVE_STATES else state.state,
            "a run is starting or ending, or another command asks the API (`carsync refresh`, "
            "`carsync approve`, a dry run)",
            "wait a moment, then look again",
        )
    silent_s = updated_age_s(state, now)
    if silent_s > SILENT_AFTER_S[state.state]:
        return Verdict(
            state.state,
            f"process {state.pid} is running, but has reported nothing "
            f"for {formatting.duration(silent_s)}",
            "look at the log; if the run hangs, stop it, then run `carsync sync` again",
        )
    return Verdict(state.state, "", "nothing to do; the run is in progress")


def _judge_dead(state: RunStanding, now: datetime, resume_within_h: float) -> Verdict:
    reason = f"its process {state.pid} ended unexpectedly"
    if state.state == "merging":
        step = "run `carsync sync` again: it finds out whether the merge was committed"
    elif _is_too_old(state, now, resume_within_h):
        step = _AFRESH
    else:
        step = "run `carsync sync` again: it fetches only the pages that were not staged"
    return Verdict("interrupted", reason, step)


def _is_too_old(state: RunStanding, now: datetime, resume_within_h: float) -> bool:
    """Say whether the next run will begin anew: what counts is when this one began."""
    return (now - state.started_at).total_seconds() > resume_within_h * 3600


def updated_age_s(state: RunStanding, now: datetime) -> float:
    """Return how long ago the checkpoint was written; 0 where a clock was set back."""
    return max((now - state.updated_at).total_seconds(), 0.0)


def status_lines(
    state: CheckpointState | None,
    now: datetime,
    lock_held: bool,
    resume_within_h: float,
    usual: Mode = "full",
    *,
    color: bool = False,
    width: int = layout.WIDTH,
) -> list[str]:
    """Lay out the status for a terminal of `width` columns, still to be displayed."""
    width = min(max(width, MIN_WIDTH), MAX_WIDTH)
    verdict = judge(state, now, lock_held, resume_within_h, usual)
    name = f"carsync · {state.source} → {state.target}" if state else "carsync"
    shown = None if verdict.state == "none" else verdict.state
    head = [layout.title(name, shown, color, width)]
    if len(name) + len(shown or "no run yet") >= width:
        head = [*textwrap.wrap(name, width), layout.title("", shown, color, 0).lstrip()]
    lines = [*head, ""]
    if state is not None:
        if words := describe(state, now):
            lines += [*layout.wrap("newest data", words, color, width), ""]
        beside = width >= _TWO_COLUMNS
        column = layout.column_width(2, width) if beside else width
        run = layout.columns(_run_rows(state, now, verdict, column), width=column)
        last = _last_lines(state, now, column)
        lines += layout.side_by_side([run, last], column) if beside else [*run, "", *last]
        lines = [line.replace(_LAST, formatting.paint(_LAST, "strong", color), 1) for line in lines]
        lines += [""]
    if verdict.reason:
        lines += layout.wrap("why", verdict.reason, color, width)
    lines += layout.wrap("next", verdict.next_step, color, width)
    if state is not None and state.other is not None:
        lines += _other_lines(state, state.other, now, resume_within_h, color, width)
    return lines


def _other_lines(
    state: CheckpointState,
    other: RunStanding,
    now: datetime,
    resume_within_h: float,
    color: bool,
    width: int,
) -> list[str]:
    """Say how the last run of the other mode stands, where somebody has to know."""
    verdict = judge_other(other, now, resume_within_h)
    if verdict.state == "complete" and not verdict.reason:
        return []
    full = state.last_completed
    if other.mode == "incremental" and full and full.finished_at > other.updated_at:
        return []  # a full run has read since what this one should have
    run = wording.MODES[other.mode] + (f" {other.run_id}" if other.run_id else "")
    text = f"{verdict.state}, {_ago(other.updated_at, now)}"
    if verdict.state == "interrupted":
        text += f"; pages {wording.pages(other.pages_done, other.pages_planned)} are staged"
    lines = ["", *layout.wrap(run, text, color, width)]
    if verdict.reason:
        lines += layout.wrap("why", verdict.reason, color, width)
    return [*lines, *layout.wrap("next", verdict.next_step, color, width)]


def render_line(
    state: CheckpointState | None,
    now: datetime,
    lock_held: bool,
    resume_within_h: float,
    usual: Mode = "full",
) -> str:
    """Return the status on one line, for a log; what is not known yet is left out."""
    verdict = judge(state, now, lock_held, resume_within_h, usual)
    if state is None or state.run_id is None:
        return verdict.next_step
    phase = state.phase if verdict.state in ACTIVE_STATES else verdict.state
    done, planned = state.pages_done, state.pages_planned
    pages = formatting.count(done) if planned is None else wording.pages(done, planned)
    parts = [f"run {state.run_id}", phase, f"pages {pages}"]
    if verdict.state in ACTIVE_STATES:
        parts.append(_rates(state, is_active=True))
    parts.append(f"errors {formatting.errors(state.errors)}")
    if state.pages_given_up:
        parts.append(wording.given_up(state.pages_given_up))
    return " · ".join(parts)


def _run_rows(
    state: CheckpointState, now: datetime, verdict: Verdict, width: int
) -> list[tuple[str, str]]:
    """Return name and value of each line on the run itself, for `width` columns in all."""
    is_active = verdict.state in ACTIVE_STATES
    run = "–" if state.run_id is None else str(state.run_id)
    reads = wording.window(state.window_from, state.window_overlap_s)
    costs = cost_rows(state.requests, state.api_use, state.quotas, now)
    width -= _BESIDE_NAME + max(len(name) for name in (_NAME, *dict(costs)))
    rows = [
        ("run", f"{run}{wording.mode(state.mode)} · started {_ago(state.started_at, now)}"),
        *([("reads", reads)] if reads else []),
        _at_work(state, now) if is_active else _ended(state, now),
        *_pages(state, width),
        ("rows", wording.rows(state)),
    ]
    if words := wording.lists(state.lists_done, state.lists_planned):
        rows.append(("lists", words))
    if state.pages_per_s:
        rows.append(("rate", _rates(state, is_active)))
    if words := wording.slowed(state.slowed):
        rows.append(("asked", words))
    if state.latency is not None:
        rows.append(("latency", wording.latency(state.latency)))
    rows.append(("errors", formatting.errors(state.errors)))
    return [*rows, *costs, *_failed_rows(state, width)]


def _at_work(state: CheckpointState, now: datetime) -> tuple[str, str]:
    seen = formatting.duration(round(updated_age_s(state, now)))
    return "phase", f"{state.phase} · process {state.pid} · last sign of life {seen} ago"


def _ended(state: CheckpointState, now: datetime) -> tuple[str, str]:
    phase = "" if state.phase == "ended" else f", while {state.phase}"
    return "ended", f"{_ago(state.updated_at, now)}{phase}"


def _pages(state: CheckpointState, width: int) -> list[tuple[str, str]]:
    """Return the bar and the counts, side by side where `width` allows it."""
    done, planned = state.pages_done, state.pages_planned
    text = wording.pages(done, planned)
    beside = min(width - len(text) - 2, _MAX_BAR)
    if beside >= _MIN_BAR:
        return [("pages", f"{layout.bar(done, planned, beside)}  {text}")]
    return [("pages", text), ("", layout.bar(done, planned, width))]


def _rates(state: CheckpointState, is_active: bool) -> str:
    text = wording.rates(state.pages_per_s, state.rows_per_s)
    if is_active and state.eta_s is not None:
        text += f" · eta {formatting.duration(state.eta_s)}"
    return text


def _failed_rows(state: CheckpointState, width: int) -> list[tuple[str, str]]:
    """Name the first failed pages, one line each, and say how many more there are."""
    total = max(state.pages_given_up, len(state.pages_failed))
    shown = list(state.pages_failed.items())[:_SHOWN_FAILED_PAGES]
    lines = [
        _cut(formatting.of_page(int(page) if page.isdigit() else page, problem), width)
        for page, problem in shown
    ]
    if total > len(shown):
        lines.append(f"and {formatting.plural(total - len(shown), 'more page')}")
    return [("failed" if n == 0 else "", line) for n, line in enumerate(lines)]


def _last_lines(state: CheckpointState, now: datetime, width: int) -> list[str]:
    """Show the last completed runs: of the whole feed with its counts, and the incremental one."""
    last = state.last_completed
    if last is None:
        lines = [f"  {line}" for line in textwrap.wrap(_NONE_YET, width - 2)]
    else:
        table = layout.columns(_last_rows(last, state.last_success_at, now), width=width)
        lines = [_LAST, *table, "", *layout.counts_grid(last.counts, width)]
    incremental = state.incremental
    if incremental is None or incremental.last_completed is None:
        return lines
    rows = _last_rows(incremental.last_completed, incremental.last_success_at, now)
    rows.append(("cars", wording.counts(incremental.last_completed.counts) or "none"))
    if last is not None:
        lines[0] = f"{_LAST} of the whole feed"
    return [*lines, "", _LAST_INCREMENTAL, *layout.columns(rows, width=width)]


def _last_rows(last: LastRun, success_at: datetime | None, now: datetime) -> list[tuple[str, str]]:
    """Return name and value of each line on a completed run, and the age of the last success."""
    took = formatting.duration(last.duration_s)
    rows = [
        ("run", f"{last.run_id} · took {took} · ended {_ago(last.finished_at, now)}"),
        ("outcome", outcome(last.exit_code)),
    ]
    rows += [
        ("failed", f"{check.name} {check.measured}, target {check.target}")
        for check in last.acceptance
        if check.verdict == "fail"
    ]
    if success_at is None:
        rows.append(("success", "never yet"))
    elif success_at < last.finished_at:
        rows.append(("success", f"last {_ago(success_at, now)}"))
    return rows


def _ago(at: datetime, now: datetime) -> str:
    age_s = max((now - at).total_seconds(), 0.0)
    return f"{formatting.moment(at)}, {formatting.duration(round(age_s))} ago"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def session_lines(sessions: Sequence[DatabaseSession]) -> list[str]:
    """Lay out one line for each session: who, doing what, for how long, waiting for whom."""
    if not sessions:
        return ["no session of carsync in the database"]
    lines = ["sessions of carsync in the database"]
    for session in sessions:
        who = f"pid {session.pid}  {session.application}"
        line = f"  {who}: {session.state} for {formatting.duration(session.age_s)}"
        line += f", waits for {session.wait}" if session.wait else ""
        if session.blocked_by:
            line += f", blocked by pid {', '.join(map(str, session.blocked_by))}"
        lines.append(f"{line}; holds the lock" if session.holds_lock else line)
    return lines
