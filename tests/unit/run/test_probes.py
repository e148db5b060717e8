"""Requests by id against an engine that exists only in the test: which answers count, and how long.

An answer may come late: of a round that was given up, by a fetcher that has gone on since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from carsync import timing
from carsync.engine.messages import EngineLost, Event, ProbeAnswered, ProbeLease
from carsync.errors import FailureKind
from carsync.model import ProbeVerdict
from carsync.run.api_health import ApiHealth
from carsync.run.probes import ATTEMPTS, ProbeRunner
from carsync.run.supervisor import EngineSupervisor
from tests.support.fake_clock import FakeClock
from tests.support.fake_engine import FakeEngine, QuietContext, use_clock

GONE, ALIVE, NOTHING = ProbeVerdict.GONE, ProbeVerdict.ALIVE, ProbeVerdict.NOTHING
TURN_S = 10.0
PATIENCE_S = timing.Timing().probe_patience_s


class ImpatientEngine(FakeEngine):
    """Fails a test that asks without end."""

    def events(self, timeout_s: float) -> list[Event]:
        if self._clock.now > FakeClock().now + 100 * PATIENCE_S:
            pytest.fail("it asks without end")
        return super().events(timeout_s)


def prepare(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[ProbeLease], list[Any]]
) -> tuple[ProbeRunner, FakeEngine, FakeClock]:
    """Return a runner over an engine that answers so; a lost one is replaced by itself."""
    clock = FakeClock()
    use_clock(monkeypatch, clock)
    engine = ImpatientEngine(clock, answer, TURN_S)
    context = QuietContext(clock)
    health = ApiHealth(context.config.limits, context.metrics, clock)
    supervisor = EngineSupervisor(context, lambda used: engine, health)
    return ProbeRunner(context, supervisor, health), engine, clock


def answered(lease: ProbeLease, verdict: ProbeVerdict, attempt: int | None = None) -> ProbeAnswered:
    return ProbeAnswered(
        lease.record_id, lease.attempt if attempt is None else attempt, verdict, 0.1
    )


def test_an_answer_to_an_earlier_round_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The car that was gone, by its page, in one round is asked for by id in the next."""

    def answer(lease: ProbeLease) -> list[Any]:
        if lease.attempt == 1:
            return [answered(lease, NOTHING)]
        return [answered(lease, GONE, attempt=1), answered(lease, ALIVE)]

    asking, _, _ = prepare(monkeypatch, answer)
    assert asking.ask(["a"], {}) == {"a": NOTHING}
    assert asking.ask(["a"], {}) == {"a": ALIVE}


def test_an_answer_that_nobody_asked_for_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(lease: ProbeLease) -> list[Any]:
        return [
            ProbeAnswered("other", lease.attempt, GONE, 0.1),
            answered(lease, ALIVE),
            answered(lease, GONE),  # once more: the first one counts
        ]

    asking, _, _ = prepare(monkeypatch, answer)
    assert asking.ask(["a", "b"], {}) == {"a": ALIVE, "b": ALIVE}


@pytest.mark.parametrize("says", ["no word", "no usable word"])
def test_an_api_that_gives_no_usable_answer_is_asked_no_longer_than_patience(
    monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    asking, engine, clock = prepare(
        monkeypatch, lambda lease: [] if says == "no word" else [answered(lease, NOTHING)]
    )
    began_s = clock.now
    cars = [str(n) for n in range(10_000)]
    assert ALIVE not in asking.ask(cars, {}).values()
    assert clock.now - began_s <= PATIENCE_S + 2 * TURN_S
    assert engine.asked < 100


def test_patience_begins_anew_with_each_usable_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    cars = [str(n) for n in range(200)]
    asking, _, clock = prepare(monkeypatch, lambda lease: [answered(lease, ALIVE)])
    began_s = clock.now
    assert asking.ask(cars, {}) == dict.fromkeys(cars, ALIVE)
    assert clock.now - began_s > 2 * PATIENCE_S


def test_what_a_lost_engine_was_asked_is_asked_of_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deaths = iter([True])

    def answer(lease: ProbeLease) -> list[Any]:
        if next(deaths, False):
            return [EngineLost("fetcher-1", "was killed by SIGKILL")]
        return [answered(lease, GONE)]

    asking, engine, _ = prepare(monkeypatch, answer)
    cars = ["a", "b", "c", "d", "e", "f"]
    assert asking.ask(cars, {}) == dict.fromkeys(cars, GONE)
    assert engine.asked > len(cars)


def test_a_request_that_is_refused_for_a_while_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[str | None] = []

    def answer(lease: ProbeLease) -> list[Any]:
        tries.append(lease.record_id)
        if tries.count(lease.record_id) < ATTEMPTS and lease.record_id == "throttled":
            failure = FailureKind.RATE_LIMITED
            return [
                ProbeAnswered(lease.record_id, lease.attempt, NOTHING, 0.1, "429", None, failure)
            ]
        if lease.record_id == "broken":
            failure = FailureKind.SERVER
            return [
                ProbeAnswered(lease.record_id, lease.attempt, NOTHING, 0.1, "500", None, failure)
            ]
        return [answered(lease, GONE)]

    made, _, _ = prepare(monkeypatch, answer)
    found = made.ask(["throttled", "broken", "gone"], {})
    assert found == {"throttled": GONE, "broken": NOTHING, "gone": GONE}
    assert tries.count("throttled") == tries.count("broken") == ATTEMPTS
    assert tries.count("gone") == 1


def test_pages_of_several_lists_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    looking, engine, _ = prepare(monkeypatch, lambda lease: [])
    found = looking.look_at([4, 1_000_003])
    assert {page: answer and answer.page for page, answer in found.items()} == {
        4: 4,
        1_000_003: 1_000_003,
    }
    assert engine.asked == 2
