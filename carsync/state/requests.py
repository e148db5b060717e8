"""The record of a feed's requests in `carsync.requests`, by hour and kind; and its budget.

A budget is reserved before it is spent: `reserve` counts requests that are allowed from now on, and
commits. When they have been sent, they are counted by their kind and taken from the reserved ones,
so that the sum over a window never falls below what was sent, whoever is killed in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from carsync.config.sections import Budget
from carsync.model import Target
from carsync.postgres import connection, sql
from carsync.postgres.sql import Cursor
from carsync.postgres.wait import Connection, within
from carsync.state.api_use import RESERVED, ApiUse, use_of, window_of
from carsync.state.samples import ANSWER_S

KEEP_DAYS = 62
"""A budget's month must be known, and the one before, for people who look back."""


class Feed(Struct, frozen=True):
    """Whose requests these are: all runs of a source into a table."""

    target: Target
    source: str

    @property
    def key(self) -> dict[str, Any]:
        """The parameters by which statements find it."""
        return self.target.key(self.source)


class Reservation(Struct, frozen=True):
    """So many requests may be sent before the window ends, in `ends_in_s` seconds.

    `hour` is where they are counted, `window_at` when their window began. `use` includes them.
    """

    granted: int
    ends_in_s: float
    window_at: datetime
    hour: datetime
    use: ApiUse


def exist(conn: Connection) -> bool:
    """Say whether the table is there; before the migration that makes it nothing is counted."""
    return bool(sql.fetch(conn, "looking for the requests", "requests/find_requests")[0][0])


def read(conn: Connection, feed: Feed, budget: Budget | None) -> ApiUse:
    """Return what the feed has cost until now."""
    with connection.transaction(conn, "reading the requests") as cur:
        return _read(cur, feed, _now(cur), budget)


def add(
    conn: Connection,
    feed: Feed,
    counts: Mapping[str, int],
    budget: Budget | None,
    hour: datetime | None = None,
) -> ApiUse:
    """Count requests that were sent, in this hour or in another one; return what all have cost.

    Does not wait for the disk, and hardly for locks. Raises `DatabaseError`: nothing is counted
    then.
    """
    with within(conn, ANSWER_S), connection.transaction(conn, "counting requests") as cur:
        sql.run(cur, "session/set_brief")
        now = _now(cur)
        _add(cur, feed, hour or _hour_of(now), counts)
        return _read(cur, feed, now, budget)


def reserve(
    conn: Connection,
    feed: Feed,
    budget: Budget,
    wanted: int,
    counts: Mapping[str, int],
    hour: datetime | None,
    *,
    too_late_s: float,
) -> Reservation:
    """Reserve at most `wanted` requests of what is left, and count those that were sent.

    `counts` are counted in the `hour` in which they were reserved. Nothing is reserved in the last
    `too_late_s` seconds of a window. Two sessions wait for each other; what is reserved is on the
    disk.
    """
    with connection.transaction(conn, "reserving requests") as cur:
        sql.run(cur, "requests/lock_requests", feed.key)
        now = _now(cur)
        this_hour, window = _hour_of(now), window_of(now, budget.per)
        _add(cur, feed, hour or this_hour, counts)
        use = _read(cur, feed, now, budget)
        ends_in_s = (window.ends_at - now).total_seconds()
        left = use.budget.left if use.budget and ends_in_s > too_late_s else 0
        granted = min(wanted, left)
        if granted:
            _add(cur, feed, this_hour, {RESERVED: granted})
            use = _read(cur, feed, now, budget)
    return Reservation(granted, ends_in_s, window.begins_at, this_hour, use)


def prune(conn: Connection, feed: Feed, keep_days: float) -> int:
    """Delete what is older than `keep_days` days, and than any budget's window; count the lines."""
    parameters = {**feed.key, "keep_s": max(keep_days, KEEP_DAYS) * 86_400}
    with connection.transaction(conn, "pruning requests") as cur:
        return sql.run(cur, "requests/prune_requests", parameters)


def _now(cur: Cursor) -> datetime:
    at: datetime = sql.one(cur, "runs/find_clock")[0]
    return at.astimezone(UTC)


def _hour_of(now: datetime) -> datetime:
    return window_of(now, "hour").begins_at


def _add(cur: Cursor, feed: Feed, hour: datetime, counts: Mapping[str, int]) -> None:
    changed = {kind: count for kind, count in counts.items() if count}
    if changed:
        given = {"hour": hour, "kinds": list(changed), "counts": list(changed.values())}
        sql.run(cur, "requests/add_requests", {**feed.key, **given})


def _read(cur: Cursor, feed: Feed, now: datetime, budget: Budget | None) -> ApiUse:
    day_at = window_of(now, "day").begins_at
    window_at = day_at if budget is None else window_of(now, budget.per).begins_at
    since = {"day_at": day_at, "window_at": window_at}
    found = sql.rows(cur, "requests/sum_requests", {**feed.key, **since})
    today = {kind: int(of_day or 0) for kind, of_day, _ in found}
    return use_of(now, today, budget, sum(int(of_window or 0) for _, _, of_window in found))
