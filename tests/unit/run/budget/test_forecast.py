"""What is said before the first page of a run that needs more than the budget leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from carsync.config.sections import BudgetPeriod
from carsync.run.budget.forecast import Outlook, look_ahead, needs_words, refused
from carsync.run.report import next_step
from carsync.state.api_use import BudgetUse

NOW = datetime(2026, 11, 29, 20, 30, tzinfo=UTC)


def of(allowed: int, used: int, per: BudgetPeriod = "day") -> BudgetUse:
    return BudgetUse.of(allowed, per, used, NOW)


@pytest.mark.parametrize(
    ("needed", "use", "max_wait_s", "age_h", "found"),
    [
        (65, of(1000, 935), 900, 12, None),
        (0, of(10, 10), 900, 0, None),
        (66, of(1000, 935), 900, 12, Outlook(datetime(2026, 11, 30, tzinfo=UTC), False)),
        (66, of(1000, 935), 900, 3, Outlook(None, False)),
        (1066, of(1000, 935), 900, 12, Outlook(None, False)),
        (1066, of(1000, 935), 900, 48, Outlook(datetime(2026, 12, 1, tzinfo=UTC), False)),
        (5, of(10, 8, "hour"), 1800, 0, Outlook(datetime(2026, 11, 29, 21, tzinfo=UTC), True)),
        (15, of(10, 8, "hour"), 1800, 0, Outlook(None, False)),
        (15, of(10, 8, "hour"), 3600, 0, Outlook(datetime(2026, 11, 29, 22, tzinfo=UTC), True)),
        (10**9, of(1, 1, "month"), 900, 12, Outlook(None, False)),
    ],
)
def test_a_run_is_refused_where_nobody_could_finish_it(
    needed: int, use: BudgetUse, max_wait_s: float, age_h: float, found: Outlook | None
) -> None:
    until = NOW + timedelta(hours=age_h)
    assert look_ahead(needed, use, NOW, max_wait_s=max_wait_s, until=until) == found


def test_the_error_says_what_to_do() -> None:
    error = refused(needs_words(935, of(1000, 935)), of(1000, 935), 935, 12)
    assert error.problem == (
        "this run needs about 935 more requests, and limits.budget leaves 65 of 1,000 a day"
    )
    assert "run again after 2026-11-30 00:00:00 UTC" in next_step(3, error.hint)
    endless = refused(needs_words(1935, of(1000, 935)), of(1000, 935), 1935, 12)
    assert endless.hint.startswith("raise limits.budget.requests")
