"""Answer times: percentiles from counts, of the whole run and recent. Constant in size."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate


class LatencyHistogram:
    """Percentiles within 1 % from counts in logarithmic buckets, 0.1 ms to 10,000 s.

    The buckets of DDSketch (Masson, Rim and Lee, VLDB 2019) with a relative
    accuracy of 1 %; values outside the range count in the first or last bucket.
    """

    _ACCURACY = 0.01
    _LOWEST_S, _HIGHEST_S = 1e-4, 1e4
    _GROWTH = (1 + _ACCURACY) / (1 - _ACCURACY)
    _LOG_GROWTH = math.log(_GROWTH)
    _BUCKETS = math.ceil(math.log(_HIGHEST_S / _LOWEST_S) / _LOG_GROWTH) + 1

    def __init__(self) -> None:
        self._counts = [0] * self._BUCKETS
        self._count = 0
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one value."""
        self._count += 1
        self._sum_s += seconds
        ratio = max(seconds, self._LOWEST_S) / self._LOWEST_S
        bucket = math.ceil(math.log(ratio) / self._LOG_GROWTH)
        self._counts[min(bucket, self._BUCKETS - 1)] += 1

    def mean(self) -> float | None:
        """Return the exact mean in seconds; None without values."""
        return self._sum_s / self._count if self._count else None

    def percentile(self, percent: float) -> float | None:
        """Return the value that `percent` of all values do not exceed (nearest rank)."""
        rank = max(1, math.ceil(self._count * percent / 100))
        bucket = bisect_left(list(accumulate(self._counts)), rank)
        if bucket == self._BUCKETS:
            return None
        upper = self._LOWEST_S * self._GROWTH**bucket
        return upper * 2 / (1 + self._GROWTH)

    def joined(self, other: LatencyHistogram) -> LatencyHistogram:
        """Return a histogram of the values of both."""
        both = LatencyHistogram()
        both._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
        both._count = self._count + other._count
        both._sum_s = self._sum_s + other._sum_s
        return both


class RecentLatency:
    """The latencies of the last one to two windows of `width_s` seconds."""

    def __init__(self, width_s: float) -> None:
        self._width_s = width_s
        self._since_s = 0.0
        self._before, self._now = LatencyHistogram(), LatencyHistogram()

    def add(self, now_s: float, seconds: float) -> None:
        """Count one value."""
        self._turn(now_s)
        self._now.add(seconds)

    def histogram(self, now_s: float) -> LatencyHistogram:
        """Return the histogram of the last one to two windows."""
        self._turn(now_s)
        return self._before.joined(self._now)

    def _turn(self, now_s: float) -> None:
        age_s = now_s - self._since_s
        if age_s >= self._width_s:
            self._before = self._now if age_s < 2 * self._width_s else LatencyHistogram()
            self._now, self._since_s = LatencyHistogram(), now_s
