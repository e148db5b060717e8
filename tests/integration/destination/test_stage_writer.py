"""Staged pages: rows and ledger lines together, whatever the values; fenced once taken over."""

from __future__ import annotations

import json
import math
from contextlib import closing
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carsync.config.api_sections import Auth
from carsync.config.sections import LoadMethod
from carsync.destination import stage_writer, staging
from carsync.destination.stage_writer import StageWriter
from carsync.errors import DatabaseError, LockedError
from carsync.model import Column, Row
from carsync.postgres import sql
from carsync.postgres.sql import Cursor
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state import runs
from tests.conftest import ask
from tests.support.effort import trials
from tests.support.merge_rig import COLUMNS, SOURCE, TARGET, Rig, car, cars, page, reject

METHODS: tuple[LoadMethod, ...] = ("execute_values", "copy")


both_methods = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def rig(conn: Connection) -> Rig:
    started = Rig(conn)
    started.begin()
    return started


def staged(rig: Rig) -> list[tuple[Any, ...]]:
    return ask(rig.conn, f"SELECT * FROM carsync.staging_{rig.run.run_id} ORDER BY page, ordinal")


@both_methods
def test_page_and_its_ledger_line_are_staged_together(rig: Rig, method: LoadMethod) -> None:
    lines = rig.stage(page(1, cars(range(3)), [reject(3, "9")]), page(2, []), method=method)
    assert [(line.page, line.rows, line.rejects, line.records) for line in lines] == [
        (1, 3, 1, 4),
        (2, 0, 0, 0),
    ]
    assert list(lines) == list(staging.read_ledger(rig.conn, rig.run.run_id))
    assert [row[:4] for row in staged(rig)] == [(1, i, str(i), "Kia") for i in range(3)]
    assert ask(rig.conn, "SELECT page, ordinal, record_id, reason FROM carsync.rejects") == [
        (1, 3, "9", "no make")
    ]


@both_methods
def test_a_long_page_is_staged_in_parts(
    rig: Rig, method: LoadMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_writer, "_MOST_ROWS", 3)
    pages = [page(1, cars(range(8))), page(2, cars(range(10, 12))), page(3, cars(range(20, 23)))]
    assert [line.rows for line in rig.stage(*pages, method=method)] == [8, 2, 3]
    assert [row[2] for row in staged(rig)] == [str(i) for i in (*range(8), 10, 11, *range(20, 23))]


@both_methods
def test_page_staged_already_keeps_its_first_rows(rig: Rig, method: LoadMethod) -> None:
    rig.stage(page(1, cars(range(3))), method=method)
    lines = rig.stage(page(1, cars(range(5), "b")), page(2, cars([7])), method=method)
    assert [line.rows for line in lines] == [3, 1]
    assert [row[2] for row in staged(rig)] == ["0", "1", "2", "7"]


@both_methods
def test_same_page_twice_in_one_batch_is_staged_once(rig: Rig, method: LoadMethod) -> None:
    rig.stage(page(1, cars(range(3))), page(1, cars(range(3))), method=method)
    assert len(staged(rig)) == 3


TRICKY = [
    "",
    "\\",
    "\\N",
    "\\.",
    "\t\n\r\v\f\b",
    "'\"",
    "%s %(x)s {}",
    "\x01\x7f\x85",
    "ß…\u2028😀",
]


@both_methods
def test_every_text_arrives_as_it_is(rig: Rig, method: LoadMethod) -> None:
    rig.stage(page(1, [car(f"{i}", make=text) for i, text in enumerate(TRICKY)]), method=method)
    assert [row[3] for row in staged(rig)] == TRICKY


VALUES = (
    Column("id", "text"),
    Column("t", "text"),
    Column("i", "integer"),
    Column("n", "numeric"),
    Column("b", "boolean"),
    Column("j", "jsonb"),
    Column("data_hash", "text"),
)


# PostgreSQL's jsonb holds neither NUL nor a number beyond numeric; the mapping rejects both.
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


