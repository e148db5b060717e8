"""The feed of changes of a table: the lines of `carsync.changes` in the order of commits.

A transaction that wrote lines is a batch, and has one row in `carsync.change_batches`. Its
position is drawn under a lock that is held until it is committed: no reader ever finds a batch
before one that it has already seen. A cursor names a batch, and a line in it or its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Raw, Struct
from msgspec.structs import asdict, replace

from carsync.errors import CursorError, DatabaseError
from carsync.model import RowAction, Target
from carsync.postgres import connection, sql
from carsync.postgres.errors import is_refusal
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.wait import Connection
from carsync.state.changes import FORGOTTEN
from carsync.state.feed_windows import WindowSize, visible_rows

WINDOW_LINES = 5_000
"""Lines that are read in one transaction at most, so that none is long."""

_CURSOR = re.compile(r"(?P<position>\d{1,18})-(?P<token>[0-9a-f]{8})(-(?P<line>\d{1,18}))?")
_ANEW = "begin anew with `--since table`: all cars as they are now, then what changes"


class FeedCursor(Struct, frozen=True):
    """A place in the feed: behind a line of a batch, or behind the whole batch (`line` None)."""

    position: int
    token: str
    line: int | None = None

    @classmethod
    def parse(cls, text: str) -> FeedCursor:
        """Read a cursor's text; raise `CursorError` where it is none.

        >>> FeedCursor.parse("42-9f3a77c0-1001").line
        1001
        """
        found = _CURSOR.fullmatch(text.strip())
        if found is None:
            raise CursorError(
                "this is no cursor of the feed of changes",
                detail=f"--since was given {text[:60]!r}",
                hint="give the cursor of the last line that you handled, `start`, `now` or `table`",
            )
        line = found["line"]
        return cls(int(found["position"]), found["token"], None if line is None else int(line))

    def __str__(self) -> str:
        """Return the text that consumers keep.

        >>> str(FeedCursor(42, "9f3a77c0"))
        '42-9f3a77c0'
        """
        place = f"{self.position}-{self.token}"
        return place if self.line is None else f"{place}-{self.line}"


def cursor_behind(position: int, token: str) -> FeedCursor:
    """Return the cursor behind a whole batch; `token` is the text of its UUID."""
    return FeedCursor(position, token[:8])


class Change(Struct, frozen=True):
    """One line of the feed: what a run did to a car; `cursor` is the place behind it.

    `before` and `after` hold the changed columns as JSON of their types, None for a car that was
    inserted; of a deleted car `before` is the whole row. `row` is the car's row as it is now, None
    where it is gone or was not asked for.
    """

    cursor: FeedCursor
    run_id: int
    source: str
    at: datetime
    id: str
    action: RowAction
    before: Raw | None
    after: Raw | None
    row: Raw | None = None

    @property
    def size(self) -> int:
        """The bytes of its values."""
        return sum(len(bytes(raw)) for raw in (self.before, self.after, self.row) if raw)


class _Batch(Struct, frozen=True):
    position: int
    token: str
    run_id: int
    source: str
    first_line: int | None
    last_line: int | None
    committed_at: datetime
    changes_origin: str | None
    schema_name: str | None
    table_name: str | None

    @property
    def end(self) -> FeedCursor:
        return cursor_behind(self.position, self.token)

    def behind(self, line: int) -> FeedCursor:
        """Return the cursor behind a line; behind the last one it is the batch's end."""
        return self.end if line == self.last_line else replace(self.end, line=line)

    def has_ends(self, found: Sequence[Change], after: int, until: int) -> bool:
        """Say whether its first and its last line were found, where they are in a window.

        Whoever empties the table, or puts a backup without it back, leaves the batch.
        """
        assert self.first_line is not None
        cursors = {change.cursor for change in (*found[:1], *found[-1:])}
        ends = (self.first_line, self.last_line or 0)
        return all(self.behind(line) in cursors for line in ends if after < line <= until)

    @property
    def is_kept(self) -> bool:
        """Whether all of its lines are on record."""
        is_recorded = self.first_line is not None and self.changes_origin is not None
        return is_recorded and self.changes_origin not in FORGOTTEN


