"""The rate that the API stands: it falls when the API says slow down, and recovers slowly. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

UNLIMITED_FALLS_FROM = 20.0
"""Without a limit the rate falls from here: the default of `limits.requests_per_second`."""

LOWEST_RATE = 1 / 60
"""The rate does not fall below this, in requests per second."""

_HALF, _QUARTER_LESS = 0.5, 0.75
_STEADY = 25
"""A rate that held for so many requests was nearly right: it loses a quarter, not half."""

_GROWTH_PER_S, _GROWTH_PER_REQUEST = 0.005, 0.01
"""The rate recovers by the smaller of the two: doubled after 140 s, 70 requests at least."""

_DOUBTS, _FORGET = 3.0, 1 / 16
"""So many unclear refusals lower the rate; one is forgotten with every 16 requests."""


class Refusal(Struct, frozen=True):
    """What a refusal meant.

    `is_slower`: the rate was lowered for it, or for another of the same burst. `again`: nothing
    was let through since the rate was lowered. `rate` is the rate now.
    """

    is_slower: bool
    again: bool
    rate: float


class AdaptiveRate:
    """Multiplicative decrease at a refusal, slow growth with each request that is sent.

    A limiter lets requests through at a lower rate, so refusals are few once the rate has
    fallen below the limiter's. `rate` 0 means no limit; it never exceeds `configured`.

    One decision for a burst: requests carry the `number` of the decision that they were sent
    under, and a refusal of an earlier one changes nothing. While nothing is let through at all
    (the quota of a minute is used up), each further refusal halves the rate for as long as
    that lasts; then it returns to what it was lowered to.

    A refusal is unclear where a broken page or a failing API would answer the same (403, or
    503 without Retry-After): it counts once too many of the recent requests were refused so.

    Starts at the rate `lowered_to`, where an earlier gate had lowered it. Not thread-safe.
    """

    def __init__(
        self, configured: float, clock: Callable[[], float], lowered_to: float | None = None
    ) -> None:
        self.rate = configured if lowered_to is None else lowered_to
        self.number = 0
        """How often the rate was lowered."""
        self.refusals = 0
        """Refusals since the last request that was let through."""
        self._configured = configured
        self._clock = clock
        self._base = self.rate  # what the rate returns to
        self._sent = 0  # since the rate was lowered
        self._doubt = 0.0
        self._grown_at = clock()

    def sent(self) -> None:
        """Note that a request is sent; the rate recovers a little."""
        now = self._clock()
        elapsed_s, self._grown_at = now - self._grown_at, now
        self._sent += 1
        self._doubt = max(0.0, self._doubt - _FORGET)
        if self.refusals or self.rate == self._configured:
            return
        growth = 1 + min(_GROWTH_PER_S * elapsed_s, _GROWTH_PER_REQUEST)
        self.rate = self._base = min(self.rate * growth, self._configured or self.rate * growth)

    def let_through(self, number: int) -> None:
        """Note an answer to a request of this decision: what the rate was lowered to holds."""
        if self.refusals and number == self.number:
            self.refusals = 0
            self.rate = self._base

    def refused(self, number: int, *, is_clear: bool) -> Refusal:
        """Note that a request of this decision was refused, and lower the rate if need be."""
        if number != self.number:
            return Refusal(True, False, self.rate)
        again = self.refusals > 0
        if not again and not is_clear:
            self._doubt += 1
            if self._doubt < _DOUBTS:
                return Refusal(False, False, self.rate)
        factor = _HALF if again or self._sent < _STEADY else _QUARTER_LESS
        before = self.rate or UNLIMITED_FALLS_FROM
        self.rate = max(before * factor, min(before, LOWEST_RATE))
        if not again:
            self._base = self.rate
        self.number += 1
        self.refusals += 1
        self._sent, self._doubt = 0, 0.0
        return Refusal(not again, again, self.rate)
