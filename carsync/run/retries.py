"""Pages whose last attempt failed: whether, and when, each is asked for again."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable

from carsync.config.sections import Retry
from carsync.engine.messages import PageFailed
from carsync.errors import FailureKind
from carsync.source.retry import next_delay_s

SUSPECT = 2
"""A page that failed so often for its worker's sake may be what ends workers: while such a page is
out, no other one is, lest it take the attempts of all that are always out with it."""


class Retries:
    """The attempts to come, those that are due first."""

    def __init__(
        self, rules: Retry, clock: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._random = random
        self._due: list[tuple[float, int, int]] = []  # heap: when, page, attempt
        self._rate_limited: Counter[int] = Counter()  # 429s by page
        self._lost: Counter[int] = Counter()  # failures of workers by page

    def __len__(self) -> int:
        """Return how many pages wait for another attempt."""
        return len(self._due)

    @property
    def pages(self) -> Collection[int]:
        """The pages that wait for another attempt."""
        return [page for _, page, _ in self._due]

    def judge(self, event: PageFailed) -> float | None:
        """Return the seconds to wait until the next attempt; None where no other is worth it."""
        self._rate_limited[event.page] += event.kind is FailureKind.RATE_LIMITED
        self._lost[event.page] += event.kind is FailureKind.WORKER
        return next_delay_s(
            event.kind,
            event.attempt,
            event.retry_after_s,
            self._rules,
            self._random,
            rate_limited=self._rate_limited[event.page],
        )

    def add(self, event: PageFailed, delay_s: float) -> None:
        """Let a page wait for the attempt after the one that failed."""
        heapq.heappush(self._due, (self._clock() + delay_s, event.page, event.attempt + 1))

    def take(self, out: Iterable[int]) -> tuple[int, int] | None:
        """Return a page whose next attempt is due, and that attempt's number.

        `out` are the pages that are asked for at the moment.
        """
        waits = bool(self._due) and any(map(self._is_suspect, out))
        later = []
        found = None
        while found is None and self._due and self._due[0][0] <= self._clock():
            retry = heapq.heappop(self._due)
            if waits and self._is_suspect(retry[1]):
                later.append(retry)
            else:
                found = retry[1:]
        for retry in later:
            heapq.heappush(self._due, retry)
        return found

    def _is_suspect(self, page: int) -> bool:
        return self._lost[page] >= SUSPECT

    def drop(self, pages: Container[int]) -> None:
        """Ask for none of these pages again."""
        self._due = [retry for retry in self._due if retry[1] not in pages]
        heapq.heapify(self._due)
