"""The record of a feed's requests: counted by kind, and reserved by two sessions at once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from carsync.config.sections import Budget
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state import requests
from carsync.state.api_use import RESERVED, window_of
from carsync.state.requests import Feed, Reservation
from tests.conftest import TARGET, ask

FEED = Feed(TARGET, "external")
MONTH = Budget(requests=100, per="month")
"""The window that is the least likely to end during a test."""


def reserve(
    conn: Connection,
    wanted: int,
    counts: Mapping[str, int] | None = None,
    hour: datetime | None = None,
    too_late_s: float = 0.0,
) -> Reservation:
    given = (wanted, counts or {}, hour)
    return requests.reserve(conn, FEED, MONTH, *given, too_late_s=too_late_s)


def test_two_sessions_never_reserve_more_than_there_is(dsn: str, conn: Connection) -> None:
    def take(_: int) -> int:
        with closing(connection.connect(Secret(dsn), application_name="rival")) as mine:
            return sum(reserve(mine, 3).granted for _ in range(20))

    with ThreadPoolExecutor(4) as pool:
        granted = list(pool.map(take, range(4)))
    assert sum(granted) == 100
    use = requests.read(conn, FEED, MONTH)
    assert use.budget is not None
    assert (use.budget.used, use.budget.left, use.today) == (100, 0, {RESERVED: 100})


def test_what_was_sent_leaves_the_reserved_ones_and_other_feeds_are_their_own(
    conn: Connection,
) -> None:
    first = reserve(conn, 10)
    assert first.granted == 10
    counts = {"pages": 7, "token": 1, RESERVED: -8}
    second = reserve(conn, 200, counts, first.hour)
    assert second.granted == 90
    assert second.use.today == {"pages": 7, "token": 1, RESERVED: 92}
    use = requests.add(conn, FEED, {RESERVED: -92}, MONTH, second.hour)
    assert use.today == {"pages": 7, "token": 1}
    assert use.budget is not None
    assert use.budget.left == 92
    other = Feed(TARGET, "other")
    assert requests.read(conn, other, MONTH).today == {}


def test_windows_before_do_not_count_and_later_hours_do(conn: Connection) -> None:
    now = datetime.now(UTC)
    begun = window_of(now, "month").begins_at
    requests.add(conn, FEED, {"pages": 60}, MONTH, begun - timedelta(hours=1))
    ahead = requests.add(conn, FEED, {"pages": 40}, MONTH, now + timedelta(hours=3))
    assert ahead.budget is not None
    assert ahead.budget.used == 40, "the server's clock was set back: what it counted stays"
    assert reserve(conn, 100).granted == 60


def test_nothing_is_reserved_in_the_last_moments_of_a_window(conn: Connection) -> None:
    found = reserve(conn, 10, too_late_s=40 * 86_400)
    assert found.granted == 0
    assert found.use.budget is not None
    assert found.use.budget.left == 100
    assert 0 < found.ends_in_s <= 31 * 86_400


def test_old_requests_are_forgotten_but_not_those_of_a_month(conn: Connection) -> None:
    now = datetime.now(UTC)
    for days in (1, 40, 70, 100):
        requests.add(conn, FEED, {"pages": days}, None, now - timedelta(days=days))
    assert requests.prune(conn, FEED, 90) == 1
    assert requests.prune(conn, FEED, 0) == 1
    assert ask(conn, "SELECT sum(requests)::int FROM carsync.requests") == [(41,)]


def test_before_the_migration_there_is_no_table(conn: Connection) -> None:
    assert requests.exist(conn)
    ask(conn, "DROP TABLE carsync.requests")
    assert not requests.exist(conn)
    with pytest.raises(Exception, match="counting requests"):
        requests.add(conn, FEED, {"pages": 1}, None)
