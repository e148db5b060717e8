"""The circuit breaker: an API that keeps failing is sent next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

PROBE_PATIENCE_S = 120.0
"""A probe that did not report for this long counts as lost; the next caller probes."""
_PROBE_POLL_S = 1.0

BreakerState = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """Stops requests for `open_s` seconds after `failures` failures in a row; then one probes.

    A probe that succeeds closes the breaker, a probe that fails opens the breaker again,
    and a probe that never reports counts as lost after `PROBE_PATIENCE_S`. Late reports of
    earlier requests do not change an open breaker. Pattern: M. Nygard, "Release It!",
    section "Circuit Breaker". Not thread-safe; `Gate` is.
    """

    def __init__(self, failures: int, open_s: float, clock: Callable[[], float]) -> None:
        self.failures = 0
        """Failures since the last success."""
        self.openings = 0
        """Openings since the last success."""
        self.state: BreakerState = "closed"
        self._threshold = failures
        self._open_s = open_s
        self._clock = clock
        self._deadline = 0.0  # open: when a probe may go; half-open: when the probe counts as lost

    def wait_s(self) -> float:
        """Return 0 if a request may be sent now, else the seconds until asking again."""
        if self.state == "closed":
            return 0.0
        left = max(0.0, self._deadline - self._clock())
        return min(left, _PROBE_POLL_S) if self.state == "half_open" else left

    def enter(self) -> None:
        """Note that a request is sent, after `wait_s` gave 0; not closed, the request probes."""
        if self.state != "closed":
            self.state = "half_open"
            self._deadline = self._clock() + PROBE_PATIENCE_S

    def report(self, ok: bool) -> int:
        """Note the end of a request; return `openings` if that opened the breaker, else 0."""
        if self.state == "open":
            return 0
        if ok:
            self.state = "closed"
            self.failures = self.openings = 0
            return 0
        self.failures += 1
        if self.failures < self._threshold:
            return 0
        self.state = "open"
        self.openings += 1
        self._deadline = self._clock() + self._open_s
        return self.openings
