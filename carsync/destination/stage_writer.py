"""Batches of mapped pages written into staging, rows and ledger lines in one transaction."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple, replace

from carsync import failpoints
from carsync.config.sections import LoadMethod
from carsync.destination import superseded
from carsync.destination.refused_rows import insert_rejects, refused_row
from carsync.destination.staging import list_types, staged_page, tables, tombstone_tables
from carsync.destination.unchanged_rows import UnchangedRows
from carsync.errors import DatabaseBusyError, DatabaseError, DatabasePermissionError
from carsync.model import Column, MappedPage, PageInfo, Reject, Row, StagedPage, Target
from carsync.packed_rows import keys_of
from carsync.postgres import connection, errors, sql
from carsync.postgres.halving import by_halves
from carsync.postgres.sql import Cursor
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state import runs

_MOST_ROWS = 10_000
"""Of one page, in one statement."""
_MOST_ABSENT = 20_000
"""A writer keeps so many absent cars in mind (4 MB); of more the server finds those on a page."""


class StageWriter:
    """Stages batches of pages of one run over one connection, as long as `token` is the run's.

    `columns` are the mapping's, in row order; no reject keeps the API's `secrets`. Both load
    methods leave the same rows. `is_removals`: the pages are those of tombstones.
    """

    def __init__(
        self,
        conn: Connection,
        run_id: int,
        token: str,
        columns: Sequence[Column],
        load_method: LoadMethod,
        secrets: Sequence[Secret] = (),
        *,
        is_removals: bool = False,
    ) -> None:
        self._conn = conn
        self._secrets = secrets
        self._run_id = run_id
        self._names = [column.name for column in columns]
        self._columns = columns
        names = sql.identifiers(self._names)
        own = tombstone_tables(run_id) if is_removals else tables(run_id)
        self._staging, self._ledger = own["staging"], own["ledger"]
        self._parts: dict[str, sql.Composable] = {"staging": self._staging, "columns": names}
        claim = {"ledger": self._ledger, "run_id": sql.literal(run_id)}
        claim |= {"token": sql.literal(token), "latest_run": superseded.latest_run(run_id)}
        self._claim = sql.load("staging/insert_ledger", **claim)
        self._seen = sql.load("staging/record_seen", run_id=claim["run_id"])
        self._list_absent = sql.load("staging/list_absent", run_id=claim["run_id"])
        self._absent: frozenset[str] | None = frozenset() if is_removals else None
        self._unchanged = None if is_removals else UnchangedRows(conn, run_id)
        self._are_many_absent = False
        self._copy = sql.load("staging/copy_staging", **self._parts)
        self._insert_json: sql.Composable | None = None
        self._encode_json = _json_encoder(columns)
        self._load_all = self._load_json if load_method == "execute_values" else self._load_copy

    def stage(self, pages: Sequence[MappedPage]) -> tuple[StagedPage, ...]:
        """Stage `pages`, which grow older meanwhile, in one transaction.

        A page that the ledger holds already stays as it is. A value that PostgreSQL refuses
        costs its row, which becomes a reject, never the batch. While somebody has locked the
        target, and where the role may not read it, rows are staged without a look at it.
        Returns the ledger lines of the pages, in order.
        Raises `DatabaseError`, or `LockedError` where the run is another process's by now;
        nothing is staged then.
        """
        once = {page.page: page for page in pages}
        begun_s = time.monotonic()
        try:
            return self._stage(once, begun_s, self._load)
        except (DatabaseError, ValueError) as exc:
            if not errors.is_refusal(exc) and not self._look_away(exc):
                raise
            return self._stage(once, begun_s, self._load_carefully)

    def _look_away(self, exc: BaseException) -> bool:
        """Say whether a look at the target may be to blame; then the next batches take none."""
        unchanged = self._unchanged
        if unchanged is None or not isinstance(exc, DatabaseBusyError | DatabasePermissionError):
            return False
        if isinstance(exc, DatabasePermissionError):  # a worker of a cluster may have its own role
            self._unchanged = None
        unchanged.pause()
        return True

    def count_same(self, target: Target, rows: Sequence[Row]) -> int:
        """Return how many of the rows are staged already, with the very same values.

        An unchanged one is where it lacks nothing that its row of the `target` has.
        """
        values = [sql.identifier("r", name) for name in _short_names(len(self._names))[1:]]
        theirs = zip(values[1:], self._names[1:], strict=True)
        lacking = (
            sql.load("staging/is_lacking", value=value, column=sql.identifier("t", name))
            for value, name in theirs
        )
        parts = {
            **tables(self._run_id),
            "columns": sql.identifiers(self._names, "s"),
            "values": sql.comma_separated(values),
            "data_hash": values[-1],
            "is_lacking": sql.comma_separated(lacking),
        }
        with connection.transaction(self._conn, "comparing records") as cur:
            parts |= {**target_parts(cur, target), "fields": self._fields(cur)}
            query = sql.load("staging/count_same", **parts)
            return int(sql.one(cur, query, {"rows": self._encode_json(rows)})[0])

    def stage_unlisted(self, rows: Sequence[Row], age_s: float) -> None:
        """Stage rows of records that no page lists, asked for `age_s` seconds ago."""
        query = sql.load("staging/find_free_page", ledger=self._ledger)
        ((page,),) = sql.fetch(self._conn, "staging records", query)
        numbered = tuple((ordinal, *row[1:]) for ordinal, row in enumerate(rows))
        self.stage([MappedPage(page, numbered, (), len(rows), PageInfo(), age_s)])

    def _stage(
        self,
        pages: dict[int, MappedPage],
        begun_s: float,
        load: Callable[[Cursor, list[MappedPage]], None],
    ) -> tuple[StagedPage, ...]:
        with connection.transaction(self._conn, "staging pages") as cur:
            failpoints.reach("stage.begun")
            fresh = self._claim_pages(cur, pages.values(), time.monotonic() - begun_s)
            failpoints.reach("stage.claimed")
            new_pages = [page for number, page in pages.items() if number in fresh]
            load(cur, new_pages)
            self._insert_rejects(cur, ((p.page, r) for p in new_pages for r in p.rejects))
            self._record_seen(cur, new_pages)
            query = sql.load("staging/read_ledger_pages", ledger=self._ledger)
            lines = sql.rows(cur, query, {"pages": list(pages)})
            if len(lines) < len(pages):
                raise runs.not_ours(self._run_id)
            failpoints.reach("stage.loaded")
        stored = {line[0]: staged_page(line) for line in lines}
        return tuple(stored[number] for number in pages)

    def _claim_pages(self, cur: Cursor, pages: Iterable[MappedPage], passed_s: float) -> set[int]:
        claims = [
            (
                *(p.page, len(p.rows), len(p.rejects), p.records, *astuple(p.info)),
                p.age_s + passed_s,
                sql.storable(cur, msgspec.json.encode(p.notes).decode()),
            )
            for p in pages
        ]
        template = (
            "(%s, %s, %s, %s, %s::integer, %s::bigint, %s::text, %s::boolean, %s::float8, "
            "%s::jsonb)"
        )
        sql.insert_values(cur, self._claim, claims, template)
        return {page for (page,) in cur.fetchall()}

    def _load(self, cur: Cursor, pages: list[MappedPage]) -> None:
        """Load the rows of pages; of those that are unchanged without their values."""
        self._load_all(cur, self._unchanged.stage(cur, pages) if self._unchanged else pages)

    def _load_json(self, cur: Cursor, pages: list[MappedPage]) -> None:
        """Load in statements that are answered within seconds, however long a page is."""
        if self._insert_json is None:
            fields = self._fields(cur)
            self._insert_json = sql.load("staging/insert_staging", **self._parts, fields=fields)
        whole: list[tuple[int, Sequence[Row]]] = []
        rests: list[tuple[int, Sequence[Row]]] = []
        for page in pages:
            for at in range(0, len(page.rows), _MOST_ROWS):
                rows = page.rows[at : at + _MOST_ROWS]
                (whole if len(rows) == _MOST_ROWS else rests).append((page.page, rows))
        for parts in filter(None, [*([part] for part in whole), rests]):
            bodies = [(number, self._encode_json(rows)) for number, rows in parts]
            with connection.role_path(cur):
                sql.insert_values(cur, self._insert_json, bodies)

    def _fields(self, cur: Cursor) -> sql.Composable:
        """Compose the names and types of a JSON row: the types are the staging table's."""
        types = list_types(cur, self._staging)
        own = ["integer", *(types.get(c.name, c.type) for c in self._columns)]
        return sql.comma_separated(map(sql.definition, _short_names(len(self._columns)), own))

    def _load_copy(self, cur: Cursor, pages: list[MappedPage]) -> None:
        text = "".join([copy_line((page.page, *row)) for page in pages for row in page.rows])
        if text:
            with connection.role_path(cur):
                sql.copy_from(cur, self._copy, io.BytesIO(text.encode()))

    def _load_carefully(self, cur: Cursor, pages: list[MappedPage]) -> None:
        """Load all rows but those that PostgreSQL refuses; these become rejects."""
        for page in pages:
            if refused := self._load_by_halves(cur, page):
                self._insert_rejects(cur, ((page.page, reject) for reject in refused))
                query = sql.load("staging/correct_ledger", ledger=self._ledger)
                sql.run(cur, query, {"page": page.page, "refused": len(refused)})

    def _load_by_halves(self, cur: Cursor, page: MappedPage) -> list[Reject]:
        """Load a page but for its refused rows; return these as rejects.

        COPY names the column in its errors.
        """
        refused = []

        def attempt(places: range) -> None:
            self._load_copy(cur, [replace(page, rows=page.rows[places.start : places.stop])])

        def refuse(place: int, exc: Exception) -> None:
            refused.append(self._refusal(page.rows[place], exc))

        by_halves(cur, range(len(page.rows)), attempt, refuse)
        return refused

    def _refusal(self, row: Row, exc: BaseException) -> Reject:
        """Return the reject for a mapped row that PostgreSQL refused; `id` is its first column."""
        ordinal, record_id, *_ = row
        text = json.dumps(dict(zip(self._names, row[1:], strict=True)))
        known_id = record_id if _is_storable(record_id) else None
        return refused_row(ordinal, known_id, text, exc, self._secrets)

    def _insert_rejects(self, cur: Cursor, rejects: Iterable[tuple[int, Reject]]) -> None:
        insert_rejects(cur, self._run_id, rejects, self._ledger)

    def _record_seen(self, cur: Cursor, pages: Iterable[MappedPage]) -> None:
        """Record which absent cars are on the pages, so that it outlives the staging tables.

        No other run of the source adds absent cars meanwhile: this one has the target's lock.
        """
        if self._absent is None:
            found = sql.rows(cur, self._list_absent, {"limit": _MOST_ABSENT + 1})
            self._are_many_absent = len(found) > _MOST_ABSENT
            self._absent = frozenset(i for (i,) in found)
        if not self._absent:
            return
        ids: set[str | None] = {i for page in pages for _, i, _ in keys_of(page.rows)}
        ids.update(reject.record_id for page in pages for reject in page.rejects)
        if self._are_many_absent:
            ids = {i for i in ids if i is not None and _is_storable(i)}
            sql.run(cur, "session/set_by_index")
        else:
            ids &= self._absent
        if ids:
            sql.run(cur, self._seen, {"ids": list(ids)})


