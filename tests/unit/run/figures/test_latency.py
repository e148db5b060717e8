"""Percentiles against exact computations, of all values and of recent ones."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.run.figures.latency import LatencyHistogram, RecentLatency


@given(st.lists(st.floats(0.0005, 5000), min_size=1, max_size=300))
def test_percentiles_are_within_one_percent_of_the_exact_ones(values: list[float]) -> None:
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    ordered = sorted(values)
    for percent in (50, 95, 99, 100):
        exact = ordered[max(0, math.ceil(len(values) * percent / 100) - 1)]
        assert histogram.percentile(percent) == pytest.approx(exact, rel=0.0101)
    assert histogram.mean() == pytest.approx(statistics.fmean(values))


@given(st.floats(0, 1e300))
def test_any_value_fits(value: float) -> None:
    histogram = LatencyHistogram()
    histogram.add(value)
    assert histogram.percentile(50) is not None


def test_without_values_nothing_is_said() -> None:
    assert LatencyHistogram().mean() is None
    assert LatencyHistogram().percentile(99) is None


@given(st.lists(st.floats(0.001, 100), min_size=1), st.lists(st.floats(0.001, 100), min_size=1))
def test_a_joined_histogram_is_that_of_all_values(one: list[float], two: list[float]) -> None:
    first, second, both = LatencyHistogram(), LatencyHistogram(), LatencyHistogram()
    for histogram, values in ((first, one), (second, two), (both, one + two)):
        for value in values:
            histogram.add(value)
    joined = first.joined(second)
    assert joined.mean() == pytest.approx(both.mean())
    for percent in (1, 50, 99):
        assert joined.percentile(percent) == both.percentile(percent)


@pytest.mark.parametrize(
    ("now_s", "expected"),
    [(29.9, [1.0, 2.0]), (30.0, [1.0, 2.0]), (59.9, [1.0, 2.0]), (60.0, []), (500.0, [])],
)
def test_a_value_counts_for_one_to_two_windows(now_s: float, expected: list[float]) -> None:
    recent = RecentLatency(30.0)
    recent.add(0.5, 1.0)
    recent.add(29.0, 2.0)
    found = recent.histogram(now_s)
    mean = sum(expected) / len(expected) if expected else None
    assert found.mean() == mean


def test_what_comes_after_the_turn_is_joined_with_the_window_before() -> None:
    recent = RecentLatency(30.0)
    recent.add(1.0, 1.0)
    recent.add(31.0, 3.0)
    assert recent.histogram(45.0).mean() == 2.0
    assert recent.histogram(61.0).mean() == 3.0
