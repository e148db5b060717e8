"""The demo's checks: the table, and what a run reports, against what the feed really holds.

The truth comes from the simulator's `Feed`, mapped by the real mapper. Each check reads
the table anew.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from carsync import formatting
from carsync.config.parser import parse
from carsync.demo.feed import Feed, FeedOptions
from carsync.errors import DatabaseError
from carsync.mapping.mapper import Mapper
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection
from carsync.redaction import Secret

PAGE_ROWS = 100
SESSIONS_END_S = 20.0


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
    """Compares the default table at `dsn` with snapshots of `feed`, which `options` describe."""

    def __init__(self, options: FeedOptions, dsn: str) -> None:
        config = parse("", {})
        # A feed of its own: the simulator's belongs to the simulator's thread.
        self.feed = Feed(options)
        self._dsn = Secret(dsn)
        self._target = config.target
        self._source = config.sync.source
        self._mapper = Mapper.load(config)
        self._constants = {column.name: value for column, value in self._mapper.constants}
        self._constants["source_api"] = self._source
        self._columns = (*(column.name for column in self._mapper.columns), *self._constants)

    def pages(self, number: int) -> int:
        """Return the number of pages of snapshot `number`."""
        return self.feed.page_count(self.feed.at(number), PAGE_ROWS)

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
        listed = set(map(str, self.feed.at(number).ids))
        before = {str(car) for past in range(number) for car in self.feed.at(past).ids}
        with self._connection() as conn:
            found = dict(self._ask(conn, "demo/list_activity", source=self._source))
        active = {car for car, is_active in found.items() if is_active}
        gone = before - listed
        wrong = (active ^ listed) | (found.keys() ^ (listed | gone))
        text = f"{len(active):,} active"
        if wrong:
            text += f", the feed lists {len(listed):,}; {len(wrong):,} differ, one is {min(wrong)}"
        else:
            text += ": exactly the cars that the feed lists"
            text += f"; {len(gone):,} inactive" if gone else ""
        return CheckResult(not wrong, "ids", text)

    def check_rows(self, number: int) -> CheckResult:
        """Compare every column of every listed car with the feed's record, mapped anew."""
        wrong: dict[str, str] = {}
        with self._connection() as conn:
            for page in range(1, self.pages(number) + 1):
                expected = self._expected(number, page)
                rows = self._ask(conn, "demo/list_cars", ids=list(expected))
                found = {row[0]: row for row in rows}
                wrong |= {
                    car: self._difference(found.get(car), row)
                    for car, row in expected.items()
                    if found.get(car) != row
                }
        total = len(self.feed.at(number).ids)
        columns = formatting.plural(len(self._columns), "column")
        text = f"all {total:,} equal the feed's records in all {columns}"
        if wrong:
            car, difference = min(wrong.items())
            text = f"{len(wrong):,} of {total:,} differ; {car}: {difference}"
        return CheckResult(not wrong, "rows", text)

    def check_writes(self, before: Writes, number: int, since: int | None = None) -> CheckResult:
        """Compare the row versions written since `before` with what changed in the feed."""
        added, changed, removed = self._changes(number, since)
        wanted = Writes(added, changed + removed, 0)
        written = self.writes().since(before)
        what = zip(written, ("row insert", "update", "delete"), strict=True)
        text = ", ".join(formatting.plural(number, noun) for number, noun in what)
        if written == wanted == NOTHING:
            text = "none: n_tup_ins, n_tup_upd, n_tup_del of the table unmoved"
        elif written == wanted:
            text += ": as many as needed"
        else:
            text += f"; needed were {wanted[0]:,}, {wanted[1]:,}, {wanted[2]:,}"
        return CheckResult(written == wanted, "writes", text)

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
            found = self._ask(conn, "demo/count_writes", target=str(self._target))
        return Writes(*found[0]) if found else NOTHING

    def _changes(self, number: int, since: int | None) -> tuple[int, int, int]:
        """Return how many cars were added, changed and removed."""
        if since is None:
            return len(self.feed.at(number).ids), 0, 0
        truth = self.feed.truth(number, since)
        return truth.added, truth.changed, truth.removed

    def _expected(self, number: int, page: int) -> dict[str, tuple[Any, ...]]:
        """Return the rows of a page of the feed by id, as PostgreSQL gives them back."""
        body = self.feed.page_body(self.feed.at(number), page, PAGE_ROWS)
        types = [column.type for column in self._mapper.columns]
        constants = tuple(self._constants.values())
        mapped = self._mapper.map_page(body).rows
        return {row[1]: (*map(_as_stored, row[1:], types), *constants) for row in mapped}

    def _difference(self, found: tuple[Any, ...] | None, expected: tuple[Any, ...]) -> str:
        if found is None:
            return "is not in the table"
        cells = zip(self._columns, found, expected, strict=True)
        return next(f"{name} is {has}, not {wants}" for name, has, wants in cells if has != wants)

    def _ask(self, conn: Connection, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        columns = sql.identifiers(self._columns)
        query = sql.load(name, target=sql.table(self._target), columns=columns)
        return sql.fetch(conn, "checking the table", query, parameters or None)

    def _connection(self) -> closing[Connection]:
        return closing(connection.connect(self._dsn, application_name="carsync demo"))


def check_requests(
    log: Sequence[tuple[float, str, int]], pages: int, kept: Collection[int]
) -> CheckResult:
    """Compare the API's log (moment, target, status) with the pages that were still to be read.

    >>> asked = [(0.0, "/cars?page=1", 200), (0.1, "/cars?page=2", 200)]
    >>> check_requests(asked, 1, ()).passed
    True
    """
    queries = [parse_qs(urlsplit(target).query) for _, target, _ in log]
    read = sorted(int(query["page"][0]) for query in queries if "page" in query)
    by_id = len(log) - len(read)
    refused = sum(status == HTTPStatus.TOO_MANY_REQUESTS for _, _, status in log)
    # The page behind the last one is asked for too: does the feed end where it says?
    wanted = [page for page in range(1, pages + 2) if page not in kept]
    if refused:
        text = f"{formatting.part(refused, len(log), 'request')} refused with 429: too fast"
        return CheckResult(False, "API", text)
    if read != wanted:
        text = f"{formatting.plural(len(read), 'request')} for pages, {len(wanted):,} needed"
        return CheckResult(False, "API", text)
    text = f"{formatting.plural(len(wanted), 'page')} read once each"
    if kept:
        others = f"the other {len(wanted):,} read once each"
        text = f"{formatting.plural(len(kept), 'page')} kept, {others}"
    if by_id:
        text += f", {formatting.plural(by_id, 'car')} by id"
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
