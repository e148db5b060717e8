"""A worker's side of the gate: what came late is not used, what is over raises."""

from __future__ import annotations

import pickle
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from carsync.engine.dask import remote_gate
from carsync.engine.dask.gate_keeper import ASK_GATE, OVER
from carsync.engine.dask.remote_gate import GateLine, RemoteGate, RunOverError, find_job
from carsync.source.rate_limit import ARRIVAL_JITTER_S, Admission


class Scheduler:
    """Answers in place of the scheduler, after `delay_s`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.delay_s, self.now_s = 0.0, 0.0
        self.answer = Admission(0.5, True, 0, rate=20.0, ticket=4)
        self.asked: list[Any] = []
        self.unused = 0
        self.is_there = True
        monkeypatch.setattr(remote_gate, "ask_scheduler", lambda *_, **__: pickle.dumps(None))
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)
        loop = SimpleNamespace(add_callback=lambda call, *args: call(*args))
        parts = {"stream_handlers": {}, "batched_send": self.hear, "loop": loop}
        self.worker = cast(Any, SimpleNamespace(**parts))
        self.gate = RemoteGate(GateLine(self.worker), "s1", self.count)

    def count(self) -> None:
        self.unused += 1

    def hear(self, message: dict[str, Any]) -> None:
        assert (message["op"], message["session"]) == (ASK_GATE, "s1")
        calls = pickle.loads(message["calls"])
        self.asked += [(name, *args) for name, args, _ in calls]
        self.now_s += self.delay_s
        answers = [self.answer if name == "admit" else None for name, _, _ in calls]
        if self.is_there:
            answer = self.worker.stream_handlers[ASK_GATE]
            answer(number=message["number"], answers=pickle.dumps((answers, 0.0)))


def test_an_admission_is_used_where_it_came_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Scheduler(monkeypatch)
    assert scheduler.gate.admit() == scheduler.answer
    assert (scheduler.unused, scheduler.asked) == (0, [("admit",)])


def test_an_admission_that_came_late_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Scheduler(monkeypatch)
    scheduler.delay_s = ARRIVAL_JITTER_S + 0.01
    admission = scheduler.gate.admit()
    assert (admission.granted, admission.wait_s) == (False, 0.0)
    assert scheduler.unused == 1
    assert scheduler.asked == [("admit",), ("told", 4, (), False)], "its end is told all the same"
    scheduler.answer = Admission(9.0, False, 0)
    assert scheduler.gate.admit().wait_s == 9.0, "a refusal may come late"


def test_without_a_rate_limit_no_admission_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Scheduler(monkeypatch)
    scheduler.answer, scheduler.delay_s = Admission(0.0, True, 0), 3.0
    assert scheduler.gate.admit().granted


def test_a_gate_that_is_too_far_away_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run would send nothing for ever, and say nothing."""
    scheduler = Scheduler(monkeypatch)
    scheduler.delay_s = ARRIVAL_JITTER_S + 0.01
    for _ in range(remote_gate.MOST_LATE - 1):
        assert not scheduler.gate.admit().granted
    with pytest.raises(TimeoutError, match="answers only after"):
        scheduler.gate.admit()


def test_a_run_that_is_over_hears_so(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Scheduler(monkeypatch)
    scheduler.answer = OVER  # type: ignore[assignment]
    with pytest.raises(RunOverError):
        scheduler.gate.admit()
    with pytest.raises(RunOverError):
        find_job(scheduler.worker, "s1")


def test_a_scheduler_that_does_not_answer_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Scheduler(monkeypatch)
    scheduler.is_there = False
    monkeypatch.setattr(remote_gate, "ANSWER_S", 0.05)
    with pytest.raises(OSError, match="did not answer"):
        scheduler.gate.admit()


def test_nobody_waits_for_a_scheduler_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Scheduler(monkeypatch)
    scheduler.is_there = False
    line = GateLine(scheduler.worker)
    scheduler.worker.batched_send = lambda _: line.close()
    gate = RemoteGate(line, "s1", scheduler.count)
    with pytest.raises(OSError, match="did not answer"):
        gate.admit()
    with pytest.raises(OSError, match="has lost the scheduler"):
        gate.admit()
