"""The end of a run as text: what it did, how fast, and whether its targets were met."""

from __future__ import annotations

from collections.abc import Sequence

from carsync import formatting
from carsync.formatting import Displayed, Tone
from carsync.model import Check, CheckVerdict
from carsync.reporting.views import wording
from carsync.reporting.views.cost import cost_rows
from carsync.reporting.views.layout import WIDTH, columns, counts_grid, title, wrap
from carsync.run.report import RunReport, outcome
from carsync.state.figures import Figures

_VERDICT_TONES: dict[CheckVerdict, Tone] = {"pass": "good", "fail": "bad", "n/a": "plain"}


def render_summary(report: RunReport, *, color: bool = False) -> Displayed:
    """Return the summary as text for an 80-column terminal, without a final line feed."""
    return formatting.display(summary_lines(report, color=color))


def summary_lines(report: RunReport, *, color: bool = False) -> list[str]:
    """Lay out the summary, still to be displayed."""
    run = "run" if report.run_id is None else f"run {report.run_id}"
    run = "dry run" if report.dry_run else run
    run += wording.mode(report.mode)
    head = title(f"{run} · {report.source} → {report.target}", report.state, color)
    lines = [head, "", *columns(_work(report))]
    if report.counts is not None:
        lines += ["", *counts_grid(report.counts)]
    if report.checks:
        lines += ["", *_check_table(report.checks, color)]
    if notes := wording.further(report.notes, report.problem, report.detail):
        lines += [""]
        for note in notes:
            lines += wrap("note", note, color)
    lines += [""]
    if report.dry_run:
        lines += wrap("dry run", "nothing was written; the counts show what a run would do", color)
    for name, text in (("problem", report.problem), ("detail", report.detail)):
        if text:
            lines += wrap(name, text, color)
    return [*lines, *wrap("next", report.advice, color)]


def _work(report: RunReport) -> list[tuple[str, str]]:
    """Return name and value of each line on what was done and how fast."""
    figures = report.figures
    ended = formatting.moment(report.finished_at)
    rate = wording.rates(figures.pages_per_s_mean, figures.rows_per_s)
    if figures.writer_rows_per_busy_s is not None:
        rate += f" · {formatting.rate(figures.writer_rows_per_busy_s)} rows/s of a busy writer"
    memory = f"peak {formatting.size(figures.rss_peak_bytes)} in all processes"
    if figures.rss_slope_mb_per_min is not None:
        memory += f" · slope {wording.slope(figures.rss_slope_mb_per_min)}"
    traffic = wording.traffic(figures)
    if not figures.requests:  # else their own line has them, by kind
        traffic = f"{formatting.plural(figures.attempts, 'request')} · {traffic}"
    asked = wording.window(report.window_from, report.window_overlap_s)
    return [
        ("outcome", outcome(report.exit_code)),
        *([("reads", asked)] if asked else []),
        ("time", f"{formatting.duration(report.duration_s)} · ended {ended}"),
        ("pages", _pages(figures)),
        ("rows", wording.rows(figures)),
        ("rate", rate),
        ("latency", wording.latency(figures.latency)),
        ("traffic", traffic),
        ("errors", wording.errors(figures, with_retries=True)),
        ("memory", memory),
        *cost_rows(figures.requests, figures.api_use, figures.quotas, report.finished_at),
    ]


def _pages(figures: Figures) -> str:
    done, planned = figures.pages_done, figures.pages_planned
    text = formatting.count(done) if planned is None else wording.pages(done, planned)
    if figures.pages_resumed:
        text += f" · {figures.pages_resumed:,} staged before the interruption"
    if figures.pages_given_up:
        text += f" · {figures.pages_given_up:,} failed"
    return text


def _check_table(checks: Sequence[Check], color: bool) -> list[str]:
    """Lay out the acceptance checks: verdict, name, measured value, target."""
    names = max(len("acceptance"), *(len(check.name) for check in checks))
    values = max(len("measured"), *(len(check.measured) for check in checks))
    head = f"  {'acceptance':<{names}}  {'measured':<{values}}  target"
    lines = [formatting.paint(head, "strong", color)]
    for check in checks:
        line = f"  {check.name:<{names}}  {check.measured:<{values}}  {check.target}"
        verdict = formatting.paint(check.verdict, _VERDICT_TONES[check.verdict], color)
        lines.append(f"{line:<{WIDTH - 6}}  {verdict}")
    return lines
