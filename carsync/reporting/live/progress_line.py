"""The figures of a run on one line, for a log or a service manager."""

from __future__ import annotations

from carsync import formatting
from carsync.reporting.views.figures import given_up_text, rates_text
from carsync.state.figures import Figures


def progress_line(figures: Figures) -> str:
    """Write the figures on one line; what is not known yet is left out."""
    parts = [_pages(figures)]
    parts.append(rates_text(figures.pages_per_s, figures.rows_per_s))
    if figures.latency_p95_s is not None:
        parts.append(f"p95 {formatting.latency(figures.latency_p95_s)}")
    parts.append(f"queue {figures.queue_depth}")
    parts.append(f"errors {formatting.errors(figures.errors)}")
    if figures.pages_given_up:
        parts.append(given_up_text(figures.pages_given_up))
    if figures.pause:
        why = "429" if figures.pause == "rate_limited" else "breaker open"
        parts.append(f"paused ({why}) {formatting.duration(figures.paused_s)}")
    if figures.eta_s is not None:
        parts.append(f"eta {formatting.duration(figures.eta_s)}")
    return " · ".join(parts)


def _pages(figures: Figures) -> str:
    done, planned = figures.pages_done, figures.pages_planned
    if planned is None:
        return f"pages {done}"
    return f"pages {done}/{planned} ({formatting.share(done, planned)})"
