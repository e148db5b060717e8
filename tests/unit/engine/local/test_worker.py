"""A worker as the parent sees it: its books, and each way in which it is lost."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from carsync import timing
from carsync.engine.local.messages import Drain, Heartbeat, Leases, WorkerReady
from carsync.engine.local.worker import Worker
from carsync.engine.messages import (
    Lease,
    PageFailed,
    PageFetched,
    PageLease,
    ProbeAnswered,
    ProbeLease,
)
from carsync.errors import FailureKind
from carsync.model import PageInfo, ProbeVerdict


class Rig:
    """A worker without a process: the test holds the other end of its pipe."""

    def __init__(self) -> None:
        ours, self.theirs = multiprocessing.Pipe()
        process: Any = SimpleNamespace(exitcode=None, join=lambda timeout_s: None)
        self.process = process
        self.worker = Worker("fetcher-1", process, ours, time.monotonic(), 20.0, capacity=4)

    def say(self, *messages: Any) -> None:
        for message in messages:
            self.theirs.send(message)

    def close(self) -> None:
        self.theirs.close()
        self.worker.pipe.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def fetched(page: int) -> PageFetched:
    return PageFetched(page, 100, 0, 0.4, 900, 9000, PageInfo())


def failed(page: int) -> PageFailed:
    return PageFailed(page, 1, FailureKind.SERVER, "HTTP 500", "", 500, None, 0.1)


def test_leases_are_held_until_they_are_answered(rig: Rig) -> None:
    leases: list[Lease] = [PageLease(7, 1), PageLease(8, 2), ProbeLease("42", 3)]
    rig.worker.lease(leases)
    assert rig.theirs.recv() == Leases(tuple(leases))
    assert rig.worker.leases == {7: 1, 8: 2, "42": 3}
    late = ProbeAnswered("42", 2, ProbeVerdict.GONE, 0.1)
    answers = [fetched(7), failed(8), late]
    rig.say(*answers)
    assert rig.worker.receive() == answers
    assert rig.worker.leases == {"42": 3}, "an answer to an earlier attempt returns no lease"
    rig.say(ProbeAnswered("42", 3, ProbeVerdict.GONE, 0.1))
    rig.worker.receive()
    assert rig.worker.leases == {}


def test_signs_of_life_are_noted_and_told_to_nobody(rig: Rig) -> None:
    rig.worker.last_heard_s = 0.0
    rig.say(WorkerReady(), Heartbeat(3.5))
    assert rig.worker.receive() == []
    assert (rig.worker.ready, rig.worker.overdue_s) == (True, 3.5)
    assert time.monotonic() - rig.worker.last_heard_s < 60


def test_a_worker_is_asked_once_to_end_and_a_broken_pipe_is_no_error(rig: Rig) -> None:
    rig.worker.drain()
    rig.worker.drain()
    assert rig.theirs.recv() == Drain()
    assert not rig.theirs.poll(0)
    rig.theirs.close()
    rig.worker.lease([PageLease(1, 1)])
    assert rig.worker.receive() == []
    assert rig.worker.pipe.closed


@pytest.mark.parametrize(
    ("facts", "silent_s", "fault"),
    [
        ({"ready": True}, 1.0, None),
        ({"ready": True}, 21.0, "gave no sign of life for 21 s"),
        ({}, 21.0, None),
        ({}, timing.Timing().worker_boot_s + 1, "did not start for 61 s"),
        ({"ready": True, "overdue_s": 16.0}, 1.0, "is overdue by 16 s"),
    ],
)
def test_silence_and_overdue_steps_are_faults(
    rig: Rig, facts: dict[str, Any], silent_s: float, fault: str | None
) -> None:
    for name, value in facts.items():
        setattr(rig.worker, name, value)
    rig.worker.last_heard_s = time.monotonic() - silent_s
    assert rig.worker.find_fault() == fault


@pytest.mark.parametrize(
    ("code", "is_leaving", "fault"),
    [
        (-9, False, "was killed by SIGKILL"),
        (-9, True, "was killed by SIGKILL"),
        (3, True, "ended with exit code 3"),
        (0, False, "ended with exit code 0"),
        (0, True, None),
        (None, False, "closed its pipe"),
    ],
)
def test_a_worker_that_ended_is_lost_unless_it_was_asked_to(
    rig: Rig, code: int | None, is_leaving: bool, fault: str | None
) -> None:
    rig.worker.pipe.close()
    rig.process.exitcode, rig.worker.leaving = code, is_leaving
    assert rig.worker.find_fault() == fault
