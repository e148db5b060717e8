"""The demo's checks: the table, and what a run reports, against what the feed really holds.

The truth comes from the simulator's `Feed`, mapped by the real mapper. Each check reads
the table anew.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from carsync.config.parser import parse
from carsync.demo.feed import Feed, FeedOptions, Truth
from carsync.errors import DatabaseError
from carsync.mapping.mapper import Mapper
from carsync.postgres import connection, sql
from carsync.postgres.connection import Connection
from carsync.redaction import Secret

PAGE_ROWS = 100
SESSIONS_END_S = 20.0
_DOING = "checking the table"


class CheckResult(Struct, frozen=True):
    """The result of one check: its `subject` in a word, its `text` in a line."""

    passed: bool
    subject: str
    text: str


class Writes(NamedTuple):
    """The row versions written into the table since its creation (pg_stat_user_tables)."""

    inserted: int
    updated: int
    deleted: int

    def since(self, before: Writes) -> Writes:
        """Return the number of row versions written after `before`."""
        return Writes(*(now - then for now, then in zip(self, before, strict=True)))


NOTHING = Writes(0, 0, 0)


class Checker:
    """Compares the default table at `dsn` with snapshots of the feed that `options` describe."""

    def __init__(self, options: FeedOptions, dsn: str) -> None:
        config = parse("", {})
        # A feed of its own: the simulator's belongs to the simulator's thread.
        self._feed = Feed(options)
        self._dsn = Secret(dsn)
        self._target = config.target
        self._source = config.sync.source
        self._mapper = Mapper.load(config)
        self._constants = {column.name: value for column, value in self._mapper.constants}
        self._constants["source_api"] = self._source
        self._columns = (*(column.name for column in self._mapper.columns), *self._constants)

    def truth(self, number: int, since: int | None = None) -> Truth:
        """Return what a sync of snapshot `number` must find in a feed read at snapshot `since`."""
        return self._feed.truth(number, since)

    def pages(self, number: int) -> int:
        """Return the number of pages of snapshot `number`."""
        return self._feed.page_count(self._feed.at(number), PAGE_ROWS)

    def check_counts(
        self, counts: Mapping[str, int], number: int, since: int | None = None
    ) -> CheckResult:
        """Compare the counts a run reports with what changed in the feed; None: a first sync."""
        seen = {name: counts.get(name) for name in ("inserted", "updated", "deactivated")}
        true = dict(zip(seen, self._changes(number, since), strict=True))
        said = ", ".join(f"{value:,} {name}" for name, value in true.items())
        if seen == true:
            return CheckResult(True, "counts", f"{said}: as in the feed")
        reported = ", ".join(f"{value} {name}" for name, value in seen.items())
        return CheckResult(False, "counts", f"{reported}; the feed has {said}")

    def check_ids(self, number: int) -> CheckResult:
        """Compare active ids with the cars listed, inactive ids with the cars listed before."""
        listed = set(map(str, self._feed.at(number).ids))
        before = {str(car) for past in range(number) for car in self._feed.at(past).ids}
        with self._connection() as conn:
            found = dict(self._ask(conn, "demo/list_activity", {"source": self._source}))
        active = {car for car, is_active in found.items() if is_active}
        gone = before - listed
        wrong = (active ^ listed) | (found.keys() ^ (listed | gone))
        if not wrong:
            text = f"{len(active):,} active: exactly the cars that the feed lists"
            if gone:
                text += f"; {len(gone):,} inactive"
            return CheckResult(True, "ids", text)
        return CheckResult(
            False,
            "ids",
            f"{len(active):,} active, the feed lists {len(listed):,}; "
            f"{len(wrong):,} differ, one is {min(wrong)}",
        )

    def check_rows(self, number: int) -> CheckResult:
        """Compare every column of every listed car with the feed's record, mapped anew."""
        wrong: dict[str, str] = {}
        with self._connection() as conn:
            for page in range(1, self.pages(number) + 1):
                expected = self._expected(number, page)
                found = self._found(conn, list(expected))
                wrong |= {
                    car: self._difference(found.get(car), row)
                    for car, row in expected.items()
                    if found.get(car) != row
                }
        total = len(self._feed.at(number).ids)
        if not wrong:
            text = f"all {total:,} equal the feed's records in all {len(self._columns)} columns"
            return CheckResult(True, "rows", text)
        car, difference = min(wrong.items())
        return CheckResult(
            False, "rows", f"{len(wrong):,} of {total:,} differ; {car}: {difference}"
        )

    def check_writes(self, before: Writes, number: int, since: int | None = None) -> CheckResult:
        """Compare the row versions written since `before` with what changed in the feed."""
        added, changed, removed = self._changes(number, since)
        wanted = Writes(added, changed + removed, 0)
        written = self.writes().since(before)
        if written == wanted == NOTHING:
            text = "none: n_tup_ins, n_tup_upd, n_tup_del of the table unmoved"
            return CheckResult(True, "writes", text)
        text = f"{written[0]:,} row inserts, {written[1]:,} updates, {written[2]:,} deletes"
        if written == wanted:
            return CheckResult(True, "writes", f"{text}: not one more than needed")
        needed = f"{wanted[0]:,}, {wanted[1]:,}, {wanted[2]:,}"
        return CheckResult(False, "writes", f"{text}; needed were {needed}")

    def writes(self) -> Writes:
        """Return the row versions written so far, once every other session has ended."""
        deadline_s = time.monotonic() + SESSIONS_END_S
        with self._connection() as conn:
            while self._ask(conn, "demo/count_sessions")[0][0]:
                if time.monotonic() > deadline_s:
                    raise DatabaseError(
                        f"a session is still open {SESSIONS_END_S:.0f} s after carsync's end",
                        hint="close what else is connected to the demo's database",
                    )
                time.sleep(0.02)
            found = self._ask(conn, "demo/count_writes", {"target": str(self._target)})
        return Writes(*found[0]) if found else NOTHING

    def _changes(self, number: int, since: int | None) -> tuple[int, int, int]:
        """Return how many cars were added, changed and removed."""
        if since is None:
            return len(self._feed.at(number).ids), 0, 0
        truth = self._feed.truth(number, since)
        return truth.added, truth.changed, truth.removed

    def _expected(self, number: int, page: int) -> dict[str, tuple[Any, ...]]:
        """Return the rows of a page of the feed by id, as PostgreSQL gives them back."""
        body = self._feed.page_body(self._feed.at(number), page, PAGE_ROWS)
        types = [column.type for column in self._mapper.columns]
        constants = tuple(self._constants.values())
        rows = [
            (*map(_as_stored, row[1:], types), *constants)
            for row in self._mapper.map_page(body).rows
        ]
        return {row[0]: row for row in rows}

    def _found(self, conn: Connection, ids: list[str]) -> dict[str, tuple[Any, ...]]:
        """Return the table's rows by id."""
        return {row[0]: row for row in self._ask(conn, "demo/list_cars", {"ids": ids})}

    def _difference(self, found: tuple[Any, ...] | None, expected: tuple[Any, ...]) -> str:
        if found is None:
            return "is not in the table"
        column, has, wants = next(
            cell for cell in zip(self._columns, found, expected, strict=True) if cell[1] != cell[2]
        )
        return f"{column} is {has}, not {wants}"

    def _ask(
        self, conn: Connection, name: str, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        query = sql.load(
            name, target=sql.table(self._target), columns=sql.identifiers(self._columns)
        )
        return sql.fetch(conn, _DOING, query, parameters)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with closing(connection.connect(self._dsn, application_name="carsync demo")) as conn:
            yield conn


def check_requests(
    log: Sequence[tuple[float, str, int]], pages: int, kept: Collection[int]
) -> CheckResult:
    """Compare the API's log (moment, target, status) with the pages that were still to be read.

    >>> check_requests([(0.0, "/cars?page=1", 200)], 1, ()).passed
    True
    """
    read, by_id = [], 0
    for _, target, _ in log:
        page = parse_qs(urlsplit(target).query).get("page")
        if page:
            read.append(int(page[0]))
        else:
            by_id += 1
    refused = sum(status == HTTPStatus.TOO_MANY_REQUESTS for _, _, status in log)
    wanted = [page for page in range(1, pages + 1) if page not in kept]
    if refused:
        text = f"{refused:,} of {len(log):,} requests were too fast: refused with 429"
        return CheckResult(False, "API", text)
    if sorted(read) != wanted:
        text = f"{len(read):,} requests for pages where {len(wanted):,} pages were to be read"
        return CheckResult(False, "API", text)
    text = f"{len(kept):,} pages were kept, the other " if kept else ""
    text += f"{len(wanted):,} {'' if kept else 'pages '}read once each"
    if by_id:
        text += f", {by_id:,} cars by id"
    return CheckResult(True, "API", text if kept else f"{text}; none refused (429)")


def _as_stored(value: Any, column_type: str) -> Any:
    """Return a mapped value as psycopg2 returns it from a column of that type.

    >>> _as_stored(12500.5, "numeric"), _as_stored('["a"]', "jsonb")
    (Decimal('12500.5'), ['a'])
    """
    if value is None:
        return None
    if column_type == "numeric":
        return Decimal(str(value))
    if column_type == "jsonb":
        return msgspec.json.decode(value)
    if column_type == "timestamptz":
        return datetime.fromisoformat(value)
    return value
