"""The figures in words: one wording for all views, and nothing invented."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.reporting.live.live_view import LiveState, live_lines
from carsync.reporting.live.progress_line import progress_line
from carsync.reporting.views.figures import (
    errors_text,
    latency_text,
    pages_text,
    rates_text,
    rows_text,
    traffic_text,
)
from carsync.reporting.views.status import render
from carsync.reporting.views.summary import render_summary
from tests.support import snapshots
from tests.support.snapshots import NOW


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, "81,197 staged · 3 rejected"), ({"rejects": 0}, "81,197 staged")],
)
def test_rejects_are_named_where_there_are_any(changes: dict[str, Any], words: str) -> None:
    assert rows_text(snapshots.snapshot(**changes)) == words
    assert rows_text(snapshots.checkpoint(**changes)) == words


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
    assert errors_text(snapshots.snapshot(**changes), with_retries=with_retries) == words


def test_nothing_measured_is_a_dash() -> None:
    assert latency_text(None) == "–"


def test_what_came_and_what_it_was_unpacked() -> None:
    assert traffic_text(snapshots.snapshot()) == "31 MB received, 310 MB unpacked"
    assert traffic_text(snapshots.snapshot(), " · ") == "31 MB received · 310 MB unpacked"


def test_all_views_word_the_same_figures_alike() -> None:
    figures = snapshots.snapshot(pages_per_s_mean=20.0)
    latency = latency_text(figures.latency)
    rates = rates_text(20.0, figures.rows_per_s)
    summary = render_summary(snapshots.report(figures=figures))
    status = render(snapshots.checkpoint(), NOW, lock_held=True)
    live = "\n".join(live_lines(LiveState(figures, "fetching", NOW, 0.0), 80))
    for view in (summary, status, live):
        for words in (latency, rates, rows_text(figures)):
            assert words in view
    for view in (summary, status):
        assert pages_text(812, 2000) in view
    assert rates in progress_line(figures)
