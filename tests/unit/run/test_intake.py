"""The intake's loop against an engine of the test's own: how a run without pages ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from carsync import timing
from carsync.config.api_sections import Api, Pagination
from carsync.engine.base import Engine
from carsync.engine.messages import (
    BreakerOpened,
    EngineLost,
    Event,
    Lease,
    PageFailed,
    PageFetched,
    PageLease,
    PagesStaged,
    WorkerFailed,
)
from carsync.errors import (
    ApiUnavailableError,
    CarsyncError,
    DatabaseError,
    FailureKind,
    LockedError,
)
from carsync.model import PageInfo, StagedPage
from carsync.run import intake
from carsync.run.figures.metrics import Metrics
from carsync.run.intake import Intake
from carsync.source.pagination import page_states
from carsync.source.pagination.plan import PagePlan
from carsync.source.retry_after import MAX_RETRY_AFTER_S
from carsync.state import runs
from tests.support.effort import CountingBytes, counted
from tests.support.fake_clock import FakeClock
from tests.support.fake_engine import FakeEngine, QuietContext, use_clock


def take_in(
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    answer: Callable[[PageLease], Any],
    metrics: Metrics | None = None,
) -> FakeEngine:
    """Run an intake to its end against an engine that answers so."""
    engine = FakeEngine(clock, lambda lease: [answer(lease)])
    run_intake(monkeypatch, clock, lambda used: engine, metrics=metrics)
    return engine


def run_intake(
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    new_engine: Callable[[bool], Engine],
    stop: Any = None,
    metrics: Metrics | None = None,
) -> PagePlan:
    """Run an intake to its end over the engines that `new_engine` gives; return its plan."""
    use_clock(monkeypatch, clock)
    monkeypatch.setattr(intake, "mark_ledger", lambda *_: None)
    context = QuietContext(clock, stop)
    context.metrics = metrics or context.metrics
    context.begin(SimpleNamespace(run_id=1, token="t", started_at=None, api_clock=None))  # type: ignore[arg-type]
    with Intake(context, new_engine) as taken:
        taken.run()
    return context.plan.of(1)


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
        return PageFetched(lease.page, 100, 0, 0.1, 1, 1, PageInfo(2000, 200_000))

    with pytest.raises(ApiUnavailableError) as caught:
        take_in(monkeypatch, clock, answer)
    assert clock.now - started_s < 2 * timing.current().api_silence_s
    assert "resumes" in caught.value.hint


def fetched(lease: PageLease, pages: int = 3) -> PageFetched:
    return PageFetched(lease.page, 100, 0, 0.1, 1, 1, PageInfo(pages, pages * 100))


def staged(lease: PageLease, pages: int = 3) -> PagesStaged:
    return PagesStaged(
        (StagedPage(lease.page, 100, 0, 100, PageInfo(pages, pages * 100)),), 100, 0.1
    )


def unreached(lease: PageLease, attempts: int | None) -> PageFailed:
    kind = FailureKind.NETWORK
    words = ("the host refuses", "check it", None, None, 0.1, attempts)
    return PageFailed(lease.page, lease.attempt, kind, *words)


@pytest.mark.parametrize(("first_attempts", "made"), [(1, 1), (2, 2), (None, 6)])
def test_a_first_request_that_no_retry_mends_ends_the_run_soon(
    monkeypatch: pytest.MonkeyPatch, first_attempts: int | None, made: int
) -> None:
    clock, asked = FakeClock(), list[int]()

    def answer(lease: PageLease) -> Any:
        asked.append(lease.attempt)
        return unreached(lease, first_attempts)

    with pytest.raises(ApiUnavailableError) as caught:
        take_in(monkeypatch, clock, answer)
    assert asked == list(range(1, made + 1))
    assert caught.value.hint == "check it"
    if first_attempts:
        assert caught.value.problem == "the API cannot be reached"


def test_an_outage_after_the_first_answer_is_retried_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, asked = FakeClock(), Counter[int]()

    def answer(lease: PageLease) -> list[Any]:
        asked[lease.page] += 1
        if lease.page == 2 and asked[2] < 5:
            return [unreached(lease, 1)]
        return [fetched(lease), staged(lease)]

    plan = run_intake(monkeypatch, clock, lambda used: FakeEngine(clock, answer))
    assert asked[2] == 5
    assert plan.staged_count == 3


def lost_engine(clock: FakeClock) -> FakeEngine:
    """Refuses its first lease, with a Retry-After, and then a worker of it dies."""
    lost = EngineLost("fetcher-1", "was killed by SIGKILL")
    return FakeEngine(clock, lambda lease: [refuse(lease, 200.0), lost])


def test_a_new_engine_gets_neither_a_second_burst_nor_an_end_of_the_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bucket that knew of both died with the manager of the lost fleet."""
    clock = FakeClock()
    lost = lost_engine(clock)
    following = FakeEngine(clock, lambda lease: [fetched(lease), staged(lease)])
    engines = iter([lost, following])
    asked_before: list[bool] = []

    def new_engine(used: bool) -> FakeEngine:
        asked_before.append(used)
        return next(engines)

    plan = run_intake(monkeypatch, clock, new_engine)
    assert plan.staged_count == 3
    assert asked_before == [False, True]
    assert 180.0 <= following.silence_s <= 200.0


