"""Who shows the progress of a run, and plain lines: one at a new phase, then every few seconds."""

from __future__ import annotations

import io
import logging

import pytest

from carsync.reporting.live.json_log import EventLog
from carsync.reporting.live.live_progress import LiveProgress
from carsync.reporting.live.progress import (
    LATER_EVERY_S,
    LINE_EVERY_S,
    PlainProgress,
    choose_progress,
)
from carsync.reporting.views import wording
from tests.support import snapshots
from tests.support.fake_clock import FakeClock
from tests.support.terminal import Terminal


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


def test_json_lines_are_asked_for_and_never_drawn_over() -> None:
    assert type(choose_progress(Terminal(), {"TERM": "xterm"}, as_json=True)) is EventLog


def test_no_color_leaves_no_colour_in_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with choose_progress(stream, {"TERM": "xterm-256color", "NO_COLOR": "1"}) as progress:
        progress.update(snapshots.snapshot(pages_given_up=1), "fetching")
    assert "fetching" in stream.getvalue()
    assert "\x1b[32m" not in stream.getvalue()
    assert "\x1b[31m" not in stream.getvalue()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


def plain(clock: FakeClock) -> PlainProgress:
    return PlainProgress(clock=clock, logger=logging.getLogger("test.progress"))


def test_plain_logs_one_line_every_five_seconds_however_often_it_is_called(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with plain(clock) as progress:
        for _ in range(1000):
            progress.update(snapshots.snapshot(), "fetching")
            clock.advance(0.0201)
    assert caplog.messages[0] == "phase: fetching"
    assert caplog.messages[1:] == [wording.progress(snapshots.snapshot())] * int(
        20.1 / LINE_EVERY_S
    )


def test_plain_tells_a_new_phase_at_once(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with plain(clock) as progress:
        progress.update(snapshots.snapshot(), "fetching")
        progress.update(snapshots.snapshot(), "merging")
        progress.message("2,000 cars are new")
    assert caplog.messages == ["phase: fetching", "phase: merging", "2,000 cars are new"]


def test_plain_slows_down_in_a_long_phase(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    progress = plain(clock)
    figures = snapshots.snapshot()
    for _ in range(25 * 60):
        progress.update(figures, "fetching")
        clock.advance(1.0)
    assert 60 / LINE_EVERY_S <= len(caplog.messages) <= 60 / LINE_EVERY_S + 1440 / LATER_EVERY_S + 2


def test_plain_tells_that_a_phase_without_figures_goes_on(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    progress = plain(clock)
    progress.update(snapshots.snapshot(), "merging")
    for _ in range(120):
        progress.pulse()
        clock.advance(0.1)
    assert caplog.messages == [
        "phase: merging",
        "phase: merging, for 5 s now",
        "phase: merging, for 10 s now",
    ]
