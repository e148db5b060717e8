"""How the story of a past run is shown.

Pure: what `story.py` gathered comes in, text goes out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime

from carsync import formatting
from carsync.model import MergeCounts
from carsync.reporting.views.figures import pages_text, rows_text
from carsync.reporting.views.layout import TONES, WIDTH, counts_grid, wrap
from carsync.reporting.views.run_details import PastRun, RunDetails
from carsync.reporting.views.run_list import took
from carsync.reporting.views.summary import render_summary
from carsync.run.report import outcome
from carsync.state.samples import FailedPage, Sample

SHOWN_PAGES = 10
SHOWN_REASONS = 10
CHART_COLUMNS = 100


def render_story(story: RunDetails, now: datetime, width: int, *, color: bool = False) -> str:
    """Return the whole story as text: how the run ended first, then how it went."""
    past = story.past
    if past.report is not None:
        lines = render_summary(past.report, color=color).splitlines()
    else:
        lines = _unfinished(story, now, color)
    related = _related(story)
    lines += ["", *formatting.columns(related)] if related else []
    chart = min(max(width - 34, 10), CHART_COLUMNS)
    for name, section in (
        ("sessions", _sessions(story)),
        ("over time", _over_time(story.samples, chart)),
        (_errors_head(story), _failed_pages(story, width)),
        (_rejects_head(story), _reasons(story, width)),
    ):
        if section:
            lines += ["", formatting.paint(name, "strong", color), *section]
    return "\n".join(lines)


def _unfinished(story: RunDetails, now: datetime, color: bool) -> list[str]:
    """Tell of a run that has no last word: it goes on, died, or is no sync."""
    past, run = story.past, story.past.run
    name = f"{past.kind if past.kind != 'sync' else 'run'} {run.run_id}"
    head = f"{name} · {run.source} → {run.target}"
    gap = " " * max(WIDTH - len(head) - len(past.state), 1)
    tone = TONES[past.state]
    lines = [
        formatting.paint(head, "strong", color) + gap + formatting.paint(past.state, tone, color),
        "",
        *formatting.columns(_known(story, now)),
    ]
    if run.counts is not None:
        known = {field.name for field in fields(MergeCounts)}
        counts = MergeCounts(**{n: v for n, v in run.counts.items() if n in known})
        lines += ["", *counts_grid(counts)]
    why, step = fate(past)
    lines += [""]
    lines += wrap("why", why, color) if why else []
    return [*lines, *wrap("next", step, color)]


def _known(story: RunDetails, now: datetime) -> list[tuple[str, str]]:
    past, run = story.past, story.past.run
    rows = []
    if run.exit_code is not None:
        rows.append(("outcome", outcome(run.exit_code)))
    rows.append(("started", formatting.moment(run.started_at)))
    if run.resumed_at is not None:
        rows.append(("resumed", formatting.moment(run.resumed_at)))
    if past.goes_on or past.duration_s is not None:
        rows.append(("time", took(past, now) + (" so far" if past.goes_on else "")))
    if run.merged_at is not None:
        rows.append(("merged", formatting.moment(run.merged_at)))
    if story.samples:
        last = story.samples[-1]
        rows.append(("phase", f"{last.phase}, as of {formatting.moment(last.at)}"))
        rows.append(("pages", pages_text(last.pages_done, last.pages_planned)))
        rows.append(("rows", rows_text(last)))
        rows.append(("errors", formatting.errors(story.failed_attempts)))
    return rows


def fate(past: PastRun) -> tuple[str, str]:
    """Say why the run stands as it does, and what to do."""
    if past.goes_on:
        return "", "nothing to do; it is at work (`carsync status` says how far it is)"
    if past.state == "abandoned":
        return (
            "a later run did not resume it, and began anew",
            "nothing to do: what it staged is gone, the table was never touched",
        )
    if past.run.counts is not None:
        return "", "nothing to do; it was merged"
    if past.run.state == "running":
        return (
            "its process ended without a word",
            "run `carsync sync` again: it resumes the newest run where it can",
        )
    return "", "run `carsync sync` again"


def _related(story: RunDetails) -> list[tuple[str, str]]:
    run = story.past.run
    rows: list[tuple[str, str]] = []
    if story.past.report is not None and story.past.state != story.past.report.state:
        rows.append(("since then", story.past.state))
    if run.replay_of is not None:
        rows.append(("replays", f"the rejects of run {run.replay_of}"))
    if (reverts := getattr(run, "reverts", None)) is not None:
        rows.append(("reverts", f"run {reverts}"))
    for verb, runs in (("replayed", story.replayed_by), ("reverted", story.reverted_by)):
        if runs:
            rows.append((verb, f"by run {', '.join(map(str, runs))}"))
    return rows


def _sessions(story: RunDetails) -> list[str]:
    """List the sessions of a run that was resumed."""
    sessions = story.sessions
    if len(sessions) < 2 and story.past.run.resumed_at is None:
        return []
    lines = []
    for session in sessions:
        lasted = formatting.duration(round(session.last.elapsed_s))
        phase = session.last.phase
        goes_on = story.past.goes_on and session is sessions[-1]
        end = phase if goes_on else f"cut off while {phase}"
        lines.append(
            f"  {session.number}  {formatting.moment(session.first.at)} · {lasted} · "
            f"{formatting.plural(session.last.pages_done, 'page')} staged"
            + ("" if phase == "ended" else f" · {end}")
        )
    return lines


def _over_time(samples: Sequence[Sample], columns: int) -> list[str]:
    """Draw the run's figures over its sessions' time, each line up to its own peak."""
    if len(samples) < 3:
        return []
    drawn: list[tuple[str, list[float | None], Callable[[float], str]]] = [
        ("pages/s", [s.pages_per_s for s in samples], formatting.rate),
        ("rows/s", [s.recent_rows_per_s for s in samples], formatting.rate),
        ("p95", [s.recent_latency_p95_s for s in samples], formatting.latency),
        (
            "queue",
            [float(s.queue_depth) for s in samples],
            lambda n: formatting.plural(int(n), "page"),
        ),
        ("memory", [float(s.rss_bytes) or None for s in samples], formatting.size),
        ("errors", _increments(samples), lambda n: f"{n:,.0f}"),
    ]
    first, last = samples[0], samples[-1]
    lines = [
        f"  {name:<8}  {formatting.spark(values, columns)}  peak {form(peak)}"
        for name, values, form in drawn
        if (peak := max((v for v in values if v is not None), default=0.0)) > 0
    ]
    span = f"  {'':<8}  {formatting.moment(first.at)} to {formatting.moment(last.at)}"
    return [*lines, span]


def _increments(samples: Sequence[Sample]) -> list[float | None]:
    """Return how many attempts failed since the sample before, within each session."""
    counts: list[float | None] = []
    before = (0, 0)
    for sample in samples:
        total = sum(sample.errors.values())
        known = before[1] if before[0] == sample.session else 0
        counts.append(float(max(total - known, 0)))
        before = (sample.session, total)
    return counts


def _errors_head(story: RunDetails) -> str:
    kept = story.failures_kept
    text = f"failed attempts: {formatting.errors(story.failed_attempts)}"
    if kept.pages:
        text += f" on {formatting.plural(kept.pages, 'page')}"
    if kept.given_up:
        text += f", {kept.given_up:,} given up"
    return text


def _failed_pages(story: RunDetails, width: int) -> list[str]:
    shown = story.failed_pages[:SHOWN_PAGES]
    lines: list[str] = []
    for page in shown:
        lines += _two_columns(f"page {page.page}", _page_words(page), width)
    if story.failures_kept.pages > len(shown):
        more = story.failures_kept.pages - len(shown)
        lines.append(f"  and {formatting.plural(more, 'page')} more (--json has them)")
    total = sum(story.failed_attempts.values())
    if total > story.failures_kept.failures > 0:
        lines.append(f"  of these attempts {story.failures_kept.failures:,} are kept by page")
    return lines


def _page_words(page: FailedPage) -> str:
    by_number = sorted(page.kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    words = [f"{n:,} × {formatting.error_name(kind)}" for kind, n in by_number]
    words += ["given up"] if page.given_up else []
    return f"{', '.join(words)} · {formatting.printable(page.problem)}"


def _rejects_head(story: RunDetails) -> str:
    total = sum(reason.count for reason in story.reasons)
    return f"open rejects: {total:,}"


def _reasons(story: RunDetails, width: int) -> list[str]:
    lines: list[str] = []
    for reason in story.reasons[:SHOWN_REASONS]:
        column = f"{reason.column}: " if reason.column else ""
        words = formatting.printable(f"{column}{reason.reason}")
        lines += _two_columns(f"{reason.count:,}", words, width)
    if len(story.reasons) > SHOWN_REASONS:
        more = len(story.reasons) - SHOWN_REASONS
        lines.append(f"  and {formatting.plural(more, 'reason')} more")
    if lines:
        lines.append(f"  see them: `carsync rejects list --run {story.past.run.run_id}`")
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
