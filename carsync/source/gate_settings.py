"""What a gate is made of, as plain figures that cross a process border."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from carsync.source.adaptive_rate import AdaptiveRate
from carsync.source.allotment import Allotment, waking_clock
from carsync.source.circuit_breaker import CircuitBreaker
from carsync.source.rate_limit import ARRIVAL_JITTER_S, Gate, TokenBucket
from carsync.source.told_rate import ToldRate

if TYPE_CHECKING:  # a manager's process loads nothing of the configuration
    from carsync.config.sections import Limits


class GateSettings(Struct, frozen=True):
    """The figures of `limits` that a gate needs."""

    rate: float
    burst: int
    failures: int
    open_s: float
    max_wait_s: float
    has_budget: bool
    jitter_s: float = ARRIVAL_JITTER_S

    @classmethod
    def of(cls, limits: Limits, jitter_s: float = ARRIVAL_JITTER_S) -> GateSettings:
        """Return those of a configuration; requests may differ by `jitter_s` in their ways."""
        breaker = limits.circuit_breaker
        return cls(
            limits.requests_per_second,
            limits.effective_burst,
            breaker.failures,
            breaker.open_s,
            limits.max_wait_s,
            limits.budget.requests is not None,
            jitter_s,
        )

    @property
    def late_s(self) -> float:
        """How long an admission may take to come: what the burst has in reserve covers it.

        >>> GateSettings(20.0, 40, 10, 60.0, 900.0, False, jitter_s=0.5).late_s
        0.4
        """
        reserve_s = (self.burst // 4) / self.rate if self.rate else math.inf
        return max(ARRIVAL_JITTER_S, min(self.jitter_s, reserve_s) - ARRIVAL_JITTER_S)

    def build(self, *, idle_s: float = math.inf, lowered_to: float | None = None) -> Gate:
        """Build a gate on the clocks of this process.

        `idle_s`: for how long nobody has asked the API; tokens accrued for that long.
        `lowered_to` is the rate that an earlier gate had fallen to.
        """
        clock = time.monotonic
        return Gate(
            TokenBucket(self.rate, self.burst, clock, idle_s=idle_s, jitter_s=self.jitter_s),
            CircuitBreaker(self.failures, self.open_s, clock),
            AdaptiveRate(self.rate, clock, lowered_to),
            ToldRate(self.max_wait_s, clock),
            Allotment(waking_clock) if self.has_budget else None,
        )
