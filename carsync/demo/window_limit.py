"""A limit of so many requests in each window, which every answer tells in its headers.

Shares no code with `carsync.source.rate_headers` on purpose, whose reading it checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

RateHeaders = Literal["draft", "draft-7", "draft-6", "x", "github", "epoch-ms", "laravel", "quota"]
RATE_HEADERS: tuple[RateHeaders, ...] = get_args(RateHeaders)
Headers = tuple[tuple[bytes, bytes], ...]


class WindowLimit:
    """Lets `count` requests in per `window_s` seconds; the first one after them begins the next.

    `kind` is the kind of its headers.
    """

    def __init__(self, count: int, window_s: float, kind: RateHeaders) -> None:
        self._count = count
        self._window_s = window_s
        self._tell = _KINDS[kind]
        self._began_s = -math.inf
        self._used = 0

    def admit(self, now_s: float) -> int:
        """Return 0 to let a request in at `now_s`, else the whole seconds of Retry-After."""
        if now_s >= self._began_s + self._window_s:
            self._began_s, self._used = now_s, 0
        if self._used < self._count:
            self._used += 1
            return 0
        return max(1, math.ceil(self._began_s + self._window_s - now_s))

    def headers(self, now_s: float, epoch_s: float) -> Headers:
        """Return what an answer tells at `now_s`, which is `epoch_s` seconds since 1970."""
        reset_s = self._began_s + self._window_s - now_s
        told = self._tell(self._count, self._count - self._used, reset_s, epoch_s, self._window_s)
        return tuple((name.encode(), str(value).encode()) for name, value in told.items())


_Told = dict[str, str | int]
_Kind = Callable[[int, int, float, float, float], _Told]


def _three(prefix: str, count: int, left: int, reset: int) -> _Told:
    return {f"{prefix}-Limit": count, f"{prefix}-Remaining": left, f"{prefix}-Reset": reset}


_KINDS: dict[RateHeaders, _Kind] = {
    "draft": lambda count, left, reset_s, _, window_s: {
        "RateLimit-Policy": f'"default";q={count};w={math.ceil(window_s)}',
        "RateLimit": f'"default";r={left};t={math.ceil(reset_s)}',
    },
    "draft-7": lambda count, left, reset_s, _, window_s: {
        "RateLimit-Policy": f"{count};w={math.ceil(window_s)}",
        "RateLimit": f"limit={count}, remaining={left}, reset={math.ceil(reset_s)}",
    },
    "draft-6": lambda count, left, reset_s, *_: _three(
        "RateLimit", count, left, math.ceil(reset_s)
    ),
    "x": lambda count, left, reset_s, *_: _three("X-RateLimit", count, left, math.ceil(reset_s)),
    "github": lambda count, left, reset_s, epoch_s, _: _three(
        "X-RateLimit", count, left, math.ceil(epoch_s + reset_s)
    ),
    "epoch-ms": lambda count, left, reset_s, epoch_s, _: _three(
        "X-RateLimit", count, left, math.ceil(1000 * (epoch_s + reset_s))
    ),
    "laravel": lambda count, left, *_: {
        "X-RateLimit-Limit": count,
        "X-RateLimit-Remaining": left,
    },
    "quota": lambda count, left, reset_s, epoch_s, _: _three(
        "Quota", count, left, math.ceil(epoch_s + reset_s)
    ),
}