def _short_names(columns: int) -> list[str]:
    """Return the JSON keys of the ordinal and the columns: short, for they repeat."""
    return [f"c{i}" for i in range(columns + 1)]


def _json_encoder(columns: Sequence[Column]) -> Callable[[Sequence[Row]], str]:
    """Return a function that writes rows as a JSON array of objects with short keys.

    JSON columns hold JSON text already and go in as they are. Encoding structs takes a
    third of the time that dictionaries take.
    """
    keys = _short_names(len(columns))
    record: Any = msgspec.defstruct("StagedRow", [(key, Any) for key in keys], gc=False)
    raw_at = [i for i, column in enumerate(columns, start=1) if column.type == "jsonb"]
    encode = msgspec.json.encode

    def encode_rows(rows: Sequence[Row]) -> str:
        records = []
        for row in rows:
            values = list(row)
            for i in raw_at:
                if values[i] is not None:
                    values[i] = msgspec.Raw(values[i].encode())
            records.append(record(*values))
        return encode(records).decode()

    return encode_rows


def copy_line(row: Row) -> str:
    r"""Write a row as a line of COPY's text format (manual, COPY, "Text Format").

    Looking first whether a text needs an escape takes a quarter of `str.translate`'s time.

    >>> copy_line((1, None, True, "a\tb"))
    '1\t\\N\tTrue\ta\\tb\n'
    """
    fields = []
    for value in row:
        if type(value) is str:
            if "\\" in value:
                value = value.replace("\\", "\\\\")
            if "\t" in value or "\n" in value or "\r" in value:
                value = value.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
            fields.append(value)
        else:
            fields.append("\\N" if value is None else str(value))
    return "\t".join(fields) + "\n"


def _is_storable(text: str) -> bool:
    """Say whether PostgreSQL can hold a text: it has no NUL and no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
