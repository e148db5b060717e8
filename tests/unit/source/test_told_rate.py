"""Told limits are kept before the first refusal, whoever else uses them, and believed for good."""

from __future__ import annotations

import heapq
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.demo.window_limit import RATE_HEADERS, RateHeaders, WindowLimit
from carsync.source.adaptive_rate import LOWEST_RATE, AdaptiveRate
from carsync.source.circuit_breaker import CircuitBreaker
from carsync.source.rate_headers import ToldLimit, read_limits
from carsync.source.rate_limit import Gate, TokenBucket
from carsync.source.told_rate import ToldRate
from tests.support.fake_clock import FakeClock
from tests.support.gates import EPSILON, excess, open_gate

RATE = 40.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def rate(clock: FakeClock) -> ToldRate:
    return ToldRate(900.0, clock)


def tell(rate: ToldRate, *limits: ToldLimit, number: int = 0) -> None:
    """Let an answer tell these limits."""
    rate.told(number, limits, let_through=True)


def test_nothing_told_is_no_rate_and_no_wait(rate: ToldRate) -> None:
    assert (rate.lowest(), rate.wait_s(), rate.sent()) == ((math.inf, ""), 0.0, 0)


def test_what_remains_is_spread_over_the_time_until_the_reset(
    rate: ToldRate, clock: FakeClock
) -> None:
    tell(rate, ToldLimit("a", 50, 25.0, 100))
    assert rate.lowest() == (2.0, "a")
    clock.advance(15)
    assert rate.lowest() == (5.0, "a")


def test_the_strictest_of_several_limits_counts(rate: ToldRate) -> None:
    tell(rate, ToldLimit("second", 9, 1.0, 10), ToldLimit("day", 3000, 80000.0, 100_000))
    assert rate.lowest() == (9.0, "second")
    tell(rate, ToldLimit("second", 9, 1.0, 10), ToldLimit("day", 30, 80000.0, 100_000))
    assert rate.lowest() == (0.5, "day")


def test_a_long_quota_is_no_reason_to_crawl_from_the_first_page_on(rate: ToldRate) -> None:
    tell(rate, ToldLimit("month", 90_000, 20 * 86400.0, 100_000))
    assert rate.lowest()[0] == 1500.0


def test_requests_on_their_way_are_taken_from_what_remains(rate: ToldRate) -> None:
    tell(rate, ToldLimit("a", 10, 10.0, 20))
    numbers = [rate.sent() for _ in range(5)]
    tell(rate, ToldLimit("a", 9, 10.0, 20), number=numbers[0])
    assert rate.lowest()[0] == 0.5  # four may not be counted yet
    tell(rate, ToldLimit("a", 5, 10.0, 20), number=numbers[4])
    tell(rate, ToldLimit("a", 7, 10.0, 20), number=numbers[2])  # overtaken by a newer one
    assert rate.lowest()[0] == 0.2


def test_where_nothing_remains_nobody_asks_until_the_reset(
    rate: ToldRate, clock: FakeClock
) -> None:
    tell(rate, ToldLimit("a", 0, 30.0, 100))
    assert rate.wait_s() == pytest.approx(30.1)
    clock.advance(30.2)
    assert rate.wait_s() == 0.0
    assert rate.lowest()[0] == pytest.approx(100 / 30)  # it began anew: another 100


def test_a_wait_beyond_the_longest_is_asked_about_at_the_lowest_rate(rate: ToldRate) -> None:
    tell(rate, ToldLimit("month", 0, 86400.0))
    assert (rate.wait_s(), rate.lowest()) == (0.0, (LOWEST_RATE, "month"))


@pytest.mark.parametrize("reset_s", [60.0, 86400.0])
def test_a_limit_that_lets_requests_through_with_nothing_left_is_none(
    rate: ToldRate, clock: FakeClock, reset_s: float
) -> None:
    for _ in range(3):
        tell(rate, ToldLimit("liar", 0, reset_s, 100))
        clock.advance(61)
    assert (rate.wait_s(), rate.lowest()) == (0.0, (math.inf, ""))
    tell(rate, ToldLimit("liar", 6, 60.0, 100))  # believed again
    assert rate.lowest()[0] == 0.1


def test_a_limit_of_one_is_believed(rate: ToldRate, clock: FakeClock) -> None:
    for _ in range(9):
        tell(rate, ToldLimit("one", 0, 10.0, 1))
        clock.advance(10.1)
    tell(rate, ToldLimit("one", 0, 10.0, 1))
    assert rate.wait_s() > 10


def test_without_a_reset_the_limit_may_last_as_long_again(rate: ToldRate, clock: FakeClock) -> None:
    tell(rate, ToldLimit("a", 59, None, 60))
    assert rate.lowest()[0] == 59.0
    clock.advance(10)
    tell(rate, ToldLimit("a", 20, None, 60), number=1)
    assert rate.lowest()[0] == 2.0
    clock.advance(1)
    tell(rate, ToldLimit("a", 59, None, 60), number=2)  # it began anew
    assert rate.lowest()[0] == 59.0


def test_of_names_that_are_new_each_time_the_oldest_are_forgotten(rate: ToldRate) -> None:
    tell(rate, ToldLimit("a", 1, 800.0))
    for n in range(100):
        tell(rate, ToldLimit(f"request {n}", 1000, 800.0))
    assert rate.lowest()[1] != "a"
    tell(rate, ToldLimit("a", 1, 800.0))
    assert rate.lowest()[1] == "a"


