"""The API's health: what ends a run, and what does not yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from carsync import timing
from carsync.config.sections import CircuitBreakerRules, Limits
from carsync.engine.messages import BreakerOpened, LimitReached, PageFailed, RateChanged
from carsync.errors import ApiUnavailableError, CarsyncError, FailureKind, WorkersDiedError
from carsync.run.api_health import ApiHealth
from carsync.run.figures.metrics import Metrics
from carsync.source.retry_after import MAX_RETRY_AFTER_S
from carsync.state.figures import Slowed
from tests.support.fake_clock import FakeClock

SILENCE_S = timing.Timing().api_silence_s


class Rig:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics(self.clock)
        limits = Limits(circuit_breaker=CircuitBreakerRules(give_up_after=3))
        self.health = ApiHealth(limits, self.metrics, self.clock)

    def refuse(self, retry_after_s: float | None) -> None:
        kind = FailureKind.RATE_LIMITED
        self.health.page_failed(
            PageFailed(1, 1, kind, "slow down", "wait", 429, retry_after_s, 0.1)
        )


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_the_longest_wait_that_the_api_asked_for_holds(rig: Rig) -> None:
    rig.refuse(20.0)
    rig.refuse(5.0)
    rig.refuse(None)
    rig.clock.advance(8.0)
    assert rig.health.silence_s() == 12.0
    assert rig.metrics.snapshot(None, 0).pause == "rate_limited"
    rig.refuse(86_400.0)
    assert rig.health.silence_s() == MAX_RETRY_AFTER_S


def test_the_rate_that_the_api_stands_is_kept_for_the_next_engine_and_told_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    for rate in (10.0, 5.0):
        rig.health.rate_changed(RateChanged(rate, "HTTP 503"))
    assert rig.health.lowered_to == 5.0
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert told == [
        "the API refuses requests (HTTP 503): asking at 10 requests/s, more again by and by"
    ]


def test_a_rate_that_the_api_tells_is_news_once_and_no_refusal(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """A new engine's gate hears of it with the first answer."""
    caplog.set_level("INFO")
    for rate in (1.65, 1.5):
        rig.health.rate_changed(RateChanged(rate, "X-RateLimit", is_told=True))
    assert rig.health.lowered_to is None
    assert caplog.messages == ["the API tells its limit (X-RateLimit): asking at 1.65 requests/s"]
    slowed = rig.metrics.snapshot(None, 0).slowed
    assert slowed == Slowed(by="X-RateLimit", rate=1.5, lowest=1.5, is_told=True)


def test_a_limit_with_nothing_left_is_a_pause_and_is_told_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for wait_s in (0.5, 42.0, 41.0):
        rig.health.limit_reached(LimitReached(wait_s, "Quota"))
    figures = rig.metrics.snapshot(None, 0)
    assert (figures.pause, figures.paused_s) == ("limit", 42.0)
    assert rig.health.silence_s() == 42.0
    assert caplog.messages == ["nothing is left of the API's limit (Quota): waiting 42 s"]


def test_a_run_ends_once_the_api_gave_no_page_for_long_and_asks_to_wait(rig: Rig) -> None:
    rig.clock.advance(SILENCE_S - 10)
    rig.health.judge_silence()
    rig.refuse(60.0)
    with pytest.raises(ApiUnavailableError, match="asked to wait") as caught:
        rig.health.judge_silence()
    assert caught.value.detail == "slow down"
    rig.health.page_came()
    rig.health.judge_silence()


def test_a_run_ends_once_the_breaker_opened_too_often_in_a_row(rig: Rig) -> None:
    rig.health.breaker_opened(BreakerOpened(2, 60.0))
    rig.health.judge_breaker(BreakerOpened(2, 60.0))
    figures = rig.metrics.snapshot(None, 0)
    assert (figures.breaker_openings, figures.pause, figures.paused_s) == (1, "breaker", 60.0)
    with pytest.raises(ApiUnavailableError, match="3 times in a row"):
        rig.health.judge_breaker(BreakerOpened(3, 60.0))


def test_a_feed_without_a_page_is_explained_by_the_last_failure(rig: Rig) -> None:
    assert "api.base_url" in rig.health.unreadable().hint
    rig.refuse(None)
    error = rig.health.unreadable()
    assert (error.detail, error.hint) == ("slow down", "wait")


def test_a_wait_beyond_the_longest_ends_the_run_and_names_the_hour(rig: Rig) -> None:
    for seconds in (None, 0.0, 900.0):
        rig.health.judge_wait(seconds)
    rig.refuse(86_500.0)
    with pytest.raises(ApiUnavailableError) as caught:
        rig.health.judge_wait(86_500.0)
    until = datetime.now(UTC) + timedelta(seconds=86_500)
    assert f"until {until:%Y-%m-%d %H:}" in caught.value.problem
    assert "limits.max_wait_s is 900" in caught.value.detail


@pytest.mark.parametrize(
    ("kind", "error"),
    [(FailureKind.WORKER, WorkersDiedError), (FailureKind.SERVER, ApiUnavailableError)],
)
def test_a_feed_of_which_no_page_came_is_not_the_apis_fault_where_workers_failed(
    rig: Rig, kind: FailureKind, error: type[CarsyncError]
) -> None:
    rig.health.page_failed(PageFailed(1, 1, kind, "it is gone", "", None, None, 0.1))
    found = rig.health.unreadable()
    assert (type(found), found.detail) == (error, "it is gone")
    assert found.hint
