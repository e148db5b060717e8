"""What a fetcher's threads sent and were told, until it passes on to the parent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Literal

from carsync.engine.messages import Event, LimitsTold, RequestsMade
from carsync.model import RequestKind
from carsync.source.rate_headers import ToldLimit

_TELL_EVERY_S = 1.0
"""What the API tells of its limits changes with each answer; the parent hears of it so often."""


class Tally:
    """Counts requests by kind and keeps the last word on each limit; thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._limits: dict[str, ToldLimit] = {}
        self._tell_at_s = clock()

    def count(self, kind: RequestKind | Literal["unused"]) -> None:
        """Count a request, or an admission that was not used."""
        with self._lock:
            self._counts[kind] += 1

    def note(self, limits: Sequence[ToldLimit]) -> None:
        """Keep what an answer told."""
        if limits:
            with self._lock:
                self._limits.update((limit.name, limit) for limit in limits)

    def take(self) -> list[Event]:
        """Return what the parent does not know yet, and forget it."""
        events: list[Event] = []
        with self._lock:
            if self._counts:
                events.append(RequestsMade(dict(self._counts)))
                self._counts.clear()
            if self._limits and (now_s := self._clock()) >= self._tell_at_s:
                self._tell_at_s = now_s + _TELL_EVERY_S
                events.append(LimitsTold(tuple(self._limits.values())))
                self._limits.clear()
        return events
