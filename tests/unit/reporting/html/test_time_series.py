"""Which charts the samples of a run make."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from carsync.reporting.html import time_series
from carsync.reporting.html.data import Point

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def point(at_s: float, session: int = 1, **errors: int) -> Point:
    return Point(
        at_s=at_s,
        session=session,
        at=AT,
        phase="fetching",
        pages_done=1,
        pages_per_s=20.0,
        recent_rows_per_s=2000.0,
        recent_latency_p50_s=0.1,
        recent_latency_p95_s=0.2,
        queue_depth=3,
        rss_bytes=200_000_000,
        rss_by_kind={},
        errors=errors,
    )


def test_errors_over_time_are_those_of_each_span_not_the_totals_so_far() -> None:
    points = [point(1.0, timeout=1), point(2.0, timeout=1), point(9.0, timeout=4)]
    points += [point(10.0, 2, timeout=2)]  # a session counts anew
    drawn = time_series.errors(points)
    assert drawn is not None
    chart, width_s = drawn
    (series,) = chart.series
    assert width_s == 1
    assert [value for value in series.values if value] == [1, 3, 2]
    assert chart.breaks_s == (10.0,)


def test_classes_beyond_the_palette_are_put_together() -> None:
    kinds = {f"kind{n}": n + 1 for n in range(9)}
    drawn = time_series.errors([point(1.0), point(2.0, **kinds)])
    assert drawn is not None
    names = [series.name for series in drawn[0].series]
    assert names == ["kind8", "kind7", "kind6", "kind5", "other"]
    assert sum(sum(v or 0 for v in s.values) for s in drawn[0].series) == sum(kinds.values())


def test_large_figures_change_their_unit() -> None:
    slow = msgspec.structs.replace(point(1.0), rss_bytes=3_200_000_000, recent_latency_p99_s=14.0)
    units = {chart.key: chart.unit for chart in time_series.lines([slow])}
    assert units["memory"] == "GB resident"
    assert units["latency"] == "seconds"
