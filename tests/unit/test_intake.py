"""The intake's loop against a fleet that exists only in the test: how a run without pages ends."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from carsync import intake
from carsync.config import Config
from carsync.errors import ApiUnavailableError, FailureKind
from carsync.intake import Intake
from carsync.metrics import Metrics
from carsync.model import PageFailed, PageFetched, PageLease
from carsync.pagination import PagePlan
from carsync.stopping import StopSignal
from carsync.supervisor import Fleet
from tests.unit.fakeclock import FakeClock


class FakeFleet:
    """One fetcher whose every lease is answered at once by `answer`; time passes meanwhile."""

    def __init__(self, clock: FakeClock, answer: Callable[[PageLease], Any]) -> None:
        self.fetchers = [SimpleNamespace(capacity=4, pages=set(), process=_Ended())]
        self.writers: list[Any] = []
        self.asked = 0
        self._clock = clock
        self._answer = answer
        self._events: list[Any] = []

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def stop(self, children: Any, *, drain: bool) -> None: ...

    def lease(self, fetcher: Any, leases: tuple[PageLease, ...]) -> None:
        self.asked += len(leases)
        self._events += [(fetcher, self._answer(lease)) for lease in leases]

    def events(self, timeout_s: float, *, watch: bool = True) -> list[Any]:
        events, self._events = self._events, []
        self._clock.advance(10)
        return events


class _Ended:
    def is_alive(self) -> bool:
        return False


def take_in(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, answer: Callable[[PageLease], Any]
) -> FakeFleet:
    """Run an intake to its end against a fleet that answers so."""
    monkeypatch.setattr(intake, "time", SimpleNamespace(monotonic=clock))
    fleet = FakeFleet(clock, answer)
    config = Config()
    metrics = Metrics(clock, 30.0)
    stop = cast(StopSignal, SimpleNamespace(requested=False, forced=False))
    with Intake(
        config,
        PagePlan(config.api.pagination),
        metrics,
        lambda used: cast(Fleet, fleet),
        lambda: None,
        stop,
        lambda fleet, phase: None,
    ) as taken:
        taken.run()
    return fleet


def refuse(lease: PageLease, retry_after_s: float) -> PageFailed:
    return PageFailed(
        lease.page,
        lease.attempt,
        FailureKind.RATE_LIMITED,
        "slow down",
        "",
        429,
        retry_after_s,
        0.1,
    )


@pytest.mark.parametrize("retry_after_s", [20.0, 300.0, 1e9])
@pytest.mark.parametrize("pages_before", [0, 5])
def test_an_api_that_asks_to_wait_for_ever_ends_the_run_in_time(
    monkeypatch: pytest.MonkeyPatch, retry_after_s: float, pages_before: int
) -> None:
    """With 2,000 pages, 18 attempts at each and 5 minutes between it would be days."""
    clock = FakeClock()
    started_s = clock.now

    def answer(lease: PageLease) -> Any:
        if lease.page > pages_before:
            return refuse(lease, retry_after_s)
        return PageFetched(lease.page, 100, 0, 0.1, 1, 1, 2000, 200_000)

    with pytest.raises(ApiUnavailableError) as caught:
        take_in(monkeypatch, clock, answer)
    assert clock.now - started_s < 2 * intake.MAX_SILENCE_S
    assert "resumes" in caught.value.hint
