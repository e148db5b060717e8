"""Progress as lines in a log: one at a new phase, then every few seconds."""

from __future__ import annotations

import logging

import pytest

from carsync.reporting.live.plain_progress import LATER_EVERY_S, LINE_EVERY_S, PlainProgress
from carsync.reporting.live.progress_line import progress_line
from tests.support import snapshots
from tests.support.fake_clock import FakeClock


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
    assert caplog.messages[1:] == [progress_line(snapshots.snapshot())] * int(20.1 / LINE_EVERY_S)


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
