"""Whether a run can end within `limits.budget`: said before its first page, as far as is known.

A run that does not fit goes on only where it can be finished: by waiting for the next windows
(`limits.max_wait_s`), or by runs that resume it (`checkpoint.max_age_h`). Else it is refused before
it asks for anything, because what it would read could not be used.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from carsync import formatting
from carsync.errors import RequestBudgetError
from carsync.run.context import RunContext
from carsync.state import runs
from carsync.state.api_use import EACH, BudgetUse, window_of

log = logging.getLogger(__name__)

GROWN = 1.1
"""A feed that turns out to be longer than the last one by this factor is judged anew."""


class Outlook(Struct, frozen=True):
    """How a run ends that needs more than is left.

    Its last window begins at `last_at`; None: none does in time. `waits`: it waits for them.
    """

    last_at: datetime | None
    waits: bool


def look_ahead(
    needed: int, use: BudgetUse, now: datetime, *, max_wait_s: float, until: datetime
) -> Outlook | None:
    """Say how a run fares that needs so many more requests; None: what is left is enough.

    `until` is the last moment at which it can be resumed.

    >>> now = datetime(2026, 11, 29, 20, tzinfo=UTC)
    >>> use = BudgetUse.of(1000, "day", 935, now)
    >>> night = {"max_wait_s": 900, "until": now + timedelta(hours=12)}
    >>> look_ahead(65, use, now, **night) is None
    True
    >>> look_ahead(935, use, now, **night).last_at == use.renews_at
    True
    >>> look_ahead(1066, use, now, **night)
    Outlook(last_at=None, waits=False)
    """
    if needed <= use.left:
        return None
    windows = -(-(needed - use.left) // use.allowed)  # those that it needs beside this one
    window = window_of(use.renews_at, use.per)
    waits = (use.renews_at - now).total_seconds() <= max_wait_s and (
        windows == 1 or (window.ends_at - window.begins_at).total_seconds() <= max_wait_s
    )
    last_at = use.renews_at
    for _ in range(windows - 1):
        if last_at > until and not waits:
            break
        last_at = window_of(last_at, use.per).ends_at
    return Outlook(last_at if waits or last_at <= until else None, waits)


class Forecast:
    """Foretells one run, and ends it where the budget does not allow it to go on."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._expected: int | None = None
        self._is_planned = False
        self._sent_before = self._staged_before = 0

    def before_reading(self) -> None:
        """Judge by the last run of this mode; raise `RequestBudgetError`."""
        context = self._context
        if context.requests.left() is None:
            return
        self._sent_before = context.requests.sent["pages"]
        self._staged_before = context.plan.staged_count
        key = (context.connection, context.target, context.source, context.mode)
        self._expected = runs.find_pages_planned(*key)
        if self._expected is not None:
            self._judge(self._expected)

    def check(self) -> None:
        """Raise `RequestBudgetError` where the run cannot go on; judge once by the feed's total."""
        context = self._context
        if (problem := context.requests.problem) is not None:
            raise problem
        planned = context.plan.planned
        if planned is None or self._is_planned or context.requests.left() is None:
            return
        self._is_planned = True
        if self._expected is None or planned > GROWN * self._expected:
            self._judge(planned)

    def _judge(self, pages: int) -> None:
        context = self._context
        use = context.requests.use
        left = context.requests.left()
        if use is None or use.budget is None or left is None:
            return
        if (most := context.options.max_pages) is not None:
            pages = min(pages, most)
        asked = context.requests.sent["pages"] - self._sent_before
        needed = pages - max(context.plan.staged_count, self._staged_before + asked)
        now = datetime.now(UTC)
        limits, max_age_h = context.config.limits, context.config.checkpoint.max_age_h
        until = now
        if context.options.scope == "whole":
            until = context.run.started_at + timedelta(hours=max_age_h)
        of_budget = use.budget.with_left(left)
        outlook = look_ahead(needed, of_budget, now, max_wait_s=limits.max_wait_s, until=until)
        if outlook is None:
            return
        words = needs_words(needed, of_budget)
        if outlook.last_at is None:
            is_begun = bool(asked or context.plan.staged_count)
            raise refused(words, of_budget, needed, max_age_h, is_begun=is_begun)
        sentence = f"{words}: {_plan_words(outlook, of_budget)}"
        context.notes.append(sentence)
        extra = {"event": "budget_short", "needed": needed, "left": left}
        log.warning("%s", sentence, extra=extra)


def needs_words(needed: int, use: BudgetUse) -> str:
    """Say what a run needs, and what there is."""
    requests = formatting.plural(needed, "more request")
    return (
        f"this run needs about {requests}, and limits.budget leaves "
        f"{use.left:,} of {use.allowed:,} {EACH[use.per]}"
    )


def _plan_words(outlook: Outlook, use: BudgetUse) -> str:
    renews, last_at = formatting.moment(use.renews_at), outlook.last_at
    if outlook.waits:
        return f"it reads what is left, and waits until {renews} for more"
    words = f"it reads what is left, and goes on when `carsync sync` runs again after {renews}"
    if last_at is not None and last_at != use.renews_at:
        words += f", for the last time after {formatting.moment(last_at)}"
    return words


def refused(
    words: str, use: BudgetUse, needed: int, max_age_h: float, *, is_begun: bool = False
) -> RequestBudgetError:
    """Return the error of a run that could not be finished."""
    renews = formatting.moment(use.renews_at)
    hint = "raise limits.budget.requests, api.pagination.page_size or checkpoint.max_age_h"
    if needed <= use.allowed:
        hint = f"run again after {renews}: a whole budget is enough; or {hint}"
    return RequestBudgetError(
        words,
        detail=f"it renews at {renews}, and the run could not be resumed for long enough to end "
        f"(checkpoint.max_age_h is {max_age_h:g}), so no {'more ' if is_begun else ''}page is "
        "asked for",
        hint=hint,
    )
