"""The rate that the API stands: lowered once for a burst, kept near the limiter's, given back."""

from __future__ import annotations

import heapq
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.source.adaptive_rate import LOWEST_RATE, UNLIMITED_FALLS_FROM, AdaptiveRate
from carsync.source.circuit_breaker import CircuitBreaker
from carsync.source.rate_limit import Gate, TokenBucket
from carsync.source.told_rate import ToldRate
from tests.support.fake_clock import FakeClock
from tests.support.gates import EPSILON, excess, open_gate
from tests.support.limiters import Limiter, leaky, window

RATE = 20.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def rate(clock: FakeClock) -> AdaptiveRate:
    return AdaptiveRate(RATE, clock)


def send(rate: AdaptiveRate, clock: FakeClock, requests: int) -> None:
    for _ in range(requests):
        clock.advance(1 / rate.rate)
        rate.sent()


def test_a_burst_of_refusals_is_one_decision(rate: AdaptiveRate) -> None:
    under = rate.number
    refusals = [rate.refused(under, is_clear=True) for _ in range(16)]
    assert {refusal.rate for refusal in refusals} == {RATE / 2}
    assert all(refusal.is_slower and not refusal.again for refusal in refusals)


def test_a_rate_that_held_for_long_loses_less(rate: AdaptiveRate, clock: FakeClock) -> None:
    send(rate, clock, 100)
    assert rate.refused(rate.number, is_clear=True).rate == RATE * 0.75


def test_while_nothing_is_let_through_the_rate_halves_and_then_returns(rate: AdaptiveRate) -> None:
    seen = [rate.refused(rate.number, is_clear=True) for _ in range(20)]
    assert [refusal.again for refusal in seen] == [False] + [True] * 19
    assert [refusal.rate for refusal in seen[:4]] == [10, 5, 2.5, 1.25]
    assert seen[-1].rate == LOWEST_RATE
    rate.let_through(rate.number - 1)
    assert rate.rate == LOWEST_RATE, "that answer is of a request of before"
    rate.let_through(rate.number)
    assert rate.rate == RATE / 2


def test_an_unclear_refusal_counts_once_there_are_too_many(rate: AdaptiveRate) -> None:
    seen = [rate.refused(rate.number, is_clear=False) for _ in range(4)]
    assert [refusal.is_slower for refusal in seen] == [False, False, True, False]
    assert [refusal.again for refusal in seen] == [False, False, False, True]


def test_the_rate_recovers_slowly_and_up_to_the_configured_one(
    rate: AdaptiveRate, clock: FakeClock
) -> None:
    rate.refused(rate.number, is_clear=True)
    rate.let_through(rate.number)
    since = clock.now
    while rate.rate < RATE:
        send(rate, clock, 1)
    assert 120 < clock.now - since < 240
    send(rate, clock, 100)
    assert rate.rate == RATE


def test_a_low_rate_recovers_by_the_request_and_idle_time_raises_nothing(
    rate: AdaptiveRate, clock: FakeClock
) -> None:
    for _ in range(9):
        rate.refused(rate.number, is_clear=True)
        rate.let_through(rate.number)
    low = rate.rate
    clock.advance(86_400)
    send(rate, clock, 50)
    assert rate.rate < 2 * low


def test_without_a_limit_the_rate_falls_from_the_usual_one(clock: FakeClock) -> None:
    rate = AdaptiveRate(0.0, clock)
    rate.refused(rate.number, is_clear=True)
    assert rate.rate == UNLIMITED_FALLS_FROM / 2
    rate.let_through(rate.number)
    send(rate, clock, 10_000)
    assert rate.rate > UNLIMITED_FALLS_FROM


def test_a_gate_that_takes_over_goes_on_at_the_rate_of_the_one_before(clock: FakeClock) -> None:
    gate = open_gate(clock, RATE, lowered_to=2.0)
    sent = [clock.now + gate.admit().wait_s]
    for _ in range(9):
        while not (admission := gate.admit()).granted:
            clock.advance(admission.wait_s)
        sent.append(clock.now + admission.wait_s)
    assert excess(sent, 2.05, 2) <= 0


