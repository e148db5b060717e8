"""Politeness: a token bucket, a circuit breaker, the gate that joins them, and Retry-After.

One `Gate` lives in the manager process and is asked before every request of
every fetcher, so its promise covers all processes: the API never sees more
than `burst + rate × t` requests in any window of `t` seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from carsync.source.circuit_breaker import CircuitBreaker

HORIZON_S = 0.1
"""How far ahead of its sending time a request is granted: no request that was granted before a
`silence` is sent later than this after it."""

ARRIVAL_JITTER_S = 0.1
"""By how much the time from grant to arrival at the API may vary without breaking the promise."""


_EARLY_S = 0.001


class TokenBucket:
    """At most `burst + rate × t` requests in any window of `t` seconds; `rate` 0 means no limit.

    Callers reserve a token, which may lie in the future, and wait for it: first
    come, first served, and no polling. Requests reach the API some time after
    their grant, and not all equally late, which would squeeze them together
    there; so of `burst` only `capacity` is handed out, and the rest covers an
    arrival jitter of `ARRIVAL_JITTER_S` (up to a quarter of `burst`; a burst
    below 4 has no room for such a reserve).

    Starts with the tokens of `idle_s` seconds: a bucket that takes over from another,
    which may just have handed out all it had, grants no second burst. Not
    thread-safe; `Gate` is.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        clock: Callable[[], float],
        *,
        idle_s: float = math.inf,
    ) -> None:
        self.rate = rate
        self.capacity = max(1, burst - min(math.ceil(rate * ARRIVAL_JITTER_S), burst // 4))
        self._clock = clock
        self._tokens = min(self.capacity, rate * idle_s) if rate else float(self.capacity)
        self._refilled_at = clock()
        self._silent_until = self._refilled_at
        self._next_turn = self._refilled_at

    def wait_s(self) -> float:
        """Return what `reserve` would return now, without reserving."""
        now = self._refill()
        silence = max(0.0, self._silent_until - now)
        if not self.rate or self._tokens >= 1:
            return silence
        return silence + (1 - self._tokens) / self.rate

    def reserve(self) -> float:
        """Take a token and return the seconds to wait before sending (0: send now)."""
        wait = self.wait_s()
        self._tokens -= 1
        return wait

    def turn_s(self, ahead_s: float) -> float:
        """Return the seconds until `wait_s` falls to `ahead_s`, for a caller that will ask again.

        Each call gets a turn one token later than the last one, so that the
        callers sent away come back one by one, in their order.
        """
        wait = max(0.0, self.wait_s() - ahead_s)
        turn = max(self._refilled_at + wait, self._next_turn)
        self._next_turn = turn + (1 / self.rate if self.rate else 0.0)
        return turn - self._refilled_at

    def silence(self, seconds: float) -> None:
        """Grant nothing before `seconds` from now; a longer silence under way stays as it is.

        The tokens in hand are given up and none accrue meanwhile: the API has
        just said that they are not there. So the client comes back at `rate`
        and not with a burst. The caller bounds `seconds`.
        """
        now = self._refill()
        until = now + seconds
        if until > max(now, self._silent_until):
            self._silent_until = until
            self._tokens = min(self._tokens, 0.0)

    def _refill(self) -> float:
        now = self._clock()
        elapsed = now - max(self._refilled_at, self._silent_until)
        if elapsed > 0:
            self._tokens = min(self._tokens + elapsed * self.rate, float(self.capacity))
        self._refilled_at = now
        return now


@dataclass(frozen=True, slots=True)
class Admission:
    """What `Gate.admit` says.

    Granted: wait `wait_s` seconds, then send. Not granted: ask again after
    `wait_s` seconds. `failures` counts the failures since the last success; at
    0 the success of this request need not be reported (a probe never sees 0).
    """

    wait_s: float
    granted: bool
    failures: int


class Gate:
    """Bucket and breaker behind one lock: one question per attempt.

    A request is granted at most `HORIZON_S` before its sending time, so that a
    `silence` reaches also those that wait for a distant token: they are sent
    away until shortly before it, one after the other, and ask again.
    """

    def __init__(self, bucket: TokenBucket, breaker: CircuitBreaker) -> None:
        self._bucket = bucket
        self._breaker = breaker
        self._lock = Lock()

    def admit(self) -> Admission:
        """Say whether, and after how many seconds, one request may be sent."""
        with self._lock:
            failures = self._breaker.failures
            wait = self._breaker.wait_s()
            if wait > 0:
                return Admission(wait, False, failures)
            if self._bucket.wait_s() > HORIZON_S + _EARLY_S:  # one may be back a little early
                return Admission(self._bucket.turn_s(HORIZON_S), False, failures)
            self._breaker.enter()
            return Admission(self._bucket.reserve(), True, failures)

    def report(self, ok: bool) -> int:
        """Note how a request ended; return how often in a row the breaker opened, if it just did.

        0 means that it did not open now. An answer such as 404 or 429 is a
        success here: the API is up.
        """
        with self._lock:
            return self._breaker.report(ok)

    def silence(self, seconds: float) -> None:
        """Grant nobody anything before `seconds` from now (Retry-After)."""
        with self._lock:
            self._bucket.silence(seconds)
