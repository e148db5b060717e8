"""The figures on one line: what an operator asks first, and nothing invented."""

from __future__ import annotations

from carsync.reporting.live.progress_line import progress_line
from tests.support import snapshots


def test_the_line_holds_what_an_operator_asks_first() -> None:
    assert progress_line(snapshots.snapshot()) == (
        "pages 812/2000 (40.6 %) · 20.0 pages/s · 2,001 rows/s · p95 512 ms · queue 3 · "
        "errors 2 (429: 2) · eta 59 s"
    )


def test_the_line_before_anything_is_known_invents_nothing() -> None:
    early = snapshots.snapshot(
        pages_planned=None,
        pages_staged=0,
        pages_per_s=0.0,
        rows_per_s=0.0,
        latency_p95_s=None,
        queue_depth=0,
        errors={},
        eta_s=None,
    )
    assert progress_line(early) == "pages 0 · 0.0 pages/s · 0.0 rows/s · queue 0 · errors 0"


def test_pages_of_an_earlier_session_count_as_done() -> None:
    resumed = snapshots.snapshot(pages_resumed=500, pages_staged=312)
    assert progress_line(resumed).startswith("pages 812/2000 (40.6 %)")


def test_pages_given_up_are_told() -> None:
    assert "given up 2 pages" in progress_line(snapshots.snapshot(pages_given_up=2))


def test_the_line_tells_a_pause() -> None:
    paused = snapshots.snapshot(pause="rate_limited", paused_s=12.0)
    assert "paused (429) 12 s · eta" in progress_line(paused)