# ── a fleet against a limiter ────────────────────────────────────────────────


def read(
    limiter: Limiter, pages: int, *, is_clear: bool, burst: int = 40, latency_s: float = 0.2
) -> tuple[float, Counter[bool], list[float]]:
    """Read pages by 16 threads; return the seconds, how many were (not) refused, the arrivals."""
    clock = FakeClock(0.0)
    gate = open_gate(clock, RATE, burst, failures=10**9)
    chance, sent, came = random.Random(1), list[float](), Counter[bool]()
    events = [(chance.random() / 10, n, -1) for n in range(16)]
    while came[True] < pages:
        clock.now, thread, number = heapq.heappop(events)
        if number >= 0 and limiter(clock.now):
            came[True] += 1
            gate.report(True, number)
        elif number >= 0:
            came[False] += 1
            gate.refused(number, is_clear)
        admission = gate.admit()
        at_s = clock.now + admission.wait_s
        if admission.granted:
            sent.append(at_s)
            at_s += latency_s * chance.uniform(0.5, 1.5)
        heapq.heappush(events, (at_s, thread, admission.number if admission.granted else -1))
    return clock.now, came, sent


@pytest.mark.parametrize("is_clear", [True, False])
@pytest.mark.parametrize("allowed", [1.0, 5.0, 15.0])
def test_a_feed_comes_at_about_the_speed_of_its_limiter(allowed: float, is_clear: bool) -> None:
    pages = int(600 * allowed)
    seconds, came, sent = read(leaky(allowed, 5), pages, is_clear=is_clear)
    assert pages / seconds > 0.7 * allowed
    assert came[False] < 0.1 * pages + 30
    assert excess(sent, RATE, 40) <= EPSILON


@pytest.mark.parametrize("is_clear", [True, False])
def test_a_limit_by_the_minute_is_used_and_refusals_stay_few(is_clear: bool) -> None:
    seconds, came, _ = read(window(60, 60.0), 900, is_clear=is_clear)
    assert 900 / seconds > 0.6
    assert came[False] < 180


def test_a_fiftieth_of_unclear_failures_hardly_slows_a_feed() -> None:
    chance = random.Random(2)
    seconds, _, _ = read(lambda now_s: chance.random() > 0.02, 5000, is_clear=False)
    assert 5000 / seconds > 0.8 * RATE


@given(
    st.floats(0.1, 200),
    st.integers(1, 100),
    st.lists(
        st.one_of(
            st.tuples(st.just("advance"), st.floats(0, 20)),
            st.tuples(st.just("ask"), st.integers(1, 30)),
            st.tuples(st.just("refused"), st.booleans()),
            st.tuples(st.just("let through"), st.none()),
            st.tuples(st.just("silence"), st.floats(0, 10)),
        ),
        max_size=60,
    ),
)
def test_whatever_is_refused_no_window_holds_more_than_the_bucket_promises(
    configured: float, burst: int, steps: list[tuple[str, float]]
) -> None:
    clock = FakeClock()
    bucket, rate = TokenBucket(configured, burst, clock), AdaptiveRate(configured, clock)
    told = ToldRate(900.0, clock)
    gate = Gate(bucket, CircuitBreaker(10**9, 60.0, clock), rate, told)
    sent: list[float] = []
    for step, amount in steps:
        if step == "advance":
            clock.advance(amount)
        elif step == "ask":
            admissions = [gate.admit() for _ in range(int(amount))]
            sent += [clock.now + each.wait_s for each in admissions if each.granted]
        elif step == "refused":
            gate.refused(rate.number, bool(amount))
        elif step == "silence":
            gate.silence(amount)
        else:
            gate.report(True, rate.number)
        assert bucket.rate == rate.rate <= configured
    assert excess(sent, configured, bucket.capacity) <= EPSILON
