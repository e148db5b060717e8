"""Moments by two clocks: a wall clock that is set makes nothing older or younger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from carsync.state import clock
from carsync.state.clock import Moment
from tests.support.snapshots import NOW

EARLIER = Moment(NOW, "a-boot", 100.0)


def later(wall_s: float, uptime_s: float, boot_id: str = "a-boot") -> Moment:
    return Moment(NOW + timedelta(seconds=wall_s), boot_id, uptime_s)


@pytest.mark.parametrize(
    ("moment", "certain_s", "shown_s"),
    [
        (later(60, 160), 60, 60),
        (later(3660, 160), 60, 60),  # set forward by an hour
        (later(-3540, 160), 0, 60),  # set back
        (later(60, 20, "another"), 20, 60),  # booted 20 s ago
        (later(5, 20, "another"), 5, 5),  # another machine may have booted earlier
        (later(60, 30), 30, 60),  # an uptime that runs backwards is another machine's
        (later(60, 0, ""), 60, 60),  # a system that does not tell its boots apart
    ],
)
def test_what_is_certain_and_what_the_earlier_clock_would_show(
    moment: Moment, certain_s: float, shown_s: float
) -> None:
    assert moment.certainly_since(EARLIER) == certain_s
    assert (moment.by_the_clock_of(EARLIER) - NOW).total_seconds() == shown_s


def test_where_proc_is_hidden_only_the_wall_clock_tells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clock, "_BOOT_ID", tmp_path / "none")
    now = Moment.now()
    assert (now.boot_id, now.uptime_s) == ("", 0.0)
    assert now.wall.tzinfo is not None
