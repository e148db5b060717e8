"""A monotonic clock that moves when told."""

from __future__ import annotations


class FakeClock:
    """Gives `now`; starts late, as the clock of a machine that has been up for months."""

    def __init__(self, now: float = 10_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.now += seconds
