"""The figures of a run on one line; no rich, so that a run under systemd loads none of it."""

from __future__ import annotations

from carsync import formatting
from carsync.state.figures import Figures


def progress_line(figures: Figures) -> str:
    """Write the figures of `figures` on one line; what is not known yet is left out."""
    parts = [_pages(figures)]
    parts.append(f"{formatting.rate(figures.pages_per_s)} pages/s")
    parts.append(f"{formatting.rate(figures.rows_per_s)} rows/s")
    if figures.latency_p95_s is not None:
        parts.append(f"p95 {formatting.latency(figures.latency_p95_s)}")
    parts.append(f"queue {figures.queue_depth}")
    parts.append(f"errors {formatting.errors(figures.errors)}")
    if figures.pages_given_up:
        parts.append(f"given up {formatting.plural(figures.pages_given_up, 'page')}")
    if figures.pause:
        why = "429" if figures.pause == "rate_limited" else "breaker open"
        parts.append(f"paused ({why}) {formatting.duration(figures.paused_s)}")
    if figures.eta_s is not None:
        parts.append(f"eta {formatting.duration(figures.eta_s)}")
    return " · ".join(parts)


def _pages(figures: Figures) -> str:
    done, planned = figures.pages_resumed + figures.pages_staged, figures.pages_planned
    if planned is None:
        return f"pages {done}"
    return f"pages {done}/{planned} ({formatting.share(done, planned)})"
