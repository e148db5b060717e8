"""The gate before an API as an engine opens it, and the bound on what it lets through."""

from __future__ import annotations

from collections.abc import Callable

from carsync.source.adaptive_rate import AdaptiveRate
from carsync.source.allotment import Allotment
from carsync.source.circuit_breaker import CircuitBreaker
from carsync.source.rate_limit import Gate, TokenBucket
from carsync.source.told_rate import ToldRate

EPSILON = 1e-5
"""Tokens: what rounding may add after months of uptime."""


def open_gate(
    clock: Callable[[], float],
    rate: float = 20.0,
    burst: int = 40,
    failures: int = 10,
    lowered_to: float | None = None,
    allotment: Allotment | None = None,
) -> Gate:
    """Open a gate; `lowered_to` is the rate that the one before it had come to."""
    return Gate(
        TokenBucket(rate, burst, clock),
        CircuitBreaker(failures, 60.0, clock),
        AdaptiveRate(rate, clock, lowered_to=lowered_to),
        ToldRate(900.0, clock),
        allotment,
    )


def excess(times: list[float], rate: float, burst: float) -> float:
    """Return by how many requests the worst window exceeds `burst + rate × t` (≤ 0: none)."""
    worst, lowest = -burst, float("inf")
    for count, time in enumerate(sorted(times)):
        lowest = min(lowest, count - rate * time)  # the best window to end at `time` starts there
        worst = max(worst, count + 1 - rate * time - lowest - burst)
    return worst
