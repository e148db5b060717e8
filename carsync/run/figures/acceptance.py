"""Acceptance: the figures of a run against the targets of the configuration."""

from __future__ import annotations

from typing import Literal

from carsync import formatting
from carsync.config.sections import Acceptance
from carsync.model import Check, CheckVerdict
from carsync.state.figures import Figures


def evaluate(
    acceptance: Acceptance, figures: Figures, requests_per_second: float
) -> tuple[Check, ...]:
    """Return five checks of a run, always the same in the same order.

    `requests_per_second` is the configured limit, 0 for none. A run is judged by the rate that
    it was allowed: the configured one, or the lower one that the API stood. The target for
    pages is at most half of it, and a run may last twice as long as its requests take at it.
    Rows are judged per second that a writer was busy, and at most by twice the rate at which
    they came: small batches are slow, and nobody waited for a writer that was idle half the time.
    """
    minutes, most_minutes = figures.elapsed_s / 60, acceptance.max_minutes
    pages = acceptance.min_pages_per_second
    allowed = figures.allowed_per_s_mean or requests_per_second
    if pages is not None and allowed:
        pages = min(pages, _brief(allowed / 2))
    if most_minutes is not None and allowed:
        requests = figures.pages_staged + sum(figures.probes.values())
        most_minutes = max(most_minutes, _brief(2 * requests / allowed / 60))
    pages_per_s = figures.pages_per_s_after_warmup
    long_enough = pages_per_s is not None
    rows_per_s = figures.writer_rows_per_busy_s if long_enough else None
    errors = figures.error_rate if figures.attempts else None
    rows, growth = acceptance.min_rows_per_second, acceptance.max_rss_slope_mb_per_min
    if rows is not None and long_enough:
        rows = min(rows, _brief(2 * figures.rows_per_s))
    return (
        _check("duration", minutes, "≤", most_minutes, " min"),
        _check("pages per second", pages_per_s, "≥", pages, "/s"),
        _check("rows per second of a busy writer", rows_per_s, "≥", rows, "/s", decimals=0),
        _check("failed attempts", errors, "≤", acceptance.max_error_rate, " %", scale=100),
        _check("memory growth", figures.rss_slope_mb_per_min, "≤", growth, " MB/min"),
    )


def _brief(target: float) -> float:
    """Round a target that was computed to three digits: people read it."""
    return float(f"{target:.3g}")


def _check(
    name: str,
    measured: float | None,
    sign: Literal["≤", "≥"],
    target: float | None,
    unit: str,
    *,
    decimals: int = 1,
    scale: float = 1,
) -> Check:
    """Judge a figure; figure and target are shown `scale` times as large, in `unit`."""
    verdict: CheckVerdict = "n/a"
    known = [scale * value for value in (measured, target) if value is not None]
    if measured is not None and target is not None:
        is_met = measured <= target if sign == "≤" else measured >= target
        verdict = "pass" if is_met else "fail"
    shown, least = formatting.apart(known[0], known[-1], decimals) if known else ("", "")
    return Check(
        name,
        "off" if target is None else f"{sign} {least}{unit}",
        "not measured: too short" if measured is None else f"{shown}{unit}",
        verdict,
    )
