"""Deadlines: one record, production's unless the variable says otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest

from carsync import timing
from carsync.timing import Timing, current, is_changed, parse, shortened


def test_production_s_deadlines_hold_by_default() -> None:
    assert current() == Timing() == parse("")
    assert not is_changed()


def test_the_variable_changes_single_deadlines_of_a_process() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from carsync import timing; print(timing.current())"],
        env={timing.VARIABLE: "overdue_s=-8,restart_back_off_s=0:0.5"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.strip() == repr(Timing(overdue_s=-8.0, restart_back_off_s=(0.0, 0.5)))


@pytest.mark.parametrize("text", ["patience_s=3", "ping_s=soon", "ping_s", "ping_s=1;look_s=2"])
def test_a_deadline_that_nobody_knows_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_a_test_shortens_them_for_a_block() -> None:
    with shortened(ping_s=0.5):
        assert is_changed()
        assert current().ping_s == 0.5
    assert not is_changed()