def test_limits_that_are_told_no_more_are_forgotten(rate: ToldRate, clock: FakeClock) -> None:
    tell(rate, ToldLimit("a", 5, 10.0, 20))
    clock.advance(10.2)
    assert rate.lowest()[0] == 2.0
    for number in range(3):
        rate.told(number, (), let_through=True)
    clock.advance(10.2)
    assert rate.lowest() == (math.inf, "")
    assert rate.sent() == 0


# ── a fleet against a server ─────────────────────────────────────────────────


def read(
    limit: WindowLimit, pages: int, *, others: float = 0.0, configured: float = RATE
) -> tuple[float, int, list[float]]:
    """Read pages by 16 threads; return the seconds, how many were refused, the arrivals.

    Other clients send `others` requests a second.
    """
    clock = FakeClock(0.0)
    gate = open_gate(clock, configured, failures=10**9)
    chance, sent, came, refused = random.Random(1), list[float](), 0, 0
    epoch_s = 1.7e9
    events: list[tuple[float, int, str, object]] = [(0.0, 0, "ask", None)]
    if others:
        events.append((0.0, 99, "other", None))
    heapq.heapify(events)
    while came < pages:
        clock.now, thread, what, carried = heapq.heappop(events)
        if what == "other":
            limit.admit(clock.now)
            heapq.heappush(events, (clock.now + 1 / others, 99, "other", None))
        elif what == "arrive":
            wait_s = limit.admit(clock.now)
            told = limit.headers(clock.now, epoch_s + clock.now)
            headers = {name.decode(): value.decode() for name, value in told}
            back_s = clock.now + chance.uniform(0.02, 0.2)
            heapq.heappush(events, (back_s, thread, "answer", (carried, wait_s, headers)))
        elif what == "answer":
            assert isinstance(carried, tuple)
            admission, wait_s, headers = carried
            gate.told(admission.ticket, read_limits(headers, epoch_s + clock.now), not wait_s)
            if wait_s:
                refused += 1
                gate.silence(wait_s)
                gate.refused(admission.number, True)
            else:
                came += 1
                if admission.failures:
                    gate.report(True, admission.number)
            if came == 1 and not refused:  # the first request of a session goes alone
                for other in range(1, 16):
                    heapq.heappush(events, (clock.now, other, "ask", None))
            heapq.heappush(events, (clock.now, thread, "ask", None))
        else:
            admission = gate.admit()
            at_s = clock.now + admission.wait_s
            if admission.granted:
                sent.append(at_s)
                at_s += chance.uniform(0.02, 0.2)
            what = "arrive" if admission.granted else "ask"
            heapq.heappush(events, (at_s, thread, what, admission))
    return clock.now, refused, sent


@pytest.mark.parametrize("kind", RATE_HEADERS)
@pytest.mark.parametrize(("count", "window_s"), [(20, 2.0), (60, 60.0), (5, 1.0), (300, 60.0)])
def test_a_told_limit_is_used_and_never_exceeded(
    kind: RateHeaders, count: int, window_s: float
) -> None:
    pages = 6 * count
    seconds, refused, sent = read(WindowLimit(count, window_s, kind), pages)
    assert refused <= (3 if kind == "laravel" else 0)  # which does not tell when a window ends
    assert pages / seconds > (0.4 if window_s < 10 else 0.75) * count / window_s
    assert excess(sent, RATE, 40) <= EPSILON


@given(
    st.floats(0.1, 200),
    st.integers(1, 100),
    st.lists(
        st.one_of(
            st.tuples(st.just("advance"), st.floats(0, 20)),
            st.tuples(st.just("ask"), st.integers(1, 30)),
            st.tuples(
                st.just("told"),
                st.builds(
                    ToldLimit,
                    st.sampled_from("ab"),
                    st.floats(0, 1e6),
                    st.none() | st.floats(0.001, 1e6),
                    st.none() | st.floats(1, 1e6),
                ),
            ),
        ),
        max_size=60,
    ),
)
def test_whatever_is_told_no_window_holds_more_than_the_bucket_promises(
    configured: float, burst: int, steps: list[tuple[str, Any]]
) -> None:
    clock = FakeClock()
    bucket = TokenBucket(configured, burst, clock)
    pace, told = AdaptiveRate(configured, clock), ToldRate(900.0, clock)
    gate = Gate(bucket, CircuitBreaker(10**9, 60.0, clock), pace, told)
    sent: list[float] = []
    tickets: list[int] = []
    for step, what in steps:
        if step == "advance":
            clock.advance(what)
        elif step == "ask":
            admissions = [each for _ in range(what) if (each := gate.admit()).granted]
            sent += [clock.now + each.wait_s for each in admissions]
            tickets += [each.ticket for each in admissions]
        else:
            reached = gate.told(tickets.pop() if tickets else 0, [what], True)
            assert reached is None or 0 < reached[0] <= 900
        assert min(configured, LOWEST_RATE) <= bucket.rate <= configured
    assert excess(sent, configured, bucket.capacity) <= EPSILON


@pytest.mark.parametrize("configured", [0.0, 3.0])
def test_the_configured_rate_is_the_highest_and_0_is_none(configured: float) -> None:
    seconds, refused, _ = read(WindowLimit(1000, 10.0, "draft"), 300, configured=configured)
    assert refused == 0
    assert (seconds > 80) == bool(configured)


def test_other_clients_of_the_same_key_are_left_room() -> None:
    seconds, refused, _ = read(WindowLimit(100, 10.0, "draft"), 400, others=5.0)
    assert refused <= 6  # what others took between the answer and our next request
    assert 400 / seconds > 3.0
