"""Retry rules: (kind of failure, attempt) → seconds to wait, or give the page up."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from carsync.config.sections import Retry
from carsync.errors import FailureKind
from carsync.source.retry_after import MAX_RETRY_AFTER_S

MAX_BAD_PAGE_ATTEMPTS = 4
"""A page is given up after this many wrong answers."""

RATE_LIMITED_SHARE = 3
"""With answers 429, a page has this many times `max_attempts` in all."""


class _BackOff(NamedTuple):
    """Factors on the policy's `base_s` and `cap_s`, and the growth per attempt."""

    base: float
    growth: float
    cap: float


_BACK_OFF: dict[FailureKind, _BackOff] = {
    FailureKind.RATE_LIMITED: _BackOff(2.0, 2.0, 1.0),
    FailureKind.SERVER: _BackOff(1.0, 2.0, 1.0),
    FailureKind.NETWORK: _BackOff(0.5, 2.0, 1.0),
    FailureKind.TIMEOUT: _BackOff(0.5, 2.0, 1.0),
    FailureKind.BAD_PAGE: _BackOff(0.5, 1.5, 0.25),
    FailureKind.WORKER: _BackOff(0.1, 3.0, 0.25),
}
"""The kinds that are retried; CLIENT and AUTH are not."""


def next_delay_s(
    kind: FailureKind,
    attempt: int,
    retry_after_s: float | None,
    policy: Retry,
    random: Callable[[], float],
    *,
    rate_limited: int = 0,
) -> float | None:
    """Return the seconds until a page's next attempt, or None to give the page up.

    `attempt` is the number of the attempt that just failed, from 1. `rate_limited` is the
    number of attempts at this page that were answered 429; these are no failures of the
    page. `random` gives a float in [0, 1).

    Exponential back-off with full jitter (M. Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015). A Retry-After is obeyed up to `MAX_RETRY_AFTER_S`.

    >>> next_delay_s(FailureKind.SERVER, 3, None, Retry(), lambda: 0.5)
    2.0
    >>> next_delay_s(FailureKind.RATE_LIMITED, 1, 7.0, Retry(), lambda: 0.5)
    7.0
    >>> next_delay_s(FailureKind.AUTH, 1, None, Retry(), lambda: 0.5) is None
    True
    """
    back_off = _BACK_OFF.get(kind)
    if back_off is None or _is_spent(kind, attempt, policy, rate_limited):
        return None
    if retry_after_s is not None:
        return min(retry_after_s, MAX_RETRY_AFTER_S)
    exponent = min(attempt - 1, 64)  # far past any cap, and far from overflow
    longest = policy.base_s * back_off.base * back_off.growth**exponent
    return random() * min(longest, policy.cap_s * back_off.cap)


def _is_spent(kind: FailureKind, attempt: int, policy: Retry, rate_limited: int) -> bool:
    if attempt >= policy.max_attempts * RATE_LIMITED_SHARE:
        return True
    if kind is FailureKind.RATE_LIMITED:
        return False
    allowed = policy.max_attempts
    if kind is FailureKind.BAD_PAGE:
        allowed = min(allowed, MAX_BAD_PAGE_ATTEMPTS)
    return attempt - rate_limited >= allowed
