"""The figures of a run in words, the same in all views. Pure."""

from __future__ import annotations

from carsync import formatting
from carsync.state.figures import Figures, KeptFigures, Latency

TOTAL_UNKNOWN = "total not known yet"


def pages_text(done: int, planned: int | None) -> str:
    """Write how many pages are done, and of how many.

    >>> pages_text(812, 2000), pages_text(3, None)
    ('812 of 2,000 (40.6 %)', '3, total not known yet')
    """
    if planned is None:
        return f"{done:,}, {TOTAL_UNKNOWN}"
    return f"{done:,} of {planned:,} ({formatting.share(done, planned)})"


def given_up_text(pages: int) -> str:
    """Write how many pages were given up.

    >>> given_up_text(1), given_up_text(1234)
    ('given up 1 page', 'given up 1,234 pages')
    """
    return f"given up {formatting.plural(pages, 'page')}"


def rows_text(figures: KeptFigures) -> str:
    """Write how many rows are staged, and how many records were rejected, if any."""
    rejects = f" · {figures.rejects:,} rejected" if figures.rejects else ""
    return f"{figures.rows_staged:,} staged{rejects}"


def rates_text(pages_per_s: float, rows_per_s: float) -> str:
    """Write how fast pages and rows are staged.

    >>> rates_text(20.04, 2001.3)
    '20.0 pages/s · 2,001 rows/s'
    """
    return f"{formatting.rate(pages_per_s)} pages/s · {formatting.rate(rows_per_s)} rows/s"


def latency_text(latency: Latency | None) -> str:
    """Write mean and percentiles of answer times; a dash where none was measured.

    >>> latency_text(Latency(mean_s=0.41, p50_s=0.4, p95_s=0.512, p99_s=0.64))
    'mean 410 ms · p50 400 ms · p95 512 ms · p99 640 ms'
    """
    if latency is None:
        return "–"
    named = (
        ("mean", latency.mean_s),
        ("p50", latency.p50_s),
        ("p95", latency.p95_s),
        ("p99", latency.p99_s),
    )
    return " · ".join(f"{name} {formatting.latency(seconds)}" for name, seconds in named)


def traffic_text(figures: Figures, joint: str = ", ") -> str:
    """Write how much the API sent, compressed and unpacked."""
    received = f"{formatting.size(figures.wire_bytes)} received"
    return f"{received}{joint}{formatting.size(figures.body_bytes)} unpacked"


def errors_text(figures: KeptFigures, *, with_retries: bool = False) -> str:
    """Write the failed attempts by class and the breaker's openings, `with_retries` those too."""
    parts = [formatting.errors(figures.errors)]
    if with_retries and figures.retries:
        parts.append(f"{figures.retries:,} retried")
    if figures.breaker_openings:
        parts.append(f"breaker opened {formatting.plural(figures.breaker_openings, 'time')}")
    return " · ".join(parts)


def slope_text(mb_per_min: float) -> str:
    """Write how fast the memory of all processes grows.

    >>> slope_text(0.4), slope_text(-12)
    ('+0.4 MB/min', '-12.0 MB/min')
    """
    return f"{mb_per_min:+.1f} MB/min"
