"""Leases of a run's pages: which are out at the engine, and which one is leased next."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass

from carsync import failpoints
from carsync.config.lists import is_removal
from carsync.engine.base import Engine
from carsync.engine.messages import PageFailed, PageLease
from carsync.errors import FailureKind
from carsync.run.api_health import ApiHealth
from carsync.run.context import RunContext
from carsync.run.retries import Retries

MAX_RESTARTS = 2
"""A feed whose next page is refused is read anew this often in a session."""
REMOVAL_ATTEMPTS = 4
"""A page of tombstones is asked for this often, where the API names no time to wait: the feed waits
for it, and the next run asks again."""
FIRST_RETRY_S = 1.0
"""A run whose first request cannot connect tries once more after this long; a server that is only
restarted takes about that. systemd's unit runs again after five minutes in any case."""


@dataclass(slots=True)
class _Out:
    """A page that is leased and neither staged nor failed; `in_hand`: not even fetched."""

    attempt: int
    in_hand: bool = True


class Leases:
    """The pages that are out at the engine, and those that wait for another attempt."""

    def __init__(self, context: RunContext, health: ApiHealth) -> None:
        self._lists, self._plan = context.lists, context.plan
        self._health = health
        self._out: dict[int, _Out] = {}
        self._retries = Retries(context.config.limits.retry, time.monotonic, random.random)
        self._is_answered = False
        self._expired: dict[int, PageFailed] = {}  # by list: why its plan must begin anew
        self._restarts: Counter[int] = Counter()  # by list

    def __bool__(self) -> bool:
        """Say whether any page is out, or waits for another attempt."""
        return bool(self._out or self._retries)

    def fill(self, engine: Engine) -> None:
        """Fill the engine's room: retries that are due first, then new pages.

        The first request of a session goes alone: it tells whether the key is good. Where a list
        must be read anew, no page goes out.
        """
        if self._expired:
            return
        room = engine.room() if self._is_answered else 1 - len(self._out)
        leases: list[PageLease] = []
        while len(leases) < room and (lease := self._next()) is not None:
            leases.append(lease)
            self._out[lease.page] = _Out(lease.attempt)
        if leases:
            engine.lease(leases)
            failpoints.reach("intake.leased")

    def _next(self) -> PageLease | None:
        page, attempt = self._retries.take(self._out) or (self._plan.next_page(), 1)
        if page is None:
            return None
        token, is_proved = self._plan.token(page), self._health.has_pages
        is_over, planned = self._plan.is_over(page), self._plan.of(page).planned
        return PageLease(page, attempt, planned, token, is_proved, is_over)

    # ── what becomes of a page ───────────────────────────────────────────────

    def fetched(self, page: int) -> None:
        """Note that a page came, which is not yet staged."""
        if (out := self._out.get(page)) is not None:
            out.in_hand = False
        self._is_answered = True

    def staged(self, page: int) -> bool:
        """Note that a page is done; say whether that is news.

        Whoever staged a page may have been taken for lost: it need not be read again then.
        """
        waits = page in self._retries.pages if self._retries else False
        if waits:
            self._retries.drop((page,))
        return self._out.pop(page, None) is not None or waits

    def failed(self, event: PageFailed) -> bool:
        """Note that an attempt failed; say whether the page was still asked for."""
        if self._out.pop(event.page, None) is None:
            return False
        self._is_answered |= event.kind is not FailureKind.WORKER
        return True

    def delay_s(self, event: PageFailed) -> float | None:
        """Return the seconds until the page is asked for again; None where it is not."""
        delay_s = self._retries.judge(event)
        if self._plan.is_over(event.page):
            return 0.0  # not asked for any more: an error behind the end is no page
        if is_removal(event.page) and event.retry_after_s is None:
            delay_s = delay_s if event.attempt < REMOVAL_ATTEMPTS else None
        if event.first_attempts is not None and not self._health.has_answered:
            return FIRST_RETRY_S if event.attempt < event.first_attempts else None
        return delay_s

    def retry(self, event: PageFailed, delay_s: float) -> None:
        """Ask for a page once more, after so many seconds."""
        self._retries.add(event, delay_s)

    def drop(self, pages: Container[int]) -> None:
        """Ask for none of these pages any more."""
        self._retries.drop(pages)
        self._out = {page: out for page, out in self._out.items() if page not in pages}

    def failed_before(self) -> set[int] | None:
        """Return the pages that are left, where each has failed before; else None."""
        in_hand = {page for page, out in self._out.items() if out.in_hand}
        unleased = (self._plan.planned or math.inf) - self._plan.staged_count
        unleased -= len(self._plan.failed) + len(self._out) + len(self._retries)
        if unleased > 0 or any(self._out[page].attempt == 1 for page in in_hand):
            return None
        return in_hand.union(self._retries.pages)

    def give_back(self) -> None:
        """Let the pages that are out be leased again: their engine is lost."""
        for page in self._out:
            self._plan.give_back(page)
        self._out.clear()

    # ── lists that are read anew ─────────────────────────────────────────────

    def has_expired(self, event: PageFailed) -> bool:
        """Say whether a page may be refused because its token was valid for a while only."""
        is_refused = event.kind is FailureKind.CLIENT and event.status is not None
        has_token = self._plan.token(event.page) is not None
        return is_refused and has_token and self._restarts[self._list(event.page)] < MAX_RESTARTS

    def expire(self, event: PageFailed) -> None:
        """Let the list of a refused page be read anew once nothing is out."""
        self._expired[self._list(event.page)] = event

    def take_expired(self) -> list[PageFailed]:
        """Return the refused page of each list that must be read anew now."""
        if self._out:
            return []
        expired = list(self._expired.values())
        self._restarts.update(list(self._expired))
        self._expired.clear()
        return expired

    def _list(self, page: int) -> int:
        return self._lists.locate(page)[0].index
