"""A run over time: the charts of its samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from carsync import formatting
from carsync.reporting.html.charts import Chart, Series, thinned
from carsync.reporting.html.data import Point

MAX_KINDS = 5
"""At most this many classes of errors have a layer of their own."""
OTHER = "other"
COLUMNS = 40
"""At most this many columns stand in a chart of errors over time."""

_Value = Callable[[Point], float | None]


def lines(points: Sequence[Point]) -> list[Chart]:
    """Return the line charts: pages/s, rows/s, latency, queue, memory; at least one point."""
    mega = max(point.rss_bytes for point in points) < 1e9
    unit, per = ("MB", 1e6) if mega else ("GB", 1e9)
    slow = max((p.recent_latency_p99_s or 0.0 for p in points), default=0.0) >= 10
    time_unit, factor = ("seconds", 1.0) if slow else ("milliseconds", 1000.0)

    def latency(value: float | None) -> float | None:
        return None if value is None else value * factor

    return [
        _chart(points, "pages", "Pages staged", "pages per second", ("pages/s", _pages_per_s)),
        _chart(points, "rows", "Rows staged", "rows per second", ("rows/s", _rows_per_s)),
        _chart(
            points,
            "latency",
            "Answer time of the API",
            time_unit,
            ("p50", lambda point: latency(point.recent_latency_p50_s)),
            ("p95", lambda point: latency(point.recent_latency_p95_s)),
            ("p99", lambda point: latency(point.recent_latency_p99_s)),
        ),
        _chart(
            points,
            "queue",
            "Pages waiting for a writer",
            "pages in the queue",
            ("queue", lambda point: point.queue_depth),
            whole=True,
        ),
        _chart(
            points,
            "memory",
            "Memory of all processes",
            f"{unit} resident",
            ("RSS", lambda point: point.rss_bytes / per),
        ),
    ]


def errors(points: Sequence[Point]) -> tuple[Chart, float] | None:
    """Return the chart of failed attempts in each span of time, and the span in seconds.

    None where no attempt failed.
    """
    grown = [(point.at_s, _growth(before, point)) for before, point in _steps(points)]
    totals: dict[str, int] = {}
    for _, growth in grown:
        for kind, number in growth.items():
            totals[kind] = totals.get(kind, 0) + number
    if not totals:
        return None
    ranked = sorted(totals, key=lambda kind: (-totals[kind], kind))
    named = ranked if len(ranked) <= MAX_KINDS else ranked[: MAX_KINDS - 1]
    end_s = max(points[-1].at_s, 1.0)
    width_s = _span(end_s)
    spans = int(end_s // width_s) + 1
    sums = {kind: [0.0] * spans for kind in [*named, OTHER]}
    for at_s, growth in grown:
        # What a sample tells of happened before it; the one at the very edge closes its span.
        span = max(0, min(int((at_s - 1e-9) // width_s), spans - 1))
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


def _pages_per_s(point: Point) -> float:
    return point.pages_per_s


def _rows_per_s(point: Point) -> float:
    return point.recent_rows_per_s


def _chart(
    points: Sequence[Point],
    key: str,
    title: str,
    unit: str,
    *series: tuple[str, _Value],
    whole: bool = False,
) -> Chart:
    chart = Chart(
        key,
        title,
        unit,
        tuple(point.at_s for point in points),
        tuple(Series(name, tuple(value(point) for point in points)) for name, value in series),
        _breaks(points),
        whole=whole,
    )
    return thinned(chart)


def _breaks(points: Sequence[Point]) -> tuple[float, ...]:
    return tuple(b.at_s for a, b in pairwise(points) if a.session != b.session)


def _steps(points: Sequence[Point]) -> list[tuple[Point | None, Point]]:
    """Pair each point with the one before it in its session."""
    paired: list[tuple[Point | None, Point]] = []
    before: Point | None = None
    for point in points:
        same = before is not None and before.session == point.session
        paired.append((before if same else None, point))
        before = point
    return paired


def _growth(before: Point | None, point: Point) -> dict[str, int]:
    known = before.errors if before else {}
    grown = {kind: number - known.get(kind, 0) for kind, number in point.errors.items()}
    return {kind: number for kind, number in grown.items() if number > 0}


def _span(end_s: float) -> float:
    """Return a round span, in seconds, of which at most `COLUMNS` cover the run.

    >>> _span(60), _span(1500), _span(1e6)
    (2, 60, 25200.0)
    """
    for span in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600):
        if end_s / span <= COLUMNS:
            return span
    return 3600 * -(-end_s // (3600 * COLUMNS))
