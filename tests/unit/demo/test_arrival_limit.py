"""The simulator's referee: exactly `burst + rate × t` requests get in, in any window."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from carsync.demo.arrival_limit import ArrivalLimit

GAPS = st.lists(st.integers(0, 2_000), min_size=1, max_size=80)


@given(GAPS, st.sampled_from([1, 4, 8]), st.integers(1, 6))
def test_no_window_holds_more_than_the_burst_and_the_rate(
    gaps_ms: list[int], rate: int, burst: int
) -> None:
    limit = ArrivalLimit(rate, burst)
    moments = [elapsed / 1000 for elapsed in accumulate(gaps_ms)]
    admitted = [now_s for now_s in moments if limit.admit(now_s) == 0]
    for first, start_s in enumerate(admitted):
        for last, end_s in enumerate(admitted[first:], start=first):
            assert last - first + 1 <= burst + rate * (end_s - start_s) + 1e-6


@given(st.sampled_from([0.2, 1.0, 4.0]), st.integers(1, 6))
def test_the_burst_gets_in_and_retry_after_keeps_its_word(rate: float, burst: int) -> None:
    limit = ArrivalLimit(rate, burst)
    assert [limit.admit(0.0) for _ in range(burst)] == [0] * burst
    wait_s = limit.admit(0.0)
    assert wait_s >= 1
    assert limit.admit(float(wait_s)) == 0


def test_a_rate_of_zero_lets_everything_in() -> None:
    limit = ArrivalLimit(0, 1)
    assert not any(limit.admit(0.0) for _ in range(100))
