"""The last word of a run: what it did, how fast, and whether its targets were met.

Pure: a `RunReport` comes in; text for people or plain data for programs go out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from carsync import formatting
from carsync.exit_codes import advise
from carsync.formatting import Tone
from carsync.model import MergeCounts
from carsync.run.acceptance import Check, Verdict
from carsync.run.metrics import Snapshot
from carsync.state.checkpoint import LastRun, RunState

WIDTH = 80

_COUNTS = (
    *("seen", "inserted", "updated", "reactivated", "unchanged"),
    *("deactivated", "held", "rejected", "duplicate", "stale"),
)
_TONES: dict[RunState, Tone] = {
    "running": "good",
    "merging": "good",
    "interrupted": "warn",
    "failed": "bad",
    "partial": "warn",
    "held": "warn",
    "complete": "good",
}
_VERDICT_TONES: dict[Verdict, Tone] = {"pass": "good", "fail": "bad", "n/a": "plain"}


@dataclass(frozen=True, slots=True)
class RunReport:
    """All there is to say of one run that ended.

    `counts` is None where nothing was merged; `notes` are sentences worth reading
    (why deactivations were held, signs of drift). `problem`, `detail` and `hint` are
    the error's, if any. `dry_run`: all of it was rolled back; `max_pages`: no more were read.
    """

    run_id: int | None
    state: RunState
    exit_code: int
    source: str
    target: str
    started_at: datetime
    finished_at: datetime
    duration_s: float
    snapshot: Snapshot
    counts: MergeCounts | None = None
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    detail: str = ""
    hint: str = ""
    dry_run: bool = False
    max_pages: int | None = None


def last_run(report: RunReport) -> LastRun | None:
    """Return what is remembered of a run that was merged; None of one that was not."""
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
    )


def render_summary(report: RunReport, *, color: bool = False) -> str:
    """Return the summary as text for an 80-column terminal, without a final line feed."""
    run = "run" if report.run_id is None else f"run {report.run_id}"
    run = "dry run" if report.dry_run else run
    head = title(f"{run} · {report.source} → {report.target}", report.state, color)
    lines = [head, "", *formatting.columns(_work(report))]
    if report.counts is not None:
        lines += ["", *counts_grid(report.counts)]
    if report.checks:
        lines += ["", *_check_table(report.checks, color)]
    if report.notes:
        lines += [""]
        for note in report.notes:
            lines += wrap("note", note, color)
    lines += [""]
    if report.dry_run:
        lines += wrap("dry run", "nothing was written; the counts are what a run would do", color)
    for name, text in (("problem", report.problem), ("detail", report.detail)):
        if text:
            lines += wrap(name, text, color)
    return "\n".join([*lines, *wrap("next", next_step(report.exit_code, report.hint), color)])


def summary_data(report: RunReport) -> dict[str, Any]:
    """Return the same as plain data for `--json`: numbers unrounded, times as ISO-8601 UTC."""
    data: dict[str, Any] = msgspec.to_builtins(report)
    data["meaning"] = advise(report.exit_code).meaning
    data["next_step"] = next_step(report.exit_code, report.hint)
    return data


def next_step(exit_code: int, hint: str) -> str:
    """Return what the operator does now: the error's own hint first, then the code's advice.

    >>> next_step(4, "check the password")
    'check the password; then run `carsync sync` again: it resumes'
    >>> next_step(3, "run again: it resumes")
    'run again: it resumes'
    """
    step = advise(exit_code).next_step
    if "run again" in hint:
        return hint
    joint = "; " if step.startswith("or ") else "; then "
    return f"{hint.rstrip('.')}{joint}{step}" if hint else step


def counts_grid(counts: MergeCounts, width: int = WIDTH) -> list[str]:
    """Lay out the counts of a merge, numbers aligned: in two columns of five where they fit."""
    cells = [f"{name:<12}{getattr(counts, name):>11,}" for name in _COUNTS]
    half = len(cells) // 2
    if width < 2 + 2 * len(cells[0]) + 6:
        return [f"  {cell}" for cell in cells]
    return [
        f"  {left}      {right}" for left, right in zip(cells[:half], cells[half:], strict=True)
    ]


def wrap(name: str, text: str, color: bool = False, width: int = WIDTH) -> list[str]:
    """Lay out a sentence behind its bold name, broken at `width` columns."""
    head = f"{name}: "
    first, *rest = textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent=" " * len(head)
    ) or [head]
    return [formatting.paint(f"{name}:", "strong", color) + first[len(name) + 1 :], *rest]


def title(name: str, state: RunState | None, color: bool, width: int = WIDTH) -> str:
    """Lay out a line of `width` columns: what it is about, and its state (None: no run yet)."""
    word = state or "no run yet"
    tone: Tone = _TONES[state] if state else "warn"
    gap = " " * max(width - len(name) - len(word), 1)
    return formatting.paint(name, "strong", color) + gap + formatting.paint(word, tone, color)


def outcome(exit_code: int) -> str:
    """Say how a run ended.

    >>> outcome(3)
    'the API failed for good (exit 3)'
    """
    return f"{advise(exit_code).meaning} (exit {exit_code})"


def _work(report: RunReport) -> list[tuple[str, str]]:
    """Return name and value of each line on what was done and how fast."""
    snapshot = report.snapshot
    planned = snapshot.pages_planned
    done = snapshot.pages_resumed + snapshot.pages_staged
    pages = formatting.count(done)
    if planned is not None:
        pages += f" of {formatting.count(planned)} ({formatting.share(done, planned)})"
    if snapshot.pages_resumed:
        pages += f" · {formatting.count(snapshot.pages_resumed)} kept from the interrupted run"
    if snapshot.pages_failed:
        pages += f" · {formatting.count(snapshot.pages_failed)} failed"
    rows = f"{formatting.count(snapshot.rows_staged)} staged"
    if snapshot.rejects:
        rows += f" · {formatting.count(snapshot.rejects)} rejected"
    return [
        ("outcome", outcome(report.exit_code)),
        (
            "time",
            f"{formatting.duration(report.duration_s)} · "
            f"ended {formatting.moment(report.finished_at)}",
        ),
        ("pages", pages),
        ("rows", rows),
        ("rate", _rates(snapshot)),
        (
            "latency",
            formatting.latencies(
                snapshot.latency_mean_s,
                snapshot.latency_p50_s,
                snapshot.latency_p95_s,
                snapshot.latency_p99_s,
            ),
        ),
        ("traffic", _traffic(snapshot)),
        ("errors", _errors(snapshot)),
        ("memory", _memory(snapshot)),
    ]


def _rates(snapshot: Snapshot) -> str:
    text = (
        f"{formatting.rate(snapshot.pages_per_s_mean)} pages/s · "
        f"{formatting.rate(snapshot.rows_per_s)} rows/s"
    )
    if snapshot.writer_rows_per_busy_s is not None:
        text += f" · {formatting.rate(snapshot.writer_rows_per_busy_s)} rows/s of a busy writer"
    return text


def _traffic(snapshot: Snapshot) -> str:
    return (
        f"{formatting.plural(snapshot.attempts, 'request')} · "
        f"{formatting.size(snapshot.wire_bytes)} received, "
        f"{formatting.size(snapshot.body_bytes)} unpacked"
    )


def _errors(snapshot: Snapshot) -> str:
    parts = [formatting.errors(snapshot.errors)]
    if snapshot.retries:
        parts.append(f"{snapshot.retries:,} retried")
    if snapshot.breaker_openings:
        parts.append(f"breaker opened {formatting.plural(snapshot.breaker_openings, 'time')}")
    return " · ".join(parts)


def _memory(snapshot: Snapshot) -> str:
    text = f"peak {formatting.size(snapshot.rss_peak_bytes)} in all processes"
    if snapshot.rss_slope_mb_per_min is not None:
        text += f" · slope {snapshot.rss_slope_mb_per_min:+.1f} MB/min"
    return text


def _check_table(checks: Sequence[Check], color: bool) -> list[str]:
    """Lay out the acceptance checks: verdict, name, measured value, target."""
    names = max(len("acceptance"), *(len(check.name) for check in checks))
    values = max(len("measured"), *(len(check.measured) for check in checks))
    lines = [
        formatting.paint(
            f"  {'acceptance':<{names}}  {'measured':<{values}}  target", "strong", color
        )
    ]
    for check in checks:
        line = f"  {check.name:<{names}}  {check.measured:<{values}}  {check.target}"
        verdict = formatting.paint(check.verdict, _VERDICT_TONES[check.verdict], color)
        lines.append(f"{line:<{WIDTH - 6}}  {verdict}")
    return lines
