"""Limiters as servers have them: whether a request at this moment is let through."""

from __future__ import annotations

import math
from collections.abc import Callable

Limiter = Callable[[float], bool]
"""Takes the time in seconds; True: let through."""


def leaky(rate: float, burst: int) -> Limiter:
    """Refuse like nginx's `limit_req` with `nodelay`: a bucket that leaks `rate` a second."""
    excess, last_s = 0.0, -math.inf

    def allows(now_s: float) -> bool:
        nonlocal excess, last_s
        left = max(0.0, excess - (now_s - last_s) * rate) if excess else 0.0
        if left > burst:
            return False
        excess, last_s = left + 1, now_s
        return True

    return allows


def window(count: int, seconds: float) -> Limiter:
    """Refuse like django-ratelimit: `count` in each window of the clock."""
    number, used = -1, 0

    def allows(now_s: float) -> bool:
        nonlocal number, used
        if (this := int(now_s // seconds)) != number:
            number, used = this, 0
        used += 1
        return used <= count

    return allows
