"""The requests that the parent has reserved of `limits.budget`, and nobody has sent yet.

The parent counts in PostgreSQL before a request is sent, never after: what is lost with a process
counts as spent. So the parent reserves few at a time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from msgspec import Struct

_SOON_S, _LATER_S = 0.05, 1.0
"""Callers ask again after so long: soon at first, as the parent is about to reserve more …"""
_STARVED_S = 2.0
"""… and later after this long without any, which is a wait for the budget's next window."""


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""clock_gettime(2): Linux counts sleep in the former, macOS in the latter."""


def waking_clock() -> float:
    """Return seconds of all processes of this boot, those included that the machine slept.

    A machine that wakes up in the budget's next window has nothing left of the one before.
    """
    return time.clock_gettime(_CLOCK)


class Allotted(Struct, frozen=True):
    """So many requests were `left`; `is_starved`: somebody was sent away for the want of one."""

    left: int
    is_starved: bool


class Allotment:
    """So many requests may be sent, until a moment on `clock`. Not thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = 0
        self._until_s = -math.inf
        self._starved_since_s: float | None = None

    def add(self, requests: int, until_s: float, *, afresh: bool) -> Allotted:
        """Allow so many more until `until_s`, and say how it stood before.

        `afresh`: what was left is void. So is what was not sent in time.
        """
        before = Allotted(self._valid(), self._starved_since_s is not None)
        self._left = requests if afresh else before.left + requests
        if requests:
            self._until_s, self._starved_since_s = until_s, None
        return before

    def wait_s(self) -> float:
        """Return 0 where a request may be sent, else after how many seconds to ask again."""
        if self._valid() > 0:
            return 0.0
        now_s = self._clock()
        if self._starved_since_s is None:
            self._starved_since_s = now_s
        return _SOON_S if now_s - self._starved_since_s < _STARVED_S else _LATER_S

    def take(self) -> None:
        """Count a request that is sent."""
        self._left -= 1

    def _valid(self) -> int:
        return self._left if self._clock() < self._until_s else 0