class SlowWriterEngine(FakeEngine):
    """Its writer stages what was fetched only once it is told to end."""

    def __init__(self, clock: FakeClock, stop: Any) -> None:
        super().__init__(clock, lambda lease: [fetched(lease)])
        self._stop = stop
        self._at_work = True
        self._in_queue: list[Any] = []

    def lease(self, leases: Sequence[Lease]) -> None:
        super().lease(leases)
        self._in_queue += leases
        self._stop.requested = True

    def stop(self) -> None:
        self._events += [staged(lease) for lease in self._in_queue]
        self._at_work = False

    def is_running(self) -> bool:
        return self._at_work


def test_a_stop_waits_for_what_the_writers_still_have_to_stage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    stop = SimpleNamespace(requested=False, forced=False)
    engine = SlowWriterEngine(clock, stop)
    plan = run_intake(monkeypatch, clock, lambda used: engine, stop)
    assert engine.asked > 0
    assert plan.staged_count == engine.asked


class ManyPages:
    """Answers a feed of so many pages, of which each tenth fails for good if `fails`."""

    def __init__(self, pages: int, *, chained: bool = False, fails: bool = False) -> None:
        self.pages, self.chained, self.fails = pages, chained, fails

    def answer(self, lease: PageLease) -> list[Event]:
        page = lease.page
        if self.fails and page % 10 == 0:
            return [replace(unreached(lease, None), kind=FailureKind.CLIENT, status=422)]
        info = PageInfo(self.pages, self.pages * 100)
        if self.chained:
            info = PageInfo(next_token=f"token {page}" if page < self.pages else None)
        fetched_page = PageFetched(page, 100, 0, 0.1, 1, 1, info, page)
        return [fetched_page, PagesStaged((StagedPage(page, 100, 0, 100, info),), 100, 0.1)]

    def work(self, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
        """Return the calls made, and the bytes searched, for a page."""
        clock = FakeClock()
        use_clock(monkeypatch, clock)
        monkeypatch.setattr(page_states, "bytearray", CountingBytes, raising=False)
        context = QuietContext(clock)
        kind: Any = {"type": "cursor", "next": "next"} if self.chained else {}
        context.ask(Api(pagination=Pagination(max_pages=10**6, **kind)))
        context.begin(SimpleNamespace(run_id=1, token="t", started_at=None, api_clock=None))  # type: ignore[arg-type]
        engine = FakeEngine(clock, self.answer)
        with Intake(context, lambda used: engine) as taken, counted() as effort:
            taken.run()
        assert context.plan.staged_count + len(context.plan.failed) == self.pages
        assert bool(context.plan.failed) == self.fails
        return effort.calls / self.pages, effort.scanned / self.pages


@pytest.mark.parametrize("kind", [{}, {"chained": True}, {"fails": True}])
def test_a_page_of_a_long_feed_costs_the_parent_what_one_of_a_short_feed_does(
    kind: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    short_calls, short_bytes = ManyPages(100, **kind).work(monkeypatch)
    calls, scanned = ManyPages(800, **kind).work(monkeypatch)
    assert calls <= 1.1 * short_calls
    assert scanned <= 1.1 * short_bytes + 1


@pytest.mark.parametrize(
    ("token", "error"), [("ours", DatabaseError), ("theirs", LockedError), (None, LockedError)]
)
def test_a_worker_to_which_the_run_is_not_ours_may_have_another_database(
    token: str | None, error: type[CarsyncError], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = None if token is None else SimpleNamespace(token=token)
    monkeypatch.setattr(runs, "find_run", lambda *_: known)
    run = SimpleNamespace(run_id=7, token="ours")
    intake = SimpleNamespace(_context=SimpleNamespace(run=run, connection=None))
    told = WorkerFailed.of(runs.not_ours(7), "a worker")
    assert type(Intake._error_of(cast(Any, intake), told)) is error
