"""Windows of a budget, and how a use that was noted reads later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from carsync.config.sections import Budget, BudgetPeriod
from carsync.state.api_use import RESERVED, use_of, window_of

NEW_YORK = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("now", "per", "begins", "ends"),
    [
        ("2026-11-29T10:59:59", "hour", "2026-11-29T10:00", "2026-11-29T11:00"),
        ("2026-12-31T23:00:00", "hour", "2026-12-31T23:00", "2027-01-01T00:00"),
        ("2026-02-28T00:00:00", "day", "2026-02-28T00:00", "2026-03-01T00:00"),
        ("2028-02-28T23:59:59", "day", "2028-02-28T00:00", "2028-02-29T00:00"),
        ("2026-01-31T12:00:00", "month", "2026-01-01T00:00", "2026-02-01T00:00"),
        ("2026-12-01T00:00:00", "month", "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_windows_are_those_of_utc(now: str, per: BudgetPeriod, begins: str, ends: str) -> None:
    window = window_of(datetime.fromisoformat(now).replace(tzinfo=UTC), per)
    assert window.begins_at == datetime.fromisoformat(begins).replace(tzinfo=UTC)
    assert window.ends_at == datetime.fromisoformat(ends).replace(tzinfo=UTC)


def test_a_zone_moves_no_window() -> None:
    at = datetime(2026, 11, 29, 20, 30, tzinfo=NEW_YORK)
    assert window_of(at, "day").begins_at == datetime(2026, 11, 30, tzinfo=UTC)


def test_a_use_that_was_noted_is_read_at_a_later_moment() -> None:
    at = datetime(2026, 11, 30, 23, 50, tzinfo=UTC)
    use = use_of(at, {"pages": 900, "by_id": 35, "token": 0}, Budget(requests=1000), 940)
    assert use.today == {"pages": 900, "by_id": 35}
    assert use.at(at + timedelta(minutes=9)) == use
    later = use.at(at + timedelta(minutes=10))
    assert later.today == {}
    assert later.budget is not None
    assert (later.budget.left, later.budget.used) == (1000, 0)
    assert later.budget.renews_at == datetime(2026, 12, 2, tzinfo=UTC)
    month = use_of(at, {}, Budget(requests=9000, per="month"), 5000)
    next_day = month.at(at - timedelta(days=2))
    assert next_day.budget == month.budget


def test_what_is_not_stored_yet_is_added() -> None:
    at = datetime(2026, 11, 30, 23, 50, tzinfo=UTC)
    use = use_of(at, {"pages": 5, RESERVED: 4}, Budget(requests=10), 9)
    assert use.plus({"pages": 2, RESERVED: -2}).today == {"pages": 7, RESERVED: 2}