class FeedReader:
    """Reads the feed of a table from a cursor on; `cursor` is the place behind what was read.

    Each window of lines is read in a transaction of its own.
    """

    def __init__(
        self, conn: Connection, target: Target, cursor: FeedCursor, *, with_rows: bool = False
    ) -> None:
        self._connection = conn
        self._target = target
        self._with_rows = with_rows
        self._size = WindowSize(WINDOW_LINES)
        self.cursor = cursor

    def windows(self) -> Iterator[list[Change]]:
        """Give what there is behind the cursor, some lines at a time, until there is no more.

        Raises `CursorError` where the cursor is of another history, or where lines behind it are
        not on record, and `DatabaseError`.
        """
        while (batch := self._next_batch()) is not None:
            yield from self._batch(batch)
            self.cursor = batch.end

    def _next_batch(self) -> _Batch | None:
        """Return the batch to go on with, None where there is none; check the cursor first."""
        with connection.transaction(self._connection, "reading changes") as cur:
            sql.run(cur, "session/set_snapshot")
            here = _check(cur, self._target, self.cursor)
            if self.cursor.line is not None:
                batch: _Batch | None = here
            else:
                key = {**asdict(self._target), "position": self.cursor.position}
                found = sql.rows(cur, "changes/find_next_batch", key)
                batch = _Batch(*found[0]) if found else None
        if batch is not None and not batch.is_kept:
            raise _lost(self.cursor, batch)
        return batch

    def _batch(self, batch: _Batch) -> Iterator[list[Change]]:
        """Give the lines of a batch behind the cursor; the last one's cursor is the batch's end."""
        assert batch.first_line is not None
        assert batch.last_line is not None
        after = self.cursor.line or batch.first_line - 1
        while after < batch.last_line:
            until = min(after + self._size.lines, batch.last_line)
            found = self._window(batch, after, until)
            if not batch.has_ends(found, after, until):
                raise _lost(self.cursor, batch)
            self._size.note(len(found), sum(change.size for change in found))
            if found:
                self.cursor = found[-1].cursor
                yield found
            after = until

    def _window(self, batch: _Batch, after: int, until: int) -> list[Change]:
        try:
            return self._read(batch, after, until, is_typed=True)
        except DatabaseError as exc:
            if not is_refusal(exc):
                raise
        return self._read(batch, after, until, is_typed=False)  # a column's type was changed since

    def _read(self, batch: _Batch, after: int, until: int, *, is_typed: bool) -> list[Change]:
        with connection.transaction(self._connection, "reading changes") as cur:
            sql.run(cur, "session/set_snapshot")
            sql.run(cur, "session/set_by_index")
            key = {"run_id": batch.run_id, "after": after, "until": until}
            found = sql.rows(cur, self._query(cur, is_typed), key)
            now = _find_batch(cur, batch.position)
        if now is None or not now.is_kept:  # they may have been pruned between two windows
            raise _lost(self.cursor, batch)
        return [
            Change(
                batch.behind(line),
                batch.run_id,
                batch.source,
                batch.committed_at,
                id_,
                action,
                *map(_raw, (before, after_, row)),
            )
            for line, id_, action, before, after_, row in found
        ]

    def _query(self, cur: Cursor, is_typed: bool) -> Composable:
        values = {name: sql.identifier("c", name) for name in ("before", "after")}
        if is_typed:
            typed = _typed_value(cur, self._target)
            values = {
                name: sql.load("changes/typed_values", values=value, typed=typed)
                for name, value in values.items()
            }
        row = sql.literal(None)
        if self._with_rows:
            row = sql.load("changes/present_row", **visible_rows(cur, self._target))
        return sql.load("changes/list_lines", **values, row=row)


def find_head(conn: Connection, target: Target) -> FeedCursor:
    """Return the cursor behind all that is committed: read the table then, and follow from it."""
    return _find(conn, "changes/find_newest_batch", target)


def find_start(conn: Connection, target: Target) -> FeedCursor:
    """Return the oldest cursor behind which no line is missing."""
    return _find(conn, "changes/find_oldest_kept", target)


def _find(conn: Connection, name: str, target: Target) -> FeedCursor:
    found = sql.fetch(conn, "looking at the feed of changes", name, asdict(target))
    return cursor_behind(*found[0])


def is_standby(conn: Connection) -> bool:
    """Say whether the server is a standby, which tells nobody of news.

    Raises `DatabaseError` where the database has no feed of changes.
    """
    has_feed, in_recovery = sql.fetch(conn, "looking for the feed", "changes/find_feed")[0]
    if not has_feed:
        raise DatabaseError(
            "there is no feed of changes in this database yet", hint="`carsync migrate` creates it"
        )
    return bool(in_recovery)


def _find_batch(cur: Cursor, position: int) -> _Batch | None:
    found = sql.rows(cur, "changes/find_batch", {"position": position})
    return _Batch(*found[0]) if found else None


def _check(cur: Cursor, target: Target, cursor: FeedCursor) -> _Batch:
    """Return the batch of the cursor; raise `CursorError` where it is not of this history."""
    batch = _find_batch(cur, cursor.position)
    if batch is None or batch.end.token != cursor.token:
        raise CursorError(
            "this cursor is not of this database's feed of changes",
            detail=f"{cursor} is of another database, or of a state that was lost since: a backup "
            "was put back, or a standby took over",
            hint=_ANEW,
        )
    of = (batch.schema_name, batch.table_name)
    if batch.schema_name is not None and of != (target.schema, target.table):
        raise CursorError(
            "this cursor is of another table's feed of changes",
            detail=f"{cursor} is of {'.'.join(map(str, of))}, the configuration names {target}",
            hint="give the configuration of that table, or another cursor",
        )
    return batch


def _lost(cursor: FeedCursor, batch: _Batch) -> CursorError:
    """Return the error for a consumer that would be given a gap."""
    if batch.first_line is None:
        why = (
            "were not recorded: history.changes_keep_days was 0, or the run's record was elsewhere"
        )
    elif batch.changes_origin in FORGOTTEN:
        why = "are no longer recorded: they are older than history.changes_keep_days"
    else:
        why = "are no longer in carsync.changes: somebody deleted them, or a backup has none"
    return CursorError(
        "changes behind this cursor are missing from the feed",
        detail=f"the changes of run {batch.run_id} ({batch.committed_at:%F %T} UTC), behind "
        f"{cursor}, {why}",
        hint=_ANEW,
    )


def _typed_value(cur: Cursor, target: Target) -> Composable:
    """Compose what makes JSON of the text of a value, where that is no string in JSON."""
    types = sql.rows(cur, "changes/list_value_types", asdict(target))
    cases = (
        sql.load("changes/typed_value", names=sql.literal(names), type=sql.expression(type_))
        for type_, names in types
    )
    return sql.comma_separated([sql.literal(None), *cases])


def _raw(text: Any) -> Raw | None:
    return None if text is None else Raw(text.encode())
