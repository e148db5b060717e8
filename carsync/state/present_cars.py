"""The cars of a table as they are, for whoever begins to follow its changes."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Raw, Struct

from carsync.model import Target
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection
from carsync.state.change_feed import FeedCursor
from carsync.state.feed_windows import WindowSize, visible_rows

WINDOW_ROWS = 2_000
"""Rows that are read in one transaction at most, so that none is long."""


class PresentCar(Struct, frozen=True):
    """A car of the table, active or not: `row` is all of it; follow its changes from `cursor`."""

    cursor: FeedCursor
    id: str
    row: Raw


def read_table(conn: Connection, target: Target, cursor: FeedCursor) -> Iterator[list[PresentCar]]:
    """Give all cars of the target in order of ids, at most `WINDOW_ROWS` at a time.

    `cursor` was the feed's end before: a car is as it was then, or as the feed says behind it.
    """
    after: str | None = None
    size = WindowSize(WINDOW_ROWS)
    while True:
        with connection.transaction(conn, "reading the table") as cur:
            query = sql.load("changes/list_present", **visible_rows(cur, target))
            found = sql.rows(cur, query, {"after": after, "limit": size.lines})
        if not found:
            return
        size.note(len(found), sum(len(row) for _, row in found))
        yield [PresentCar(cursor, id_, Raw(row.encode())) for id_, row in found]
        after = found[-1][0]
