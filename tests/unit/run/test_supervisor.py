"""The engine of a run: replaced within a budget, and told how long the API wants silence."""

from __future__ import annotations

import pytest

from carsync import timing
from carsync.engine.messages import EngineLost
from carsync.errors import WorkersDiedError
from carsync.run.api_health import ApiHealth
from carsync.run.supervisor import EngineSupervisor
from tests.support.fake_clock import FakeClock
from tests.support.fake_engine import FakeEngine, QuietContext, use_clock

LOST = EngineLost("writer-1", "was killed by SIGKILL")


def test_an_engine_is_replaced_as_often_as_the_budget_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    use_clock(monkeypatch, clock)
    context = QuietContext(clock)
    health = ApiHealth(context.config.limits, context.metrics, clock)
    made: list[tuple[bool, FakeEngine]] = []

    def new_engine(used: bool) -> FakeEngine:
        made.append((used, FakeEngine(clock, lambda lease: [])))
        return made[-1][1]

    supervisor = EngineSupervisor(context, new_engine, health)
    assert [used for used, _ in made] == [False]
    back_off_s = timing.current().restart_back_off_s
    for restart, wait_s in enumerate(back_off_s, start=1):
        health.silence(100.0)
        began_s = clock.now
        supervisor.replace(LOST)
        assert clock.now - began_s >= wait_s
        assert (len(made), made[-1][0]) == (restart + 1, True), "the API was asked just before"
        assert supervisor.engine is made[-1][1]
        assert made[-1][1].silence_s == pytest.approx(100.0 - (clock.now - began_s))
    with pytest.raises(WorkersDiedError) as caught:
        supervisor.replace(LOST)
    assert caught.value.detail == "writer-1 was killed by SIGKILL"
    assert len(made) == len(back_off_s) + 1