_rows = st.tuples(
    _texts,
    st.none() | _texts,
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.booleans(),
    st.none() | _json.map(json.dumps) | _json.map(lambda v: json.dumps(v, ensure_ascii=False)),
)


@both_methods
@settings(
    max_examples=trials(30, 1_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=st.lists(_rows, min_size=1, max_size=5))
def test_any_mapped_value_arrives_unchanged(rig: Rig, method: LoadMethod, rows: list[Row]) -> None:
    run = runs.start_run(rig.conn, TARGET, SOURCE, hash_scheme="h")
    staging.create(rig.conn, run.run_id, VALUES, TARGET)
    stager = StageWriter(rig.conn, run.run_id, run.token, VALUES, method)
    lines = stager.stage([page(1, [(*row, "h") for row in rows])])
    found = ask(rig.conn, f"SELECT * FROM carsync.staging_{run.run_id} ORDER BY ordinal")
    staging.drop(rig.conn, run.run_id)
    assert lines[0].rows == len(rows)
    for row, (_, _, *stored) in zip(rows, found, strict=True):
        *plain, number, flag, document = row
        assert stored[:3] == plain
        assert stored[3] == (None if number is None else Decimal(str(number)))
        assert stored[4] is flag
        assert stored[5] == (None if document is None else json.loads(document))


POISON: list[Row] = [
    ("p", "Kia\0", 2019, 1, True, None, None, "h"),
    ("p", "Kia", 2**31, 1, True, None, None, "h"),
    ("p", "Kia", 2019, math.nan, True, "2024-02-30T00:00:00Z", None, "h"),
    ("p", "Kia", 2019, 1, True, None, '["\\u0000"]', "h"),
    ("p", "Kia", 2019, 1, True, None, "no json", "h"),
    ("p", "\ud800", 2019, 1, True, None, None, "h"),
    ("p\0", "Kia", 2019, 1, True, None, None, "h"),
]


@both_methods
@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_value_that_postgresql_refuses_costs_its_row_only(
    rig: Rig, method: LoadMethod, poison: Row
) -> None:
    lines = rig.stage(page(1, [car("1"), poison, car("2")]), page(2, cars([3])), method=method)
    assert [(line.rows, line.rejects, line.records) for line in lines] == [(2, 1, 3), (1, 0, 1)]
    assert [row[2] for row in staged(rig)] == ["1", "2", "3"]
    [(record_id, reason)] = ask(rig.conn, "SELECT record_id, reason FROM carsync.rejects")
    assert record_id == poison[0] or "\0" in poison[0]
    assert reason.startswith("PostgreSQL refused it: ")


def test_a_row_that_postgresql_refuses_keeps_none_of_the_secrets(rig: Rig) -> None:
    known = [Secret(f"hush-{n}-7f3a-91bc") for n in range(4)]
    auth = Auth(key=known[0], password=known[1], client_secret=known[2], refresh_token=known[3])
    quoted = " ".join(secret.reveal() for secret in known)
    writer = StageWriter(rig.conn, rig.run.run_id, rig.run.token, COLUMNS, "copy", auth.secrets)
    writer.stage([page(1, [("p", quoted, 2**31, 1, True, None, None, "h")])])
    [(original,)] = ask(rig.conn, "SELECT original::text FROM carsync.rejects")
    assert "*** *** *** ***" in original
    assert "hush" not in original


def test_refetched_page_replaces_the_rejects_of_a_lost_one(rig: Rig) -> None:
    rig.stage(page(1, [], [reject(0, "a"), reject(1, "b")]))
    ask(rig.conn, f"TRUNCATE carsync.ledger_{rig.run.run_id}, carsync.staging_{rig.run.run_id}")
    rig.stage(page(1, cars([1]), [reject(1, "b")]))
    assert ask(rig.conn, "SELECT ordinal FROM carsync.rejects") == [(1,)]


@pytest.mark.parametrize("most", [2, 20_000])
def test_absent_cars_on_a_page_are_seen_however_many_are_absent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """A held run may leave millions, and each of the writers would hold them all in memory."""
    monkeypatch.setattr(stage_writer, "_MOST_ABSENT", most)
    ask(
        rig.conn,
        "INSERT INTO carsync.absences (schema_name, table_name, source, id)"
        " SELECT 'public', 'cars', source, i::text"
        " FROM generate_series(1, 9) AS i, (VALUES ('external'), ('other')) AS o (source)",
    )
    writer = StageWriter(rig.conn, rig.run.run_id, rig.run.token, COLUMNS, "copy")
    rows = [*cars([1, 2, 30]), car("4\0"), car("\ud8005")]
    writer.stage([page(1, rows, [reject(5, "8"), reject(6, None)])])
    writer.stage([page(2, cars([9]))])
    query = "SELECT source, id FROM carsync.absences WHERE seen_by_run = %s ORDER BY id"
    assert ask(rig.conn, query, rig.run.run_id) == [("external", i) for i in ("1", "2", "8", "9")]
    assert len(writer._absent or ()) <= min(9, most + 1)


def test_fetched_at_is_the_moment_of_the_request(rig: Rig) -> None:
    rig.stage(page(1, cars([1]), age_s=90.0))
    query = f"SELECT clock_timestamp() - fetched_at FROM carsync.ledger_{rig.run.run_id}"
    [(age,)] = ask(rig.conn, query)
    assert 90 <= age.total_seconds() < 100


def test_left_over_writer_of_a_run_that_was_taken_over_claims_nothing(rig: Rig) -> None:
    rig.stage(page(1, cars([1])))
    left_over = StageWriter(rig.conn, rig.run.run_id, rig.run.token, COLUMNS, "copy")
    resumed = runs.resume_run(rig.conn, rig.run.run_id)
    assert resumed is not None
    with pytest.raises(LockedError, match="no longer belongs to this process"):
        left_over.stage([page(1, cars([1])), page(2, cars([2]), [reject(5, "r")])])
    assert [line.page for line in staging.read_ledger(rig.conn, rig.run.run_id)] == [1]
    assert [row[2] for row in staged(rig)] == ["1"]
    assert ask(rig.conn, "SELECT count(*) FROM carsync.rejects") == [(0,)]
    rig.run = resumed
    assert rig.stage(page(2, cars([2])))[0].rows == 1


@pytest.mark.parametrize("state", ["interrupted", "abandoned", "complete"])
def test_writer_of_a_run_that_is_over_claims_nothing(rig: Rig, state: str) -> None:
    ask(rig.conn, "UPDATE carsync.runs SET state = %s", state)
    with pytest.raises(LockedError):
        rig.stage(page(1, cars([1])))
    assert list(staging.read_ledger(rig.conn, rig.run.run_id)) == []


def test_page_of_a_writer_that_slept_is_never_dated_too_late(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between working out a page's age and the claim, a second passes."""
    [(before,)] = ask(rig.conn, "SELECT clock_timestamp()")
    insert = sql.insert_values

    def insert_late(cur: Cursor, *arguments: Any) -> None:
        cur.execute("SELECT pg_sleep(1)")
        insert(cur, *arguments)

    monkeypatch.setattr(sql, "insert_values", insert_late)
    rig.stage(page(1, cars([1])))
    [(fetched_at,)] = ask(rig.conn, f"SELECT fetched_at FROM carsync.ledger_{rig.run.run_id}")
    assert (fetched_at - before).total_seconds() < 0.9


def test_broken_connection_stages_nothing(rig: Rig, dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as killer:
        ask(killer, "SELECT pg_terminate_backend(%s)", rig.conn.info.backend_pid)
        with pytest.raises(DatabaseError):
            rig.stage(page(1, cars(range(3))))
        assert ask(killer, f"SELECT count(*) FROM carsync.ledger_{rig.run.run_id}") == [(0,)]
