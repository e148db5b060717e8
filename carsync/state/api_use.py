"""What a feed's requests cost: by kind, of `limits.budget`, and by the API's count. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.sections import Budget, BudgetPeriod

RESERVED = "reserved"
"""Requests of the budget that a run has reserved: not sent yet, or lost where it was killed."""
EACH: Mapping[BudgetPeriod, str] = {"hour": "an hour", "day": "a day", "month": "a month"}


class Window(Struct, frozen=True):
    """One period of a budget, from `begins_at` until before `ends_at`."""

    begins_at: datetime
    ends_at: datetime


def window_of(now: datetime, per: BudgetPeriod) -> Window:
    """Return the hour, the day or the month of UTC that `now`, an aware time, lies in.

    >>> window_of(datetime(2026, 12, 31, 23, 59, tzinfo=UTC), "month").ends_at.isoformat()
    '2027-01-01T00:00:00+00:00'
    """
    begins_at = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if per == "hour":
        return Window(begins_at, begins_at + timedelta(hours=1))
    begins_at = begins_at.replace(hour=0)
    if per == "day":
        return Window(begins_at, begins_at + timedelta(days=1))
    begins_at = begins_at.replace(day=1)
    return Window(begins_at, (begins_at + timedelta(days=32)).replace(day=1))


class BudgetUse(Struct, frozen=True, kw_only=True):
    """How many of the `allowed` requests of `limits.budget` are `used`, or reserved, by now."""

    allowed: int
    per: BudgetPeriod
    used: int
    left: int
    renews_at: datetime

    @classmethod
    def of(cls, allowed: int, per: BudgetPeriod, used: int, now: datetime) -> BudgetUse:
        """Return the use at `now`."""
        ends_at = window_of(now, per).ends_at
        left = max(0, allowed - used)
        return cls(allowed=allowed, per=per, used=used, left=left, renews_at=ends_at)

    def with_left(self, left: int) -> BudgetUse:
        """Return the use where so many may still be sent: those reserved and not sent, too."""
        return replace(self, used=self.allowed - left, left=left)


def used_words(use: BudgetUse) -> str:
    """Say how much of a budget is used.

    >>> used_words(BudgetUse.of(1000, "day", 935, datetime(2026, 12, 1, tzinfo=UTC)))
    '935 of 1,000 requests a day'
    """
    return f"{formatting.part(use.used, use.allowed, 'request')} {EACH[use.per]}"


class Quota(Struct, frozen=True, kw_only=True):
    """What the API's own header `name` told last: so many of `limit` requests are left.

    None where it does not tell how many there are, or when that begins anew.
    """

    name: str
    remaining: float
    limit: float | None = None
    renews_at: datetime | None = None
    told_at: datetime


class ApiUse(Struct, frozen=True, kw_only=True):
    """Requests of all runs of a feed on `day` (UTC), by kind, and what is left of the budget."""

    day: date
    today: dict[str, int]
    budget: BudgetUse | None = None

    def plus(self, counts: Mapping[str, int]) -> ApiUse:
        """Return the use with requests that are not stored yet; the budget counts them already."""
        kinds = {*self.today, *counts}
        today = {kind: self.today.get(kind, 0) + counts.get(kind, 0) for kind in kinds}
        return replace(self, today=today)

    def at(self, now: datetime) -> ApiUse:
        """Return the use at a later moment, as long as nobody has asked since.

        A new day has no requests, and the budget's next window is whole.
        """
        day, budget = now.astimezone(UTC).date(), self.budget
        if budget is not None and now >= budget.renews_at:
            budget = BudgetUse.of(budget.allowed, budget.per, 0, now)
        return ApiUse(day=day, today=self.today if day == self.day else {}, budget=budget)


def use_of(now: datetime, today: Mapping[str, int], budget: Budget | None, used: int) -> ApiUse:
    """Return the use of a feed at `now`; `used` counts the requests of the budget's window."""
    of_budget = None
    if budget is not None:
        of_budget = BudgetUse.of(budget.requests or 0, budget.per, used, now)
    counted = {kind: count for kind, count in today.items() if count > 0}
    return ApiUse(day=now.astimezone(UTC).date(), today=counted, budget=of_budget)
