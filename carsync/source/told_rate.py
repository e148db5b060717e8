"""The rate that the API's limits leave: what remains of them, spread over their time. Pure.

An API that tells its limits need not refuse a request for us to learn of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from carsync.source.adaptive_rate import LOWEST_RATE
from carsync.source.rate_headers import ToldLimit

SPREAD_S = 60.0
"""What remains is spread over at most this long: an hour's quota is no reason to crawl from the
first page on. Near its end the rate falls by itself, and what is left lasts for others, too."""

_LATE_S = 0.1
"""A limit begins anew this much later than told: a request may overtake the server's clock."""

_ROUNDING_S = _SHORTEST_S = 1.0
"""Limits are told in whole seconds, so none begins anew sooner."""

_DISBELIEF = 3
"""A limit that so often said "nothing is left" of a request that it let through is no limit."""
_FORGOTTEN = 3
"""A limit that so many answers did not tell is forgotten once its time is over."""
_MOST_WINDOWS = 64
"""Of more limits, those not told for longest are forgotten: a name may be new each time."""
_COSTLY_S = 5.0
"""It is disbelieved only where waiting for it takes at least this long."""


NO_RATE = (math.inf, "")
"""The lowest rate where no limit is told."""


class _Window:
    """One limit: `left` requests may be sent before `reset_at_s`."""

    def __init__(self, now_s: float) -> None:
        self.left = math.inf
        self.reset_at_s = -math.inf
        self.since_s = now_s  # when it began, as far as we saw
        self.length_s = _SHORTEST_S
        self.most = 1.0  # requests in one of it
        self.remaining = math.inf  # as told last
        self.newest = -1  # the number of the request whose answer told it
        self.doubts = 0
        self.missing = 0  # answers that did not tell it, one after the other


class ToldRate:
    """Follows what answers tell of the API's limits; the strictest one counts.

    Requests carry a number, from `sent`; those on their way may or may not be in what the API
    counted, so they are taken from what remains. The API counts other clients' requests, too:
    what remains shrinks faster then, and the rate with it.

    Where nothing remains, nobody asks until the limit begins anew. A wait longer than
    `max_wait_s` is none: the API is asked at the lowest rate, and an answer shows whether it
    means that. An API that does not tell when a limit begins anew is taken to do that after as
    long again as it has been seen not to. Not thread-safe.
    """

    def __init__(self, max_wait_s: float, clock: Callable[[], float]) -> None:
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._number = 0
        self._unanswered = 0

    def sent(self) -> int:
        """Note that a request is sent; return its number, 0 where its end need not be told."""
        if not self._windows:
            return 0
        self._number += 1
        self._unanswered += 1
        for window in self._windows.values():
            window.left -= 1
        return self._number

    def told(self, number: int, limits: Iterable[ToldLimit], *, let_through: bool) -> None:
        """Note the end of the request `number`, and what its answer told of the limits."""
        now_s = self._clock()
        if number:
            self._unanswered = max(0, self._unanswered - 1)
        for window in self._windows.values():
            window.missing += 1
        for limit in limits:
            self._learn(limit, number, now_s, let_through=let_through)

    def _learn(self, limit: ToldLimit, number: int, now_s: float, *, let_through: bool) -> None:
        window = self._windows.setdefault(limit.name, _Window(now_s))
        window.missing = 0
        if len(self._windows) > _MOST_WINDOWS:
            del self._windows[max(self._windows, key=lambda name: self._windows[name].missing)]
        if limit.remaining >= 1:
            window.doubts = 0
        elif let_through and limit.limit != 1 and (limit.reset_s or 0.0) >= _COSTLY_S:
            window.doubts += 1
        left = limit.remaining - self._unanswered
        if number < window.newest and left >= window.left:
            return  # an answer that was overtaken by newer ones
        window.newest = max(window.newest, number)
        is_same = limit.remaining <= window.remaining
        if limit.remaining > window.remaining + self._unanswered:
            window.since_s = now_s
        window.remaining, window.left = limit.remaining, left
        window.most = limit.limit or max(window.most, limit.remaining)
        reset_s = limit.reset_s
        if reset_s is None:
            reset_s = min(max(_SHORTEST_S, now_s - window.since_s), SPREAD_S)
            window.most = 1.0  # its first answer tells more
        window.length_s = max(window.length_s, reset_s)
        later_s = now_s + reset_s - window.reset_at_s
        if not (is_same and 0 <= later_s <= _ROUNDING_S):  # else the first word is the truest
            window.reset_at_s = now_s + reset_s

    def wait_s(self) -> float:
        """Return the seconds until a request may be sent, as far as the limits go."""
        now_s = self._clock()
        self._begin_anew(now_s)
        waits = (self._wait_of(window, now_s) for window in self._windows.values())
        return max(waits, default=0.0)

    def lowest(self) -> tuple[float, str]:
        """Return the lowest rate and the name of its limit."""
        now_s = self._clock()
        self._begin_anew(now_s)
        rates = ((self._rate_of(w, now_s), name) for name, w in self._windows.items())
        return min(((rate, name) for rate, name in rates if rate < math.inf), default=NO_RATE)

    def _wait_of(self, window: _Window, now_s: float) -> float:
        if window.left >= 1 or window.doubts >= _DISBELIEF:
            return 0.0
        wait_s = window.reset_at_s + _LATE_S - now_s
        return wait_s if wait_s <= self._max_wait_s else 0.0

    def _rate_of(self, window: _Window, now_s: float) -> float:
        if window.doubts >= _DISBELIEF:
            return math.inf
        spread_s = min(max(window.reset_at_s - now_s, _LATE_S), SPREAD_S)
        return max(window.left / spread_s, LOWEST_RATE)

    def _begin_anew(self, now_s: float) -> None:
        """Let the limits whose time is over begin anew, and forget those that nobody tells."""
        for name, window in list(self._windows.items()):
            if now_s < window.reset_at_s + _LATE_S:
                continue
            if window.missing >= _FORGOTTEN:
                del self._windows[name]
                continue
            window.left = window.most - self._unanswered
            window.reset_at_s = window.since_s = now_s
            window.reset_at_s += max(window.length_s, _SHORTEST_S)
