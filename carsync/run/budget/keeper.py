"""Counts the requests of a run, and reserves them where `limits.budget` is set.

Without a budget the counts are written where samples are, so that a kill loses the last few
seconds of them. With one, the engine sends nothing that was not reserved before, a few at a time.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from carsync import formatting
from carsync.config.sections import Limits
from carsync.engine.base import Engine
from carsync.engine.messages import UNUSED, LimitsTold
from carsync.errors import DatabaseError, RequestBudgetError
from carsync.postgres.wait import Connection, is_idle
from carsync.source.allotment import Allotted
from carsync.state import requests
from carsync.state.api_use import RESERVED, ApiUse, BudgetUse, Quota, used_words
from carsync.state.requests import Feed, Reservation

log = logging.getLogger(__name__)

GUARD_S = 2.0
"""So long before a window ends nothing more is sent: it would arrive in the next one."""
SHARE = 0.01
"""At most this share of a budget is reserved at once: a run that is killed loses it."""
AHEAD_S = 5.0
"""Requests for so long are reserved at once, where the budget is large enough."""
MOST = 100
LOOK_S = 1.0
WAIT_S = 30.0
"""While the budget is used up, the database is asked so often whether it has renewed."""


class BudgetKeeper:
    """Keeps the requests of one feed for one run; `pause` hears how long nobody asks the API.

    `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        limits: Limits,
        feed: Feed,
        clock: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self.sent: Counter[str] = Counter()
        """Requests of the run by kind."""
        self.problem: RequestBudgetError | None = None
        """Why no more requests are sent: the budget is used up, and does not renew soon."""
        self._limits, self._feed = limits, feed
        self._budget = None if limits.budget.requests is None else limits.budget
        self._clock, self._pause = clock, pause
        self._use: ApiUse | None = None
        self._is_kept: bool | None = None
        self._quotas: dict[str, Quota] = {}
        self._pending: Counter[str] = Counter()  # sent or given back, and not stored yet
        self._left = 0  # allotted and not sent, as far as is known
        self._size = size_of(limits)
        self._hour: datetime | None = None  # where the reserved ones are counted
        self._window_at: datetime | None = None
        self._told_of: datetime | None = None  # the window whose end was waited for
        self._look_s = self._next_s = clock()

    # ── what is known ────────────────────────────────────────────────────────

    @property
    def use(self) -> ApiUse | None:
        """What the feed has cost; None before the database was asked."""
        return self._use and self._use.plus(self._pending)

    @property
    def quotas(self) -> tuple[Quota, ...]:
        """What the API's own headers told last."""
        return tuple(self._quotas.values())

    def left(self) -> int | None:
        """Return how many requests may still be sent in this window; None: there is no budget."""
        if self._budget is None or self._use is None or self._use.budget is None:
            return None
        return 0 if self.problem else self._use.budget.left + max(0, self._left)

    def open(self, conn: Connection) -> None:
        """Read what the feed has cost before; raise `DatabaseError` where a budget has no table."""
        self._is_kept = requests.exist(conn)
        if self._is_kept:
            self._use = requests.read(conn, self._feed, self._budget)
        elif self._budget is not None:
            raise DatabaseError(
                "limits.budget needs a table that is not there: carsync.requests",
                hint="run `carsync migrate`, then run again",
            )

    # ── what happens ─────────────────────────────────────────────────────────

    def made(self, counts: Mapping[str, int]) -> None:
        """Count requests that were sent, and give those back that were not."""
        sent = {kind: count for kind, count in counts.items() if kind != UNUSED}
        self.sent.update(sent)
        self._pending.update(sent)
        if self._budget is not None:
            self._pending[RESERVED] -= sum(counts.values())
            self._left -= sum(counts.values())

    def told(self, event: LimitsTold) -> None:
        """Keep what the API told of its limits, the last word on each."""
        now = datetime.now(UTC)
        for limit in event.limits:
            renews_at = None
            if limit.reset_s is not None:
                renews_at = now + timedelta(seconds=round(limit.reset_s))
            self._quotas[limit.name] = Quota(
                name=limit.name,
                remaining=limit.remaining,
                limit=limit.limit,
                renews_at=renews_at,
                told_at=now,
            )

    def turn(self, engine: Engine, conn: Connection) -> None:
        """Let the engine have what it needs of the budget; called several times a second.

        Sets `problem` where the budget is used up for longer than `limits.max_wait_s`. Raises
        `DatabaseError`.
        """
        now_s = self._clock()
        if self._budget is None or self.problem or now_s < self._next_s:
            return
        if self._left > self._size // 2 and now_s < self._look_s:
            return
        if self._is_kept is None:
            self.open(conn)
        if (found := engine.allot()) is None:
            return
        self._left, self._look_s = found.left, now_s + LOOK_S
        if found.left <= self._size // 2:
            self._refill(engine, conn, found)

    def _refill(self, engine: Engine, conn: Connection, before: Allotted) -> None:
        assert self._budget is not None
        asked_s = self._clock()
        counts, self._pending = self._pending, Counter()
        try:
            found = requests.reserve(
                conn,
                self._feed,
                self._budget,
                self._size - before.left,
                counts,
                self._hour,
                too_late_s=GUARD_S,
            )
        except DatabaseError:
            self._pending.update(counts)
            raise
        self._use = found.use
        if found.granted:
            is_new = self._window_at not in (None, found.window_at)
            self._hour, self._window_at = found.hour, found.window_at
            for_s = found.ends_in_s - GUARD_S - (self._clock() - asked_s)
            engine.allot(found.granted, for_s, afresh=is_new)
            self._left = found.granted + (0 if is_new else before.left)
        elif before.is_starved and not before.left:
            self._wait(found)

    def _wait(self, found: Reservation) -> None:
        """Wait for the budget to renew, or note that this takes too long."""
        of_budget = found.use.budget
        assert of_budget is not None
        wait_s = found.ends_in_s + 0.5
        self._next_s = self._clock() + min(wait_s, WAIT_S)
        if of_budget.left:  # the window ends in a moment, and nothing more is sent in it
            return
        if wait_s > self._limits.max_wait_s:
            self.problem = used_up(of_budget, self._limits.max_wait_s)
            return
        self._pause(wait_s)
        if self._told_of != found.window_at:
            self._told_of = found.window_at
            log.info(
                "limits.budget is used up (%s): waiting until %s",
                used_words(of_budget),
                formatting.moment(of_budget.renews_at),
                extra={"event": "budget_waiting", "wait_s": wait_s, "used": of_budget.used},
            )

    # ── the end ──────────────────────────────────────────────────────────────

    def settle(self, engine: Engine, conn: Connection | None) -> None:
        """Store what is new, and take back what an engine that is about to end did not send.

        Never raises.
        """
        if self._budget is not None and (found := engine.allot(afresh=True)) is not None:
            self._pending[RESERVED] -= found.left
        self._left = 0
        if conn is not None:
            self.write(conn)

    def write(self, conn: Connection) -> None:
        """Store what is new; never raises, and leaves `conn` idle."""
        if not is_idle(conn):
            return
        counts = self._pending
        try:
            if self._is_kept is None:
                self.open(conn)
            if self._is_kept and counts:
                self._pending = Counter()
                self._use = requests.add(conn, self._feed, counts, self._budget, self._hour)
        except DatabaseError as exc:  # whoever needs the connection will find it broken, and say so
            self._pending = counts
            log.debug("the requests are not counted yet: %s", exc)


def size_of(limits: Limits) -> int:
    """Return how many requests are reserved at once.

    >>> from carsync.config.sections import Budget
    >>> size_of(Limits(budget=Budget(requests=1000), requests_per_second=1))
    5
    """
    soon = math.ceil(limits.requests_per_second * AHEAD_S) or MOST
    return max(1, min(soon, MOST, int((limits.budget.requests or 0) * SHARE)))


def used_up(use: BudgetUse, max_wait_s: float) -> RequestBudgetError:
    """Return the error of a run that can send no more requests."""
    renews = formatting.moment(use.renews_at)
    return RequestBudgetError(
        f"limits.budget is used up: {used_words(use)}",
        detail=f"it renews at {renews}, later than limits.max_wait_s ({max_wait_s:g}) allows to "
        "wait",
        hint=f"run again after {renews}",
    )
