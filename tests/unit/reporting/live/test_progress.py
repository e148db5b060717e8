"""Progress: a line every five seconds in a log, a view that redraws on a terminal."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
from datetime import timedelta
from typing import Any

import pytest

from carsync.reporting.live.live_view import LiveState, live_lines
from carsync.reporting.live.progress import (
    LATER_EVERY_S,
    LINE_EVERY_S,
    REDRAW_EVERY_S,
    LiveProgress,
    PlainProgress,
    choose_progress,
)
from carsync.reporting.live.progress_line import progress_line
from tests.support import snapshots
from tests.support.snapshots import NOW


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


# The line


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


# Plain


def plain(clock: Clock) -> PlainProgress:
    return PlainProgress(clock=clock, logger=logging.getLogger("test.progress"))


def test_plain_logs_one_line_every_five_seconds_however_often_it_is_called(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with plain(clock) as progress:
        for _ in range(1000):
            progress.update(snapshots.snapshot(), "fetching")
            clock.now_s += 0.0201
    assert caplog.messages[0] == "phase: fetching"
    assert caplog.messages[1:] == [progress_line(snapshots.snapshot())] * int(20.1 / LINE_EVERY_S)


def test_plain_tells_a_new_phase_at_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with plain(clock) as progress:
        progress.update(snapshots.snapshot(), "fetching")
        progress.update(snapshots.snapshot(), "merging")
        progress.message("2,000 cars are new")
    assert caplog.messages == ["phase: fetching", "phase: merging", "2,000 cars are new"]


def test_plain_slows_down_in_a_long_phase(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = plain(clock)
    figures = snapshots.snapshot()
    for _ in range(25 * 60):
        progress.update(figures, "fetching")
        clock.now_s += 1.0
    assert 60 / LINE_EVERY_S <= len(caplog.messages) <= 60 / LINE_EVERY_S + 1440 / LATER_EVERY_S + 2


def test_plain_tells_that_a_phase_without_figures_goes_on(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    progress = plain(clock)
    progress.update(snapshots.snapshot(), "merging")
    for _ in range(120):
        progress.pulse()
        clock.now_s += 0.1
    assert caplog.messages == [
        "phase: merging",
        "phase: merging, for 5 s now",
        "phase: merging, for 10 s now",
    ]


def test_the_line_tells_a_pause() -> None:
    paused = snapshots.snapshot(pause="rate_limited", paused_s=12.0)
    assert "paused (429) 12 s · eta" in progress_line(paused)


# Live


def state(phase: str = "fetching", **changes: Any) -> LiveState:
    return LiveState(
        snapshots.snapshot(**changes), phase, NOW, 72.0, name="run 42 · a → public.cars"
    )


def drawn(width: int = 80, phase: str = "fetching", **changes: Any) -> str:
    return "\n".join(line.plain for line in live_lines(state(phase, **changes), width))


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
    text = "\n".join(line.plain for line in live_lines(wide, 200))
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
        ({"pause": "rate_limited", "paused_s": 12.0}, "paused: the API asked for silence (429)"),
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
    text = " ".join(line.plain for line in live_lines(later, 80))
    assert "elapsed 1 min 22 s" in text
    assert "eta 49 s" in text
    assert "2 s left" in text
    assert "one transaction" in text
    over = LiveState(paused, "merging", NOW, 3.0, ago_s=13.0)
    assert "paused" not in " ".join(line.plain for line in live_lines(over, 80))


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
    styles = {str(span.style) for line in lines for span in line.spans}
    styles |= {str(line.style) for line in lines} - {""}
    assert styles == {"bold", "green", "bold yellow", "bold red"}


def live(stream: Terminal, clock: Clock) -> LiveProgress:
    return LiveProgress(stream, clock=clock, now=lambda: NOW)


def test_live_redraws_at_most_four_times_a_second_but_at_once_for_a_new_phase(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with live(stream, clock) as progress:
        lengths = [len(stream.getvalue())]
        for wait_s, phase in (
            (0.0, "fetching"),
            (REDRAW_EVERY_S / 2, "fetching"),
            (REDRAW_EVERY_S, "fetching"),
            (0.0, "merging"),
        ):
            clock.now_s += wait_s
            progress.update(snapshots.snapshot(), phase)
            lengths.append(len(stream.getvalue()))
    redrawn = [after > before for before, after in itertools.pairwise(lengths)]
    assert redrawn == [True, False, True, True]


def test_pulses_move_the_time_while_no_figures_come(clock: Clock) -> None:
    stream = Terminal()
    with live(stream, clock) as progress:
        progress.pulse()
        assert stream.getvalue() == "", "nothing to show yet"
        progress.update(snapshots.snapshot(), "merging")
        for _ in range(30):
            clock.now_s += 0.1
            progress.pulse()
    for elapsed in ("1 min 12 s", "1 min 13 s", "1 min 14 s", "1 min 15 s"):
        assert f"elapsed {elapsed}" in stream.getvalue()
    assert stream.getvalue().count("merging") <= 1 + 3.0 / REDRAW_EVERY_S


def test_log_lines_for_the_same_terminal_stay_whole_while_the_view_is_on(clock: Clock) -> None:
    stream, elsewhere = Terminal(), io.StringIO()
    here, there = logging.StreamHandler(stream), logging.StreamHandler(elsewhere)
    root = logging.getLogger()
    for handler in (here, there):
        root.addHandler(handler)
    line = "a line [bold]longer[/bold] than eighty columns, " * 4
    try:
        with live(stream, clock) as progress:
            progress.update(snapshots.snapshot(), "fetching")
            assert here.stream is not stream
            logging.getLogger("test").warning(line)
            progress.message("and [one] more")
        assert here.stream is stream
    finally:
        for handler in (here, there):
            root.removeHandler(handler)
    assert line + "\n" in stream.getvalue()
    assert "and [one] more\n" in stream.getvalue()
    assert elsewhere.getvalue() == line + "\n"


def test_the_view_is_gone_at_the_end_also_after_an_error(clock: Clock) -> None:
    stream = Terminal()
    with contextlib.suppress(ZeroDivisionError), live(stream, clock) as progress:
        progress.update(snapshots.snapshot(), "fetching")
        raise ZeroDivisionError
    back, _, rest = stream.getvalue().rpartition(f"\x1b[{len(drawn().splitlines())}A")
    assert back
    assert rest == "\x1b[J\x1b[?25h"


# The choice


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Terminal(), {"TERM": "xterm-256color"}, LiveProgress),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, LiveProgress),
        (Terminal(), {"TERM": "dumb"}, PlainProgress),
        (Terminal(), {}, PlainProgress),
        (io.StringIO(), {"TERM": "xterm"}, PlainProgress),
        (Terminal(), {"TERM": "xterm", "CI": "true"}, PlainProgress),
        (Terminal(), {"TERM": "xterm", "CI": "false"}, LiveProgress),
    ],
)
def test_only_a_terminal_that_can_redraw_gets_the_view(
    stream: io.StringIO, environ: dict[str, str], expected: type
) -> None:
    assert type(choose_progress(stream, environ)) is expected


def test_plain_lines_may_be_asked_for_on_a_terminal() -> None:
    assert type(choose_progress(Terminal(), {"TERM": "xterm"}, plain=True)) is PlainProgress


def test_no_color_leaves_no_colour_in_the_view(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with choose_progress(stream, {"TERM": "xterm-256color", "NO_COLOR": "1"}) as progress:
        progress.update(snapshots.snapshot(pages_given_up=1), "fetching")
    assert "fetching" in stream.getvalue()
    assert "\x1b[32m" not in stream.getvalue()
    assert "\x1b[31m" not in stream.getvalue()


def test_the_phase_keeps_the_time_it_began(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    moments = iter([NOW, NOW, NOW + timedelta(minutes=2)])
    with LiveProgress(stream, clock=clock, now=lambda: next(moments)) as progress:
        progress.update(snapshots.snapshot(), "fetching")
        clock.now_s += 1
        progress.update(snapshots.snapshot(), "fetching")
        clock.now_s += 1
        progress.update(snapshots.snapshot(), "merging")
    assert "since 03:05:21 UTC" in stream.getvalue()
    assert "since 03:07:21 UTC" in stream.getvalue()
