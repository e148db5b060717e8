"""What may be sent of a reservation: no more than that, and not later."""

from __future__ import annotations

import time

from carsync.source.allotment import Allotment, Allotted, waking_clock
from tests.support.fake_clock import FakeClock
from tests.support.gates import open_gate


def test_no_more_is_granted_than_is_allotted() -> None:
    clock = FakeClock()
    allotment = Allotment(clock)
    gate = open_gate(clock, rate=0.0, allotment=allotment)
    assert not gate.admit().granted
    assert gate.allot(3, clock() + 60, afresh=False) == Allotted(0, True)
    assert [gate.admit().granted for _ in range(4)] == [True, True, True, False]
    assert gate.allot(1, clock() + 60, afresh=False) == Allotted(0, True)
    assert gate.allot(2, clock() + 60, afresh=False) == Allotted(1, False)
    assert gate.allot(0, 0.0, afresh=False) == Allotted(3, False)
    assert [gate.admit().granted for _ in range(4)] == [True, True, True, False]


def test_what_is_left_of_a_window_is_void_in_the_next_one() -> None:
    clock = FakeClock()
    allotment = Allotment(clock)
    allotment.add(5, clock() + 60, afresh=False)
    clock.advance(60)
    assert allotment.wait_s() > 0
    assert allotment.add(2, clock() + 60, afresh=False) == Allotted(0, True)
    assert allotment.add(1, clock() + 60, afresh=True) == Allotted(2, False)
    assert allotment.add(0, 0.0, afresh=True) == Allotted(1, False)
    assert allotment.wait_s() > 0


def test_a_long_wait_is_asked_about_less_often() -> None:
    clock = FakeClock()
    allotment = Allotment(clock)
    soon = allotment.wait_s()
    clock.advance(10)
    assert soon < 0.1 < 0.5 < allotment.wait_s()
    allotment.add(1, clock() + 60, afresh=False)
    allotment.take()
    assert allotment.wait_s() == soon


def test_sleep_of_the_machine_counts() -> None:
    """The monotonic clock stands still then; a window of the budget may end meanwhile."""
    with_sleep = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    before = time.clock_gettime(with_sleep)
    assert before <= waking_clock() <= time.clock_gettime(with_sleep)
