"""Politeness: a token bucket, a circuit breaker, the gate that joins them, and Retry-After.

One `Gate` lives in the manager process and is asked before every request of
every fetcher, so its promise covers all processes: the API never sees more
than `burst + rate × t` requests in any window of `t` seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Literal

MAX_RETRY_AFTER_S = 300.0
"""The longest Retry-After that is obeyed; a longer one is asked again after that time."""

HORIZON_S = 0.1
"""How far ahead of its sending time a request is granted: no request that was granted before a
`silence` is sent later than this after it."""

ARRIVAL_JITTER_S = 0.1
"""By how much the time from grant to arrival at the API may vary without breaking the promise."""

PROBE_PATIENCE_S = 120.0
"""After this long a probe that did not report counts as lost, and the next caller probes."""

_PROBE_POLL_S = 1.0
_EARLY_S = 0.001
_DELAY_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")

BreakerState = Literal["closed", "open", "half_open"]


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


def parse_retry_after(
    value: str | None, now_epoch_s: float, sent: str | None = None
) -> float | None:
    """Return the seconds that a Retry-After header asks for, 0 to `MAX_RETRY_AFTER_S`.

    `sent` is the answer's Date header: the present by the clock that a date in
    Retry-After was made with. Without it `now_epoch_s` is the present, in seconds
    since 1970-01-01 00:00 UTC by our own clock, which may have been set wrong.
    Both forms of RFC 9110, section 10.2.3, are read, and fractions of a second,
    which some servers send. None where the header is missing or unreadable.

    >>> parse_retry_after("120", 0.0)
    120.0
    >>> parse_retry_after("Thu, 01 Jan 1970 00:00:30 GMT", 10.0)
    20.0
    >>> parse_retry_after("Thu, 01 Jan 1970 00:00:30 GMT", 9e9, "Thu, 01 Jan 1970 00:00:00 GMT")
    30.0
    >>> parse_retry_after("soon", 0.0) is None
    True
    """
    if value is None:
        return None
    text = value.strip(" \t")
    if _DELAY_SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_S)
    until_epoch_s = parse_date(text)
    if until_epoch_s is None:
        return None
    sent_epoch_s = parse_date(sent or "")
    now_epoch_s = now_epoch_s if sent_epoch_s is None else sent_epoch_s
    return min(max(until_epoch_s - now_epoch_s, 0.0), MAX_RETRY_AFTER_S)


def parse_date(text: str) -> float | None:
    """Return an HTTP date (RFC 9110, section 5.6.7) as seconds since 1970; None: unreadable."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:  # asctime dates carry no zone and mean UTC
        date = date.replace(tzinfo=UTC)
    return date.timestamp()
