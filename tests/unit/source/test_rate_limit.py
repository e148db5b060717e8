"""The limiter's promises: bursts bounded in every window, silence obeyed, nothing lost."""

from __future__ import annotations

import heapq
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.source.rate_limit import ARRIVAL_JITTER_S, HORIZON_S, Admission, TokenBucket
from tests.support.fake_clock import FakeClock
from tests.support.gates import EPSILON, excess, open_gate

RATES = st.floats(0.1, 500)
BURSTS = st.integers(1, 200)
LATE_S = 0.001  # how late the simulated threads may wake up
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.floats(0, 3)),
        st.tuples(st.just("reserve"), st.integers(1, 20)),
        st.tuples(st.just("silence"), st.floats(0, 10)),
    ),
    max_size=60,
)


class TestTokenBucket:
    def test_a_full_bucket_gives_its_capacity_at_once_and_then_one_token_per_interval(self) -> None:
        bucket = TokenBucket(10.0, 4, FakeClock())
        assert bucket.capacity == 3
        assert [bucket.reserve() for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])

    @pytest.mark.parametrize(
        ("rate", "burst", "capacity"),
        [(20, 40, 38), (5, 10, 9), (100, 40, 30), (1, 1, 1), (20, 3, 3), (0, 1, 1)],
    )
    def test_a_reserve_for_arrival_jitter_is_kept(
        self, rate: float, burst: int, capacity: int
    ) -> None:
        assert TokenBucket(rate, burst, FakeClock()).capacity == capacity

    def test_wait_tells_what_reserve_would_and_takes_nothing(self) -> None:
        clock = FakeClock()
        bucket = TokenBucket(4.0, 1, clock)
        for _ in range(5):
            clock.advance(0.1)
            assert bucket.wait_s() == bucket.wait_s() == bucket.reserve()

    def test_a_bucket_that_takes_over_starts_empty(self) -> None:
        bucket = TokenBucket(2.0, 10, FakeClock(), idle_s=0.0)
        assert bucket.reserve() == pytest.approx(0.5)

    def test_a_bucket_that_takes_over_later_holds_what_accrued_since(self) -> None:
        bucket = TokenBucket(2.0, 10, FakeClock(), idle_s=1.0)
        assert [bucket.reserve() for _ in range(3)] == pytest.approx([0, 0, 0.5])

    def test_tokens_do_not_accumulate_past_the_capacity(self) -> None:
        clock = FakeClock()
        bucket = TokenBucket(10.0, 2, clock)
        clock.advance(3600)
        assert [bucket.reserve() for _ in range(3)] == pytest.approx([0, 0, 0.1])

    def test_rate_zero_means_no_limit_but_silence_holds(self) -> None:
        clock = FakeClock()
        bucket = TokenBucket(0.0, 1, clock)
        assert [bucket.reserve() for _ in range(100)] == [0.0] * 100
        bucket.silence(5)
        assert bucket.reserve() == pytest.approx(5)
        clock.advance(5)
        assert bucket.reserve() == 0

    def test_after_a_silence_the_client_returns_at_its_rate_without_a_burst(self) -> None:
        clock = FakeClock()
        bucket = TokenBucket(10.0, 40, clock)
        bucket.silence(30)
        clock.advance(30)
        assert [bucket.reserve() for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])

    def test_a_silence_does_not_forget_tokens_already_promised(self) -> None:
        clock = FakeClock()
        bucket = TokenBucket(10.0, 1, clock)
        promised = [bucket.reserve() for _ in range(30)][-1]
        bucket.silence(0.5)
        assert bucket.reserve() > promised

    def test_silences_asked_for_together_count_once_and_the_longest_wins(self) -> None:
        clock = FakeClock()
        bucket = TokenBucket(10.0, 1, clock)
        for seconds in (5, 20, 5, 0, -3):
            bucket.silence(seconds)
        assert bucket.wait_s() == pytest.approx(20.1)
        clock.advance(19)
        bucket.silence(0.5)
        assert bucket.wait_s() == pytest.approx(1.1)

    @given(RATES, BURSTS, STEPS, st.booleans())
    def test_no_window_ever_holds_more_than_burst_plus_rate_times_t(
        self, rate: float, burst: int, steps: list[tuple[str, float]], empty: bool
    ) -> None:
        clock = FakeClock()
        bucket = TokenBucket(rate, burst, clock, idle_s=0.0 if empty else 60.0)
        sent: list[float] = []
        silent_until = 0.0
        for step, amount in steps:
            if step == "advance":
                clock.advance(amount)
            elif step == "silence":
                bucket.silence(amount)
                silent_until = max(silent_until, clock.now + amount)
            else:
                times = [clock.now + bucket.reserve() for _ in range(int(amount))]
                assert min(times) >= silent_until - 1e-6
                sent += times
        assert excess(sent, rate, bucket.capacity) <= EPSILON
        assert bucket.capacity <= burst

    @given(RATES, BURSTS, st.integers(0, 2**32), st.sampled_from([ARRIVAL_JITTER_S, 0.5]))
    def test_arrivals_keep_the_bound_although_they_are_jittered(
        self, rate: float, burst: int, seed: int, jitter_s: float
    ) -> None:
        burst = max(burst, 4 * int(rate * jitter_s + 1))  # room for the whole reserve
        jitter = random.Random(seed)
        clock = FakeClock(0.0)
        bucket = TokenBucket(rate, burst, clock, jitter_s=jitter_s)
        sent = [clock.now + bucket.reserve() for _ in range(300)]
        arrived = [time + jitter.uniform(0, jitter_s) for time in sent]
        assert excess(arrived, rate, burst) <= EPSILON

    @given(RATES, BURSTS, STEPS)
    def test_no_token_is_lost_for_ever(
        self, rate: float, burst: int, steps: list[tuple[str, float]]
    ) -> None:
        clock = FakeClock()
        bucket = TokenBucket(rate, burst, clock)
        for step, amount in steps:
            if step == "advance":
                clock.advance(amount)
            elif step == "silence":
                bucket.silence(amount)
            else:
                bucket.reserve()
        clock.advance(bucket.wait_s() + bucket.capacity / rate + 1e-6)
        assert [bucket.reserve() for _ in range(bucket.capacity)] == [0] * bucket.capacity
        assert bucket.reserve() > 0

    @given(RATES, BURSTS, st.floats(0.001, 0.5))
    def test_a_saturated_bucket_gives_its_whole_rate(
        self, rate: float, burst: int, pause_s: float
    ) -> None:
        clock = FakeClock()
        bucket = TokenBucket(rate, burst, clock)
        start = last = clock.now
        for _ in range(500):
            last = clock.now + bucket.reserve()
            clock.now = max(clock.now, last - pause_s)
        assert 0.99 * rate * (last - start) <= 500


