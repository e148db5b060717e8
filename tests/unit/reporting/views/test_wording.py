"""The figures in words: one wording for all views, and nothing invented."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.reporting.live.live_view import LiveState, live_lines
from carsync.reporting.views import wording
from carsync.reporting.views.summary import render_summary
from tests.support import snapshots
from tests.support.snapshots import NOW, render_status


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, "81,197 staged · 3 rejected"), ({"rejects": 0}, "81,197 staged")],
)
def test_rejects_are_named_where_there_are_any(changes: dict[str, Any], words: str) -> None:
    assert wording.rows(snapshots.snapshot(**changes)) == words
    assert wording.rows(snapshots.checkpoint(**changes)) == words


@pytest.mark.parametrize(
    ("changes", "with_retries", "words"),
    [
        ({"errors": {}, "retries": 0}, True, "0"),
        ({}, False, "2 (429: 2)"),
        ({}, True, "2 (429: 2) · 2 retried"),
        ({"breaker_openings": 1}, False, "2 (429: 2) · breaker opened 1 time"),
        ({"breaker_openings": 2}, True, "2 (429: 2) · 2 retried · breaker opened 2 times"),
    ],
)
def test_errors_are_told_by_class_with_what_followed_them(
    changes: dict[str, Any], with_retries: bool, words: str
) -> None:
    assert wording.errors(snapshots.snapshot(**changes), with_retries=with_retries) == words


def test_nothing_measured_is_a_dash() -> None:
    assert wording.latency(None) == "–"


def test_what_came_and_what_it_was_unpacked() -> None:
    assert wording.traffic(snapshots.snapshot()) == "31 MB received, 310 MB unpacked"
    assert wording.traffic(snapshots.snapshot(), " · ") == "31 MB received · 310 MB unpacked"


def test_all_views_word_the_same_figures_alike() -> None:
    figures = snapshots.snapshot(pages_per_s_mean=20.0)
    latency = wording.latency(figures.latency)
    rates = wording.rates(20.0, figures.rows_per_s)
    summary = render_summary(snapshots.report(figures=figures))
    status = render_status(snapshots.checkpoint(), NOW, lock_held=True)
    live = "\n".join(live_lines(LiveState(figures, "fetching", NOW, 0.0), 80))
    for view in (summary, status, live):
        for words in (latency, rates, wording.rows(figures)):
            assert words in view
    for view in (summary, status):
        assert wording.pages(812, 2000) in view
    assert rates in wording.progress(figures)


def test_the_line_holds_what_an_operator_asks_first() -> None:
    assert wording.progress(snapshots.snapshot()) == (
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
    assert wording.progress(early) == "pages 0 · 0.0 pages/s · 0.0 rows/s · queue 0 · errors 0"


def test_pages_of_an_earlier_session_count_as_done() -> None:
    resumed = snapshots.snapshot(pages_resumed=500, pages_staged=312)
    assert wording.progress(resumed).startswith("pages 812/2000 (40.6 %)")


def test_pages_given_up_are_told() -> None:
    assert "given up 2 pages" in wording.progress(snapshots.snapshot(pages_given_up=2))


@pytest.mark.parametrize(
    ("pause", "words"),
    [("rate_limited", "429"), ("limit", "limit reached"), ("breaker", "breaker open")],
)
def test_the_line_tells_a_pause(pause: str, words: str) -> None:
    paused = snapshots.snapshot(pause=pause, paused_s=12.0)
    assert f"paused ({words}) 12 s · eta" in wording.progress(paused)
