"""The lines of the live view: the figures that count at any width, whatever they are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from carsync.formatting import display, display_line
from carsync.reporting.live.live_view import LiveState, live_lines
from tests.support import snapshots
from tests.support.snapshots import NOW

STYLE = re.compile(r"\x1b\[([\d;]*)m")


def state(phase: str = "fetching", **changes: Any) -> LiveState:
    return LiveState(
        snapshots.snapshot(**changes), phase, NOW, 72.0, name="run 42 · a → public.cars"
    )


def text_of(state: LiveState, width: int) -> str:
    """Return the view without its colours."""
    return STYLE.sub("", display(live_lines(state, width)))


def drawn(width: int = 80, phase: str = "fetching", **changes: Any) -> str:
    return text_of(state(phase, **changes), width)


def test_the_view_shows_the_figures_that_count_on_80_columns() -> None:
    assert drawn().splitlines() == [
        "",
        "fetching since 03:05:21 UTC · 1 min 12 s · run 42             elapsed 1 min 12 s",
        "████████████░░░░░░░░░░░░░░░░░░░░  812 of 2,000 pages (40.6 %) · eta 59 s",
        "rate     20.0 pages/s · 2,001 rows/s",
        "rows     81,197 staged · 3 rejected",
        "latency  mean 410 ms · p50 401 ms · p95 512 ms · p99 640 ms",
        "queue    3 pages · memory 312 MB",
        "errors   2 (429: 2)",
    ]


def test_the_view_shows_all_figures_on_200_columns() -> None:
    memory = {"parent": 60_000_000, "fetcher-1": 50_000_000, "fetcher-2": 50_000_000}
    wide = LiveState(
        snapshots.snapshot(rss_by_process=memory, queue_depth_peak=9),
        "fetching",
        NOW,
        72.0,
        paces=(20, 10, 0),
        name="run 42 · a → public.cars",
    )
    text = text_of(wide, 200)
    for words in (
        "run 42 · a → public.cars",
        "rate      20.0 pages/s · mean 19.9",
        "p99 640 ms",
        "814 asked · 2 asked again",
        "31 MB received · 310 MB unpacked",
        "█▄▁ · up to 20 pages/s",
        "21,034 rows/s while busy",
        "3 pages · peak 9",
        "312 MB · peak 330 MB · +0.4 MB/min",
        "60 MB parent",
        "100 MB 2 fetchers",
    ):
        assert words in text
    assert len(text.splitlines()) <= 10, "wide, not long"


def test_on_40_columns_the_same_figures_stand_below_each_other() -> None:
    words = set(drawn().replace("·", " ").split()) - {"03:05:21", "UTC", "since", "run", "42"}
    narrow = set(drawn(40).replace("·", " ").split())
    assert {word for word in words - narrow if "█" not in word} == {"1", "12"} - narrow


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pause": "rate_limited", "paused_s": 12.0}, "paused: the API asked to wait (429)"),
        ({"pause": "breaker", "paused_s": 12.0}, "circuit breaker is open"),
        ({"pages_given_up": 2}, "given up: 2 pages"),
    ],
)
def test_what_must_not_be_overlooked_is_told_at_any_width(
    width: int, changes: dict[str, Any], words: str
) -> None:
    told = " ".join(drawn(width, **changes).split())
    assert words in told
    assert words not in " ".join(drawn(width).split())
    if "pause" in changes:
        assert "12 s left" in told


def test_time_that_passed_since_the_figures_moves_on_in_the_view() -> None:
    paused = snapshots.snapshot(pause="breaker", paused_s=12.0)
    later = LiveState(paused, "merging", NOW, 3.0, ago_s=10.0)
    text = text_of(later, 80)
    assert "elapsed 1 min 22 s" in text
    assert "eta 49 s" in text
    assert "2 s left" in text
    assert "one transaction" in text
    over = LiveState(paused, "merging", NOW, 3.0, ago_s=13.0)
    assert "paused" not in text_of(over, 80)


HUGE: dict[str, Any] = {
    "pages_planned": 20_000_000,
    "pages_staged": 9_999_999,
    "pages_resumed": 9_999_999,
    "rows_staged": 1_999_999_900,
    "eta_s": 3_599_999.0,
    "elapsed_s": 9_999_999.0,
    "rss_bytes": 999_000_000_000,
    "latency_p99_s": 59.99,
    "pages_given_up": 1234,
    "breaker_openings": 17,
    "pause": "breaker",
    "paused_s": 59.0,
    "errors": dict.fromkeys(
        ("rate_limited", "server_error", "network", "timeout", "bad_page", "client_error", "auth"),
        123_456,
    ),
}


@pytest.mark.parametrize("width", [30, 40, 50, 60, 80, 119, 120, 150, 190, 200, 300])
@pytest.mark.parametrize(
    "changes", [{}, HUGE, {"pages_planned": None, "eta_s": None, "latency_p50_s": None}]
)
@pytest.mark.parametrize("phase", ["fetching", "restarting", "proving", "merging"])
def test_no_figures_break_the_view(width: int, changes: dict[str, Any], phase: str) -> None:
    text = drawn(width, phase, **changes)
    assert max(map(len, text.splitlines())) <= width
    assert phase in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_huge_figures_are_all_there(width: int) -> None:
    text = " ".join(drawn(width, **HUGE).split())
    for words in ("99.9 %", "401/403: 123,456", "17 times", "1,234 pages"):
        assert words in text


def test_nothing_is_told_by_dimness_and_no_colour_but_the_terminal_s_own_is_used() -> None:
    lines = live_lines(state(pages_given_up=2, pause="breaker", paused_s=9.0), 80)
    styles = {tuple(STYLE.findall(display_line(line))) for line in lines}
    bold, green, yellow, red, none = "1", "32", "33", "31", "0"
    assert styles == {
        (),
        (bold, none),
        (green, none),
        (bold, yellow, none, none),
        (bold, red, none, none),
    }