class TestGate:
    def test_grants_up_to_the_capacity_and_a_little_ahead_and_then_sends_away(self) -> None:
        gate = open_gate(FakeClock(), rate=20.0, burst=4)
        granted = [gate.admit() for _ in range(5)]
        assert all(admission.granted for admission in granted)
        assert [admission.wait_s for admission in granted] == pytest.approx([0, 0, 0, 0.05, 0.1])
        refused = [gate.admit() for _ in range(3)]
        assert not any(admission.granted for admission in refused)
        assert [admission.wait_s for admission in refused] == pytest.approx([0.05, 0.1, 0.15])

    def test_an_open_breaker_sends_callers_away_without_spending_tokens(self) -> None:
        clock = FakeClock()
        gate = open_gate(clock, rate=1.0, burst=1, failures=1)
        assert gate.report(ok=False) == 1
        assert [gate.admit() for _ in range(3)] == [Admission(60.0, False, 1)] * 3
        clock.advance(60)
        assert gate.admit() == Admission(0.0, True, 1, 0, 1.0)
        assert not gate.admit().granted

    def test_waiting_for_a_token_does_not_spend_the_probe(self) -> None:
        clock = FakeClock()
        gate = open_gate(clock, failures=1)
        gate.report(ok=False)
        clock.advance(55)
        gate.silence(10)
        clock.advance(5)
        refused = gate.admit()
        assert not refused.granted
        clock.advance(refused.wait_s)
        assert gate.admit().granted

    def test_a_probe_is_told_of_failures_so_that_it_reports_its_success(self) -> None:
        clock = FakeClock()
        gate = open_gate(clock, failures=2)
        assert gate.admit().failures == 0
        gate.report(ok=False)
        gate.report(ok=False)
        clock.advance(60)
        probe = gate.admit()
        assert probe.granted
        assert probe.failures == 2
        assert gate.report(ok=True) == 0
        assert gate.admit().failures == 0

    def test_an_admission_crosses_processes(self) -> None:
        admission = open_gate(FakeClock()).admit()
        assert pickle.loads(pickle.dumps(admission)) == admission

    def test_threads_enter_one_at_a_time(self) -> None:
        inside, most = 0, 0

        def slow_clock() -> float:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            Event().wait(0.002)  # never set: hands the processor to the other threads
            inside -= 1
            return 0.0

        gate = open_gate(slow_clock, rate=1.0, burst=10, failures=1)
        calls = [gate.admit, lambda: gate.silence(1.0), lambda: gate.report(ok=False)] * 4
        with ThreadPoolExecutor(len(calls)) as pool:
            for outcome in [pool.submit(call) for call in calls]:
                outcome.result()
        assert most == 1

    @given(
        rate=st.sampled_from([0.5, 3.0, 20.0, 150.0]),
        burst=st.integers(1, 60),
        threads=st.sampled_from([1, 4, 16, 40]),
        silences=st.lists(st.tuples(st.floats(0, 40), st.floats(0, 15)), max_size=4),
        seed=st.integers(0, 2**32),
    )
    def test_a_silence_reaches_all_and_the_bound_holds_whatever_the_threads_do(
        self,
        rate: float,
        burst: int,
        threads: int,
        silences: list[tuple[float, float]],
        seed: int,
    ) -> None:
        silences.sort()
        sent, _ = run_fleet(rate, burst, threads, 60.0, silences, random.Random(seed))
        assert excess(sent, rate, burst) <= rate * LATE_S + EPSILON
        for start, length in silences:
            assert not [t for t in sent if start + HORIZON_S + 0.005 < t < start + length]

    @pytest.mark.parametrize(
        ("rate", "threads"), [(1, 2), (1, 16), (5, 2), (5, 64), (20, 16), (20, 64), (100, 64)]
    )
    def test_a_waiting_fleet_uses_the_whole_rate_and_starves_nobody(
        self, rate: float, threads: int
    ) -> None:
        seconds = max(100.0, 600 / rate)
        sent, by_thread = run_fleet(rate, 1, threads, seconds, [], random.Random(1), latency_s=0.1)
        assert len(sent) >= 0.99 * rate * seconds - 1
        longest = max(max(b - a for a, b in pairwise(times)) for times in by_thread if times[1:])
        assert longest <= 10 * max(threads / rate, 0.5)

    def test_a_fleet_returns_to_its_whole_rate_after_a_silence(self) -> None:
        sent, _ = run_fleet(20.0, 40, 16, 100.0, [(20.0, 10.0)], random.Random(2), latency_s=0.1)
        assert len([t for t in sent if t >= 30.0]) >= 0.99 * 20 * 70 - 2

    @pytest.mark.parametrize(("rate", "threads"), [(1, 16), (8, 8), (20, 64)])
    def test_a_fleet_returns_to_the_lower_rate_after_a_refusal_with_a_silence(
        self, rate: float, threads: int
    ) -> None:
        silence = [(20.0, 60.0)]
        sent, _ = run_fleet(rate, 1, threads, 200.0, silence, random.Random(3), is_refused=True)
        assert not [t for t in sent if 20.0 + HORIZON_S + LATE_S < t < 80.0]
        assert len([t for t in sent if t >= 80.0]) >= 0.99 * rate * 0.5 * 120 - 1


