"""A run over time: the charts of its samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from carsync import formatting
from carsync.reporting.html.charts import Chart, Series, thinned
from carsync.reporting.html.data import Point
from carsync.reporting.views.run_details import errors_since

MAX_KINDS = 5
"""At most this many classes of errors have a layer of their own."""
OTHER = "other"
COLUMNS = 40
"""At most this many columns stand in a chart of errors over time."""


def lines(points: Sequence[Point]) -> list[Chart]:
    """Return the line charts: pages/s, rows/s, latency, queue, memory; at least one point."""
    mega = max(point.rss_bytes for point in points) < 1e9
    unit, per = ("MB", 1e6) if mega else ("GB", 1e9)
    slow = max((p.recent_latency_p99_s or 0.0 for p in points), default=0.0) >= 10
    time_unit, factor = ("seconds", 1.0) if slow else ("milliseconds", 1000.0)

    percentiles = {name: f"recent_latency_{name}_s" for name in ("p50", "p95", "p99")}
    drawn = [
        ("pages", "Pages staged", "pages per second", 1.0, {"pages/s": "pages_per_s"}),
        ("rows", "Rows staged", "rows per second", 1.0, {"rows/s": "recent_rows_per_s"}),
        ("latency", "Answer time of the API", time_unit, factor, percentiles),
        (
            "queue",
            "Pages waiting for a writer",
            "pages in the queue",
            1.0,
            {"queue": "queue_depth"},
        ),
        ("memory", "Memory of all processes", f"{unit} resident", 1 / per, {"RSS": "rss_bytes"}),
    ]
    return [_chart(points, *each) for each in drawn]


def errors(points: Sequence[Point]) -> tuple[Chart, float] | None:
    """Return the chart of failed attempts in each span of time, and the span in seconds.

    None where no attempt failed.
    """
    grown = errors_since(points)
    totals: Counter[str] = Counter()
    for growth in grown:
        totals.update(growth)
    if not totals:
        return None
    ranked = sorted(totals, key=lambda kind: (-totals[kind], kind))
    named = ranked if len(ranked) <= MAX_KINDS else ranked[: MAX_KINDS - 1]
    end_s = max(points[-1].at_s, 1.0)
    width_s = _span(end_s)
    spans = int(end_s // width_s) + 1
    sums = {kind: [0.0] * spans for kind in [*named, OTHER]}
    for point, growth in zip(points, grown, strict=True):
        # What a sample tells of happened before it; the one at the very edge closes its span.
        span = max(0, min(int((point.at_s - 1e-9) // width_s), spans - 1))
        for kind, number in growth.items():
            sums[kind if kind in named else OTHER][span] += number
    if not any(sums[OTHER]):
        del sums[OTHER]
    chart = Chart(
        "errors",
        "Failed attempts",
        f"attempts in {formatting.duration(width_s)}",
        tuple(width_s * n for n in range(spans)),
        tuple(Series(formatting.error_name(kind), tuple(sums[kind])) for kind in sums),
        _breaks(points),
        until_s=end_s,
        whole=True,
    )
    return chart, width_s


def _chart(
    points: Sequence[Point], key: str, title: str, unit: str, scale: float, fields: dict[str, str]
) -> Chart:
    """Draw the points' `fields`, by the name of their line, `scale` times as large."""
    series = []
    for name, field in fields.items():
        values = [getattr(point, field) for point in points]
        series.append(Series(name, tuple(None if v is None else v * scale for v in values)))
    at_s = tuple(point.at_s for point in points)
    whole = key == "queue"
    return thinned(Chart(key, title, unit, at_s, tuple(series), _breaks(points), whole=whole))


def _breaks(points: Sequence[Point]) -> tuple[float, ...]:
    return tuple(b.at_s for a, b in pairwise(points) if a.session != b.session)


def _span(end_s: float) -> float:
    """Return a round span, in seconds, of which at most `COLUMNS` cover the run.

    >>> _span(60), _span(1500), _span(1e6)
    (2, 60, 25200.0)
    """
    spans = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    hours = -(-end_s // (3600 * COLUMNS))
    return next((span for span in spans if end_s / span <= COLUMNS), 3600 * hours)
