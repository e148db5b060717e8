"""Acceptance: the figures of a run against the targets of the configuration."""

from __future__ import annotations

from carsync.config.sections import Acceptance
from carsync.model import Check, CheckVerdict
from carsync.state.figures import Figures


def evaluate(
    acceptance: Acceptance, figures: Figures, requests_per_second: float
) -> tuple[Check, ...]:
    """Return five checks of a run, always the same in the same order.

    `requests_per_second` is the configured limit, 0 for none. A low limit allows few pages,
    so the target for pages is at most half of the limit. Rows are judged per second that a
    writer was busy, because the API sets the rate of the whole run.
    """
    minutes = figures.elapsed_s / 60
    pages = acceptance.min_pages_per_second
    if pages is not None and requests_per_second:
        pages = min(pages, requests_per_second / 2)
    pages_per_s = figures.pages_per_s_after_warmup
    long_enough = pages_per_s is not None
    rows_per_s = figures.writer_rows_per_busy_s if long_enough else None
    errors = figures.error_rate if figures.attempts else None
    return (
        _at_most("duration", minutes, acceptance.max_minutes, "{:.1f} min"),
        _at_least("pages per second", pages_per_s, pages, "{:.1f}/s"),
        _at_least(
            "rows per second of a busy writer",
            rows_per_s,
            acceptance.min_rows_per_second,
            "{:,.0f}/s",
        ),
        _at_most("failed attempts", errors, acceptance.max_error_rate, "{:.2%}"),
        _at_most(
            "memory growth",
            figures.rss_slope_mb_per_min,
            acceptance.max_rss_slope_mb_per_min,
            "{:.1f} MB/min",
        ),
    )


def _at_most(name: str, measured: float | None, target: float | None, form: str) -> Check:
    met = measured is not None and target is not None and measured <= target
    return _check(name, measured, target, "≤ ", form, met)


def _at_least(name: str, measured: float | None, target: float | None, form: str) -> Check:
    met = measured is not None and target is not None and measured >= target
    return _check(name, measured, target, "≥ ", form, met)


def _check(
    name: str, measured: float | None, target: float | None, sign: str, form: str, met: bool
) -> Check:
    verdict: CheckVerdict = "pass" if met else "fail"
    if measured is None or target is None:
        verdict = "n/a"
    return Check(
        name,
        "off" if target is None else sign + form.format(target),
        "not measured" if measured is None else form.format(measured),
        verdict,
    )