def run_fleet(
    rate: float,
    burst: int,
    threads: int,
    seconds: float,
    silences: list[tuple[float, float]],
    chance: random.Random,
    latency_s: float = 0.05,
    *,
    is_refused: bool = False,
) -> tuple[list[float], list[list[float]]]:
    """Play `threads` fetcher threads for so many seconds; return the sending times, and by thread.

    They wake up to `LATE_S` late, and answers take up to twice `latency_s`, 0.1 % of them 3 s.
    `is_refused`: a refusal lowers the rate as each silence begins.
    """
    clock = FakeClock(0.0)
    gate = open_gate(clock, rate, burst)
    sent: list[list[float]] = [[] for _ in range(threads)]
    events = [(chance.uniform(0, 0.1), number) for number in range(threads)]
    events += [(start, -index - 1) for index, (start, _) in enumerate(silences)]
    heapq.heapify(events)
    while events and events[0][0] < seconds:
        clock.now, number = heapq.heappop(events)
        if number < 0:
            gate.silence(silences[-number - 1][1])
            if is_refused:
                gate.refused(0, is_clear=True)
            continue
        admission = gate.admit()
        woken = clock.now + admission.wait_s + chance.uniform(0, LATE_S)
        if admission.granted:
            sent[number].append(woken)
            if admission.failures:
                gate.report(True, admission.number)
            woken += 3.0 if chance.random() < 0.001 else chance.uniform(0.1, 2) * latency_s
        heapq.heappush(events, (woken, number))
    return sorted(time for times in sent for time in times), sent
