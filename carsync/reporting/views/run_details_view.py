"""How the details of a past run are shown. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec.structs import fields

from carsync import formatting
from carsync.formatting import Displayed
from carsync.model import MergeCounts
from carsync.reporting.views import layout, wording
from carsync.reporting.views.run_details import RelationKind, RunDetails, errors_since, fate
from carsync.reporting.views.run_list import took
from carsync.reporting.views.summary import summary_lines
from carsync.run.report import outcome
from carsync.state.samples import FailedPage, Sample

SHOWN_PAGES = 10
SHOWN_REASONS = 10
CHART_COLUMNS = 100

_RELATIONS: dict[RelationKind, tuple[str, str]] = {
    "replays": ("replays", "the rejects of run {}"),
    "reverts": ("reverts", "run {}"),
    "replayed by": ("replayed", "by run {}"),
    "reverted by": ("reverted", "by run {}"),
}


def render_details(
    details: RunDetails, now: datetime, width: int, *, color: bool = False
) -> Displayed:
    """Return all details as text: how the run ended first, then how it went."""
    past = details.past
    if past.report is not None:
        lines = summary_lines(past.report, color=color)
    else:
        lines = _unfinished(details, now, color)
    related = _related(details)
    lines += ["", *layout.columns(related)] if related else []
    open_rejects = sum(reason.count for reason in details.reasons)
    chart = min(max(width - 34, 10), CHART_COLUMNS)
    for name, section in (
        ("sessions", _sessions(details)),
        ("over time", _over_time(details.samples, chart)),
        (_errors_head(details), _failed_pages(details, width)),
        ("values", _values(details, width)),
        (f"open rejects: {open_rejects:,}", _reasons(details, width)),
    ):
        if section:
            lines += ["", formatting.paint(name, "strong", color), *section]
    return formatting.display(lines)


def _unfinished(details: RunDetails, now: datetime, color: bool) -> list[str]:
    """Show a run of which no report is kept: it is running, died, or is no sync."""
    past, run = details.past, details.past.run
    name = f"{past.kind if past.kind != 'sync' else 'run'} {run.run_id}"
    head = layout.title(f"{name} · {run.source} → {run.target}", past.state, color)
    lines = [head, "", *layout.columns(_known(details, now))]
    if run.counts is not None:
        known = {field.name for field in fields(MergeCounts)}
        counts = MergeCounts(**{n: v for n, v in run.counts.items() if n in known})
        lines += ["", *layout.counts_grid(counts)]
    why, step = fate(past)
    lines += [""]
    lines += layout.wrap("why", why, color) if why else []
    return [*lines, *layout.wrap("next", step, color)]


def _known(details: RunDetails, now: datetime) -> list[tuple[str, str]]:
    past, run = details.past, details.past.run
    rows = [] if run.exit_code is None else [("outcome", outcome(run.exit_code))]
    if asked := wording.window(run.window_from, None):
        rows.append(("reads", asked))
    rows.append(("started", formatting.moment(run.started_at)))
    if run.resumed_at is not None:
        rows.append(("resumed", formatting.moment(run.resumed_at)))
    if past.is_running or past.duration_s is not None:
        rows.append(("time", took(past, now) + (" so far" if past.is_running else "")))
    if run.merged_at is not None:
        rows.append(("merged", formatting.moment(run.merged_at)))
    if details.samples:
        last = details.samples[-1]
        rows += [
            ("phase", f"{last.phase}, as of {formatting.moment(last.at)}"),
            ("pages", wording.pages(last.pages_done, last.pages_planned)),
            ("rows", wording.rows(last)),
            ("errors", formatting.errors(details.failed_attempts)),
        ]
    return rows


def _related(details: RunDetails) -> list[tuple[str, str]]:
    past = details.past
    rows: list[tuple[str, str]] = []
    if past.report is not None and past.state != past.report.state:
        rows.append(("since then", past.state))
    if past.run.approval is not None:
        rows.append(("approved", wording.approval(past.run.approval)))
    for how, others in details.relations:
        name, words = _RELATIONS[how]
        rows.append((name, words.format(others)))
    return rows


def _sessions(details: RunDetails) -> list[str]:
    """List the sessions of a run that was resumed."""
    sessions = details.sessions
    if len(sessions) < 2 and details.past.run.resumed_at is None:
        return []
    lines = []
    for session in sessions:
        lasted = formatting.duration(round(session.worked_s))
        staged = formatting.plural(session.pages_done, "page")
        is_running = details.past.is_running and session is sessions[-1]
        end = f" · {'' if is_running else 'cut off while '}{session.phase}"
        lines.append(
            f"  {session.number}  {formatting.moment(session.started_at)} · {lasted} · "
            f"{staged} staged{'' if session.phase == 'ended' else end}"
        )
    return lines


def _over_time(samples: Sequence[Sample], columns: int) -> list[str]:
    """Draw the run's figures over its sessions' time, each line up to its own peak."""
    if len(samples) < 3:
        return []
    failed = [sum(by_class.values()) for by_class in errors_since(samples)]
    drawn: list[tuple[str, Sequence[float | None], Callable[[float], str]]] = [
        ("pages/s", [s.pages_per_s for s in samples], formatting.rate),
        ("rows/s", [s.recent_rows_per_s for s in samples], formatting.rate),
        ("p95", [s.recent_latency_p95_s for s in samples], formatting.latency),
        ("queue", [s.queue_depth for s in samples], lambda n: formatting.plural(int(n), "page")),
        ("memory", [s.rss_bytes or None for s in samples], formatting.size),
        ("errors", failed, lambda n: f"{n:,.0f}"),
    ]
    first, last = samples[0], samples[-1]
    lines = [
        f"  {name:<8}  {layout.spark(values, columns)}  peak {form(peak)}"
        for name, values, form in drawn
        if (peak := max((v for v in values if v is not None), default=0.0)) > 0
    ]
    span = f"  {'':<8}  {formatting.moment(first.at)} to {formatting.moment(last.at)}"
    return [*lines, span]


def _errors_head(details: RunDetails) -> str:
    kept = details.failures_kept
    text = f"failed attempts: {formatting.errors(details.failed_attempts)}"
    if kept.pages:
        text += f" on {formatting.plural(kept.pages, 'page')}"
    if kept.given_up:
        text += f", {kept.given_up:,} given up"
    return text


def _failed_pages(details: RunDetails, width: int) -> list[str]:
    shown = details.failed_pages[:SHOWN_PAGES]
    lines: list[str] = []
    for page in shown:
        lines += _two_columns(
            f"page {formatting.in_list(page.page, page.in_list)}", _page_words(page), width
        )
    if details.failures_kept.pages > len(shown):
        more = details.failures_kept.pages - len(shown)
        lines.append(f"  and {formatting.plural(more, 'more page')} (--json has them)")
    total = sum(details.failed_attempts.values())
    if total > details.failures_kept.failures > 0:
        lines.append(f"  only {details.failures_kept.failures:,} of these attempts are listed here")
    return lines


def _page_words(page: FailedPage) -> str:
    by_number = sorted(page.kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    words = [f"{n:,} × {formatting.error_name(kind)}" for kind, n in by_number]
    words += ["given up"] if page.given_up else []
    return f"{', '.join(words)} · {page.problem}"


def _reasons(details: RunDetails, width: int) -> list[str]:
    lines: list[str] = []
    for reason in details.reasons[:SHOWN_REASONS]:
        column = f"{reason.column}: " if reason.column else ""
        lines += _two_columns(f"{reason.count:,}", f"{column}{reason.reason}", width)
    if len(details.reasons) > SHOWN_REASONS:
        more = len(details.reasons) - SHOWN_REASONS
        lines.append(f"  and {formatting.plural(more, 'more reason')}")
    if lines:
        lines.append(f"  see them: `carsync rejects list --run {details.past.run.run_id}`")
    return lines


def _values(details: RunDetails, width: int) -> list[str]:
    """Say column by column which values could not be read, and which cars lost theirs."""
    columns = (details.past.report.columns if details.past.report else None) or ()
    lines: list[str] = []
    for column in columns:
        if words := wording.column_values(column):
            lines += _two_columns(column.name, "; ".join(words), width)
    if absent := [column.name for column in columns if column.is_absent]:
        lines += _two_columns("nowhere", f"no record has a value for {', '.join(absent)}", width)
    return lines


def _two_columns(name: str, words: str, width: int) -> list[str]:
    head = f"  {name:<10}"
    return textwrap.wrap(
        words,
        max(width, 40),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
    ) or [head]
