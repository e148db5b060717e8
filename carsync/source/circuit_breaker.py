"""The circuit breaker: while an API fails, next to nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

PROBE_PATIENCE_S = 120.0
"""After this long a probe that did not report counts as lost, and the next caller probes."""
_PROBE_POLL_S = 1.0

BreakerState = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """After `failures` failures in a row nothing is sent for `open_s` seconds; then one probes.

    A probe that succeeds closes the breaker, one that fails opens it again, and
    one that never reports is given up after `PROBE_PATIENCE_S`. While the
    breaker is open, late reports of earlier requests change nothing. Pattern:
    M. Nygard, "Release It!", section "Circuit Breaker". Not thread-safe; `Gate` is.
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
        """Return 0 where a request may be sent now, else the seconds until asking again."""
        if self.state == "closed":
            return 0.0
        left = max(0.0, self._deadline - self._clock())
        return min(left, _PROBE_POLL_S) if self.state == "half_open" else left

    def enter(self) -> None:
        """Note that a request is sent, `wait_s` being 0; unless closed, it is the probe."""
        if self.state != "closed":
            self.state = "half_open"
            self._deadline = self._clock() + PROBE_PATIENCE_S

    def report(self, ok: bool) -> int:
        """Note how a request ended; return `openings` if that opened the breaker, else 0."""
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
