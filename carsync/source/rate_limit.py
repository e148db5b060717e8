"""The token bucket, and the gate that joins it with circuit breaker and adaptive rate.

One `Gate` lives in the manager process. Every fetcher asks it before every request, so
its promise covers all processes: the API never sees more than `burst + rate × t` requests
in any window of `t` seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from threading import Lock

from msgspec import Struct

from carsync.source.adaptive_rate import AdaptiveRate, Refusal
from carsync.source.allotment import Allotment, Allotted
from carsync.source.circuit_breaker import CircuitBreaker
from carsync.source.rate_headers import ToldLimit
from carsync.source.told_rate import ToldRate

HORIZON_S = 0.1
"""Grant a request at most this long before its sending time, so a `silence` acts within it."""

ARRIVAL_JITTER_S = 0.1
"""The time from grant to arrival may vary by this much without breaking the promise."""

_EARLY_S = 0.001
_SOON_S = 1.0
"""While nothing is let through, or little is left, callers ask again after this long: the rate may
return at once."""
_STEP = 0.1
"""What the API tells moves the rate by steps of this share: each lower one costs a token."""


class TokenBucket:
    """At most `burst + rate × t` requests in any window of `t` seconds; `rate` 0 means no limit.

    Callers reserve a token, which may lie in the future, and wait for that time: first
    come, first served, without polling. Requests reach the API later than they were
    granted, some later than others, so that they may arrive closer together. Of `burst`
    therefore only `capacity` is handed out; the rest covers an arrival jitter of
    `jitter_s` (up to a quarter of `burst`; a burst below 4 has no such reserve).
    `rate` may be lowered and raised again; below the first one there is no burst.

    Starts with the tokens of `idle_s` seconds, so that a bucket that takes over from
    another one grants no second burst. Not thread-safe; `Gate` is.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        clock: Callable[[], float],
        *,
        idle_s: float = math.inf,
        jitter_s: float = ARRIVAL_JITTER_S,
    ) -> None:
        self.rate = self._full_rate = rate
        self.capacity = max(1, burst - min(math.ceil(rate * jitter_s), burst // 4))
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

    def turn_s(self, ahead_s: float, most_s: float = math.inf) -> float:
        """Return the seconds until `wait_s` falls to `ahead_s`, for a caller that will ask again.

        Each call gets a turn one token after the turn of the call before, so that callers
        that were sent away come back one by one, in their order. A caller that is to ask again
        before its turn, after `most_s`, takes none: nobody else could have it.
        """
        wait = max(0.0, self.wait_s() - ahead_s)
        turn = max(self._refilled_at + wait, self._next_turn)
        if turn - self._refilled_at > most_s:
            return most_s
        self._next_turn = turn + (1 / self.rate if self.rate else 0.0)
        return turn - self._refilled_at

    def silence(self, seconds: float) -> None:
        """Grant nothing before `seconds` from now; a longer silence under way stays as it is.

        The tokens in hand are given up and no others accrue meanwhile, so that requests
        begin again at `rate` and without a burst. The caller bounds `seconds`.
        """
        now = self._refill()
        until = now + seconds
        if until > max(now, self._silent_until):
            self._silent_until = until
            self._tokens = min(self._tokens, 0.0)

    def change_rate(self, rate: float) -> None:
        """Grant at `rate` from now on; what is promised keeps its time.

        A lower rate begins without the tokens in hand. One that is twice as high at least
        begins at once, for callers that were sent away, too.
        """
        now = self._refill()
        if rate < self.rate or not self.rate:
            self._tokens = min(self._tokens, 0.0)
        if self._tokens < 0:
            self._tokens *= rate / self.rate if self.rate else 0.0
        if rate >= 2 * self.rate:
            self._next_turn = now
        self.rate = rate

    def _refill(self) -> float:
        now = self._clock()
        elapsed = now - max(self._refilled_at, self._silent_until)
        if elapsed > 0:
            most = float(self.capacity) if self.rate == self._full_rate else 1.0
            self._tokens = min(self._tokens + elapsed * self.rate, most)
        self._refilled_at = now
        return now


class Admission(Struct, frozen=True):
    """The answer of `Gate.admit`.

    Granted: wait `wait_s` seconds, then send. Not granted: ask again after `wait_s`
    seconds. `failures` is the number of failures and refusals since the last success; with 0
    the success of this request need not be reported (a probe never gets 0). `number` names the
    decision on the rate that the request is sent under, `rate` is the rate itself. `told_by`
    names the limit that the API tells, where the rate is lower for it. With a `ticket` other
    than 0 the end of this request must be reported to `told`.
    """

    wait_s: float
    granted: bool
    failures: int
    number: int = 0
    rate: float = 0.0
    told_by: str = ""
    ticket: int = 0


class Gate:
    """Bucket, breaker, adaptive rate and told limits behind one lock: one question per attempt.

    With an `allotment` no request is granted that it does not cover.

    A request is granted at most `HORIZON_S` before its sending time. A caller whose token
    lies further ahead is sent away until shortly before that time and asks again, so that
    a `silence` reaches this caller too.
    """

    def __init__(
        self,
        bucket: TokenBucket,
        breaker: CircuitBreaker,
        pace: AdaptiveRate,
        told: ToldRate,
        allotment: Allotment | None = None,
    ) -> None:
        self._allotment = allotment
        self._bucket = bucket
        self._breaker = breaker
        self._pace = pace
        self._told = told
        self._told_by = ""
        self._lock = Lock()
        self._follow()

    def admit(self) -> Admission:
        """Say whether, and after how many seconds, one request may be sent."""
        with self._lock:
            failures = self._breaker.failures + self._pace.refusals
            wait = self._breaker.wait_s()
            if wait > 0:
                return Admission(wait, False, failures)
            if (wait := self._told.wait_s()) > 0:
                return Admission(min(wait, _SOON_S), False, failures)
            if self._allotment is not None and (wait := self._allotment.wait_s()) > 0:
                return Admission(wait, False, failures)
            self._follow()
            if self._bucket.wait_s() > HORIZON_S + _EARLY_S:  # one may be back a little early
                is_short = self._pace.refusals or self._told_by
                turn = self._bucket.turn_s(HORIZON_S, _SOON_S if is_short else math.inf)
                return Admission(turn, False, failures)
            if self._allotment is not None:
                self._allotment.take()
            self._breaker.enter()
            self._pace.sent()
            self._follow()
            wait = self._bucket.reserve()
            state = (self._pace.number, self._bucket.rate, self._told_by, self._told.sent())
            return Admission(wait, True, failures, *state)

    def report(self, ok: bool, let_through: int | None = None) -> int:
        """Note the end of a request; return what `CircuitBreaker.report` returns.

        An answer such as 404 or 429 is a success here: the API is up. `let_through` is the
        `Admission.number` of a request that no limiter refused.
        """
        with self._lock:
            if let_through is not None:
                self._pace.let_through(let_through)
                self._follow()
            return self._breaker.report(ok)

    def refused(self, number: int, is_clear: bool) -> Refusal:
        """Note that the API asked a request of this `Admission.number` to slow down."""
        with self._lock:
            refusal = self._pace.refused(number, is_clear=is_clear)
            self._follow()
            return refusal

    def silence(self, seconds: float) -> None:
        """Grant nothing before `seconds` from now (Retry-After)."""
        with self._lock:
            self._bucket.silence(seconds)

    def told(
        self, ticket: int, limits: Iterable[ToldLimit], let_through: bool
    ) -> tuple[float, str] | None:
        """Note the end of the request of this `Admission.ticket`, and what its answer told.

        `let_through`: no limiter refused it. Returns for how many seconds nobody may ask, and
        for which limit; None where requests are left.
        """
        with self._lock:
            self._told.told(ticket, limits, let_through=let_through)
            self._follow()
            wait_s = self._told.wait_s()
            return (wait_s, self._told_by) if wait_s > 0 else None

    def allot(self, requests: int, until_s: float, *, afresh: bool) -> Allotted:
        """Let so many more requests be sent, as `Allotment.add` does."""
        assert self._allotment is not None
        with self._lock:
            return self._allotment.add(requests, until_s, afresh=afresh)

    def _follow(self) -> None:
        """Let the bucket grant at the lower rate: what the API stands, or what it tells."""
        rate, now = self._pace.rate, self._bucket.rate
        told, by = self._told.lowest()
        self._told_by = by if not rate or told < rate else ""
        if self._told_by:
            is_near = abs(told - now) <= _STEP * now and (now <= rate or not rate)
            rate = now if is_near else told
        if rate != now:
            self._bucket.change_rate(rate)
