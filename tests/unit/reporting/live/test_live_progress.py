"""The live view on a terminal: redrawn in place by the run's own calls, gone at the end."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
from datetime import timedelta

import pytest

from carsync.reporting.live.live_progress import REDRAW_EVERY_S, LiveProgress
from carsync.reporting.live.live_view import LiveState, live_lines
from tests.support import snapshots
from tests.support.fake_clock import FakeClock
from tests.support.snapshots import NOW
from tests.support.terminal import Terminal


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


def live(stream: Terminal, clock: FakeClock) -> LiveProgress:
    return LiveProgress(stream, clock=clock, now=lambda: NOW)


def test_live_redraws_at_most_four_times_a_second_but_at_once_for_a_new_phase(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
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
            clock.advance(wait_s)
            progress.update(snapshots.snapshot(), phase)
            lengths.append(len(stream.getvalue()))
    redrawn = [after > before for before, after in itertools.pairwise(lengths)]
    assert redrawn == [True, False, True, True]


def test_pulses_move_the_time_while_no_figures_come(clock: FakeClock) -> None:
    stream = Terminal()
    with live(stream, clock) as progress:
        progress.pulse()
        assert stream.getvalue() == "", "nothing to show yet"
        progress.update(snapshots.snapshot(), "merging")
        for _ in range(30):
            clock.advance(0.1)
            progress.pulse()
    for elapsed in ("1 min 12 s", "1 min 13 s", "1 min 14 s", "1 min 15 s"):
        assert f"elapsed {elapsed}" in stream.getvalue()
    assert stream.getvalue().count("merging") <= 1 + 3.0 / REDRAW_EVERY_S


def test_log_lines_for_the_same_terminal_stay_whole_while_the_view_is_on(clock: FakeClock) -> None:
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


def test_the_view_is_gone_at_the_end_also_after_an_error(clock: FakeClock) -> None:
    stream = Terminal()
    with contextlib.suppress(ZeroDivisionError), live(stream, clock) as progress:
        progress.update(snapshots.snapshot(), "fetching")
        raise ZeroDivisionError
    height = len(live_lines(LiveState(snapshots.snapshot(), "fetching", NOW, 0.0), 80))
    back, _, rest = stream.getvalue().rpartition(f"\x1b[{height}A")
    assert back
    assert rest == "\x1b[J\x1b[?25h"


def test_the_phase_keeps_the_time_it_began(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    moments = iter([NOW, NOW, NOW + timedelta(minutes=2)])
    with LiveProgress(stream, clock=clock, now=lambda: next(moments)) as progress:
        progress.update(snapshots.snapshot(), "fetching")
        clock.advance(1)
        progress.update(snapshots.snapshot(), "fetching")
        clock.advance(1)
        progress.update(snapshots.snapshot(), "merging")
    assert "since 03:05:21 UTC" in stream.getvalue()
    assert "since 03:07:21 UTC" in stream.getvalue()
