"""The intake's loop against a fleet that exists only in the test: how a run without pages ends."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from carsync.config.sections import Config
from carsync.engine.local.fleet import Fleet, WorkerLost
from carsync.engine.messages import BreakerOpened, PageFailed, PageFetched, PageLease, PagesStaged
from carsync.errors import ApiUnavailableError, FailureKind
from carsync.model import StagedPage
from carsync.run import api_health, intake
from carsync.run.intake import Intake
from carsync.run.metrics import Metrics
from carsync.run.signals import StopSignal
from carsync.source.pagination.plan import PagePlan
from carsync.source.retry_after import MAX_RETRY_AFTER_S
from tests.support.fake_clock import FakeClock


class FakeFleet:
    """One fetcher whose every lease is answered at once by `answer`; time passes meanwhile."""

    def __init__(self, clock: FakeClock, answer: Callable[[PageLease], Any]) -> None:
        self.fetchers = [SimpleNamespace(capacity=4, pages=set(), process=_Ended())]
        self.writers: list[Any] = []
        self.asked = 0
        self._clock = clock
        self._answer = answer
        self._events: list[Any] = []

    def start(self, *, silence_s: float = 0.0) -> None: ...

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
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    answer: Callable[[PageLease], Any],
    metrics: Metrics | None = None,
) -> FakeFleet:
    """Run an intake to its end against a fleet that answers so."""
    fleet = FakeFleet(clock, answer)
    run_intake(monkeypatch, clock, lambda used: fleet, metrics=metrics)
    return fleet


def run_intake(
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    new_fleet: Callable[[bool], FakeFleet],
    stop: Any = None,
    metrics: Metrics | None = None,
) -> PagePlan:
    """Run an intake to its end over the fleets that `new_fleet` gives; return its plan."""
    monkeypatch.setattr(intake, "time", SimpleNamespace(monotonic=clock))
    config = Config()
    plan = PagePlan(config.api.pagination)
    with Intake(
        config,
        plan,
        metrics or Metrics(clock, 30.0),
        cast(Callable[[bool], Fleet], new_fleet),
        lambda: None,
        cast(StopSignal, stop or SimpleNamespace(requested=False, forced=False)),
        lambda fleet, phase: None,
        lambda event, given_up: None,
    ) as taken:
        taken.run()
    return plan


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


@pytest.mark.parametrize(
    ("answer", "pause", "longest_s"),
    [
        (lambda lease: refuse(lease, 1e9), "rate_limited", MAX_RETRY_AFTER_S),
        (lambda lease: BreakerOpened(5, 60.0), "breaker", 60.0),
    ],
)
def test_pauses_are_measured(
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[PageLease], Any],
    pause: str,
    longest_s: float,
) -> None:
    clock = FakeClock()
    metrics = Metrics(clock)
    with pytest.raises(ApiUnavailableError):
        take_in(monkeypatch, clock, answer, metrics)
    got = metrics.snapshot(None, 0)
    assert got.pause == pause
    assert 0 < got.paused_s <= longest_s


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
    assert clock.now - started_s < 2 * api_health.MAX_SILENCE_S
    assert "resumes" in caught.value.hint


def fetched(lease: PageLease, pages: int = 3) -> PageFetched:
    return PageFetched(lease.page, 100, 0, 0.1, 1, 1, pages, pages * 100)


def staged(lease: PageLease, pages: int = 3) -> PagesStaged:
    return PagesStaged((StagedPage(lease.page, 100, 0, 100, pages, pages * 100),), 100, 0.1)


class LostFleet(FakeFleet):
    """Refuses its first lease, with a Retry-After, and then a child of it dies."""

    def events(self, timeout_s: float, *, watch: bool = True) -> list[Any]:
        lost = WorkerLost("fetcher-1", "was killed by SIGKILL")
        return [*super().events(timeout_s), (self.fetchers[0], lost)]


class NextFleet(FakeFleet):
    """Fetches and stages every page; notes the silence that it was started with."""

    silence_s = 0.0

    def start(self, *, silence_s: float = 0.0) -> None:
        self.silence_s = silence_s

    def lease(self, fetcher: Any, leases: tuple[PageLease, ...]) -> None:
        super().lease(fetcher, leases)
        self._events += [(fetcher, staged(lease)) for lease in leases]


def test_a_new_fleet_gets_neither_a_second_burst_nor_an_end_of_the_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bucket that knew of both died with the manager of the lost fleet."""
    clock = FakeClock()
    lost = LostFleet(clock, lambda lease: refuse(lease, 200.0))
    following = NextFleet(clock, fetched)
    fleets = iter([lost, following])
    asked_before: list[bool] = []

    def new_fleet(used: bool) -> FakeFleet:
        asked_before.append(used)
        return next(fleets)

    plan = run_intake(monkeypatch, clock, new_fleet)
    assert plan.staged_count == 3
    assert asked_before == [False, True]
    assert 180.0 <= following.silence_s <= 200.0


class SlowWriterFleet(FakeFleet):
    """Its writer stages what was fetched only once it is told to end."""

    def __init__(self, clock: FakeClock, stop: Any) -> None:
        super().__init__(clock, fetched)
        self._stop = stop
        self._at_work = True
        self._in_queue: list[PageLease] = []
        writer = SimpleNamespace(is_alive=lambda: self._at_work)
        self.writers = [SimpleNamespace(process=writer)]

    def lease(self, fetcher: Any, leases: tuple[PageLease, ...]) -> None:
        super().lease(fetcher, leases)
        self._in_queue += leases
        self._stop.requested = True

    def stop(self, children: Any, *, drain: bool) -> None:
        if children is self.writers and drain:
            self._events += [(self.writers[0], staged(lease)) for lease in self._in_queue]
            self._at_work = False


def test_a_stop_waits_for_what_the_writers_still_have_to_stage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    stop = SimpleNamespace(requested=False, forced=False)
    fleet = SlowWriterFleet(clock, stop)
    plan = run_intake(monkeypatch, clock, lambda used: fleet, stop)
    assert fleet.asked > 0
    assert plan.staged_count == fleet.asked
