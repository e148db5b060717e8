"""Signals: the first asks for a drain, the second for an end at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from carsync.exit_codes import ExitCode
from carsync.run.signals import StopSignal


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    installed = StopSignal()
    installed.install()
    yield installed
    for number, handler in before.items():
        signal.signal(number, handler)


def send(*numbers: int) -> None:
    """Send signals to this process; Python runs their handlers before `kill` returns."""
    for number in numbers:
        os.kill(os.getpid(), number)


def test_without_a_signal_nothing_is_asked_for(stop: StopSignal) -> None:
    assert not stop.requested
    assert not stop.forced


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_for_a_drain_and_raises_nothing(
    stop: StopSignal, number: int
) -> None:
    send(number)
    assert stop.requested
    assert not stop.forced


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("first", "code"), [(signal.SIGINT, ExitCode.SIGINT), (signal.SIGTERM, ExitCode.SIGTERM)]
)
def test_the_second_ends_at_once_and_the_first_names_the_exit_code(
    stop: StopSignal, first: int, second: int, code: ExitCode
) -> None:
    send(first, second)
    assert stop.forced
    assert stop.exit_code is code
    assert code == 128 + first


def test_a_hundred_signals_are_as_good_as_two(stop: StopSignal) -> None:
    send(*[signal.SIGTERM] * 100)
    assert stop.forced
    assert stop.exit_code is ExitCode.SIGTERM
