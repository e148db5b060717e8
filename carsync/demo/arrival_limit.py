"""The simulated API's own rate limit."""

from __future__ import annotations

import math


class ArrivalLimit:
    """The API's own token bucket: lets at most `burst + rate × t` requests in.

    Shares no code with `carsync.source.rate_limit` on purpose, whose promise it checks.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._last_s = -math.inf

    def admit(self, now_s: float) -> int:
        """Return 0 to let a request in at `now_s`, else the whole seconds of Retry-After."""
        if self._rate == 0:
            return 0
        gained = (now_s - self._last_s) * self._rate
        self._tokens = min(float(self._burst), self._tokens + gained)
        self._last_s = now_s
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        return math.ceil((1 - self._tokens) / self._rate)
