"""Requests by id against a fleet that exists only in the test: which answers count, and how long.

An answer may come late: of a round that was given up, by a fetcher that has gone on since.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from carsync.engine.local.fleet import Fleet, WorkerLost
from carsync.engine.messages import ProbeAnswered, ProbeLease
from carsync.errors import FailureKind
from carsync.model import ProbeVerdict
from carsync.run import probes
from carsync.run.metrics import Metrics
from carsync.run.probes import ATTEMPTS, PATIENCE_S, ProbeRunner
from carsync.run.signals import StopSignal
from tests.support.fake_clock import FakeClock

GONE, ALIVE, NOTHING = ProbeVerdict.GONE, ProbeVerdict.ALIVE, ProbeVerdict.NOTHING
TURN_S = 10.0


class FakeFleet:
    """One fetcher; `answer` gives the events that a lease leads to, one turn later."""

    def __init__(self, clock: FakeClock, answer: Callable[[ProbeLease], list[Any]]) -> None:
        self.fetchers = [SimpleNamespace(capacity=4, probes={})]
        self.asked = 0
        self._clock = clock
        self._answer = answer
        self._events: list[Any] = []

    def lease(self, fetcher: Any, leases: tuple[ProbeLease, ...]) -> None:
        self.asked += len(leases)
        self._events += [(fetcher, event) for lease in leases for event in self._answer(lease)]

    def events(self, timeout_s: float) -> list[Any]:
        events, self._events = self._events, []
        self._clock.advance(TURN_S)
        if self._clock.now > FakeClock().now + 100 * PATIENCE_S:
            pytest.fail("it asks without end")
        return events


def inquire(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[ProbeLease], list[Any]]
) -> tuple[ProbeRunner, FakeFleet, FakeClock]:
    """Return an inquiry over a fleet that answers so."""
    clock = FakeClock()
    monkeypatch.setattr(probes, "time", SimpleNamespace(monotonic=clock))
    fleet = FakeFleet(clock, answer)

    def restart(lost: WorkerLost) -> None:
        fleet.fetchers = [SimpleNamespace(capacity=4, probes={})]

    made = ProbeRunner(
        lambda: cast(Fleet, fleet),
        restart,
        lambda seconds: None,
        Metrics(clock, 30.0),
        cast(StopSignal, SimpleNamespace(requested=False, forced=False)),
        lambda fleet, phase: None,
    )
    return made, fleet, clock


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

    asking, _, _ = inquire(monkeypatch, answer)
    assert asking.ask(["a"], {}) == {"a": NOTHING}
    assert asking.ask(["a"], {}) == {"a": ALIVE}


def test_an_answer_that_nobody_asked_for_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(lease: ProbeLease) -> list[Any]:
        return [
            ProbeAnswered("other", lease.attempt, GONE, 0.1),
            answered(lease, ALIVE),
            answered(lease, GONE),  # once more: the first one counts
        ]

    asking, _, _ = inquire(monkeypatch, answer)
    assert asking.ask(["a", "b"], {}) == {"a": ALIVE, "b": ALIVE}


@pytest.mark.parametrize("says", ["no word", "no usable word"])
def test_an_api_that_gives_no_usable_answer_is_asked_no_longer_than_patience(
    monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    asking, fleet, clock = inquire(
        monkeypatch, lambda lease: [] if says == "no word" else [answered(lease, NOTHING)]
    )
    began_s = clock.now
    cars = [str(n) for n in range(10_000)]
    assert ALIVE not in asking.ask(cars, {}).values()
    assert clock.now - began_s <= PATIENCE_S + 2 * TURN_S
    assert fleet.asked < 100


def test_patience_begins_anew_with_each_usable_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    cars = [str(n) for n in range(200)]
    asking, _, clock = inquire(monkeypatch, lambda lease: [answered(lease, ALIVE)])
    began_s = clock.now
    assert asking.ask(cars, {}) == dict.fromkeys(cars, ALIVE)
    assert clock.now - began_s > 2 * PATIENCE_S


def test_what_a_lost_fleet_was_asked_is_asked_of_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deaths = iter([True])

    def answer(lease: ProbeLease) -> list[Any]:
        if next(deaths, False):
            return [WorkerLost("fetcher-1", "was killed by SIGKILL")]
        return [answered(lease, GONE)]

    asking, fleet, _ = inquire(monkeypatch, answer)
    cars = ["a", "b", "c", "d", "e", "f"]
    assert asking.ask(cars, {}) == dict.fromkeys(cars, GONE)
    assert fleet.asked > len(cars)


def test_a_request_that_is_refused_for_a_while_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[str] = []

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

    made, _, _ = inquire(monkeypatch, answer)
    found = made.ask(["throttled", "broken", "gone"], {})
    assert found == {"throttled": GONE, "broken": NOTHING, "gone": GONE}
    assert tries.count("throttled") == tries.count("broken") == ATTEMPTS
    assert tries.count("gone") == 1
