"""Values that staging could hold and the target cannot: they cost their row, not the merge."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.sections import LoadMethod
from carsync.destination import migrations
from carsync.model import Row
from carsync.postgres import sql
from carsync.postgres.wait import Connection
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, TARGET, Rig, car, cars, page

METHODS = pytest.mark.parametrize("method", ["execute_values", "copy"])

# id, make, year, price, is_live, sale_date, images, data_hash
LIMITED = """
CREATE TABLE cars (
    id varchar(8) PRIMARY KEY CHECK (id NOT LIKE 'x%'),
    make character(5) NOT NULL,
    year bigint CONSTRAINT "after %1900" CHECK (year * 10000000 > 19000000000),
    price numeric(6,2) DEFAULT 1,
    is_live boolean NOT NULL DEFAULT false,
    images text CHECK (length(images) < 100),
    CHECK (NOT is_live OR price > 0)
)
"""
GOOD: Row = ("1", "Kia", 2019, 9999.99, True, None, "[]", "h")
BAD: list[tuple[Row, str | None, str]] = [
    (("123456789", *GOOD[1:]), "id", "value too long for type character varying(8)"),
    (("x1", *GOOD[1:]), None, 'check constraint "cars_id_check"'),
    (("2", "Mercedes", *GOOD[2:]), "make", "value too long for type character varying(5)"),
    (("2", None, *GOOD[2:]), "make", "violates not-null constraint"),
    (("2", "Kia", 1900, *GOOD[3:]), None, 'check constraint "after %1900"'),
    (("2", "Kia", 2019, 10000.0, *GOOD[4:]), "price", "numeric field overflow"),
    (("2", "Kia", 2019, -1.0, *GOOD[4:]), None, 'check constraint "cars_check"'),
    (("2", "Kia", 2019, 1.0, None, *GOOD[5:]), "is_live", "violates not-null constraint"),
]


@pytest.fixture
def rig(empty_conn: Connection) -> Rig:
    """A rig over an adopted table that is narrower than the mapping."""
    ask(empty_conn, LIMITED)
    migrations.migrate(empty_conn, TARGET, COLUMNS)
    return Rig(empty_conn)


@METHODS
def test_row_that_the_target_refuses_is_rejected_before_the_merge(
    rig: Rig, method: LoadMethod
) -> None:
    rig.begin()
    rows = [GOOD, *(row for row, *_ in BAD), ("3", *GOOD[1:])]
    rig.stage(page(1, rows), method=method)
    query = "SELECT record_id, column_name, reason, original_kind FROM carsync.rejects"
    found = ask(rig.conn, f"{query} ORDER BY ordinal")
    for (row, column, reason), (record_id, found_column, said, kind) in zip(
        BAD, found, strict=True
    ):
        assert (record_id, found_column, kind) == (row[0], column, "row")
        assert said.startswith("PostgreSQL refused it: ")
        assert reason in said
    counts = rig.merge_staged(1)
    assert (counts.inserted, counts.rejected) == (2, len(BAD))
    assert rig.active().keys() == {"1", "3"}


def test_limits_of_the_target_change_nothing_of_what_is_written(rig: Rig) -> None:
    counts = rig.sync([("7", "Kia", 2019, 12.5, False, None, '["1"]', "h")])
    assert counts.inserted == 1
    query = "SELECT id, make, year, price, is_live, images FROM cars"
    assert [tuple(map(str, row)) for row in ask(rig.conn, query)] == [
        ("7", "Kia  ", "2019", "12.50", "False", '["1"]')
    ]
    assert rig.sync([("7", "Kia", 2019, 12.5, False, None, '["1"]', "h")]).unchanged == 1


def test_one_refused_row_in_a_large_batch_costs_few_statements(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Any] = []
    copy = sql.copy_from

    def count(*args: Any) -> None:
        loads.append(args)
        copy(*args)

    monkeypatch.setattr(sql, "copy_from", count)
    rig.begin()
    rows = [(str(n), *GOOD[1:]) for n in range(500)]
    rows[321] = ("321", "Mercedes", *GOOD[2:])
    (line,) = rig.stage(page(1, rows))
    assert (line.rows, line.rejects, line.records) == (499, 1, 500)
    assert ask(rig.conn, "SELECT ordinal FROM carsync.rejects") == [(321,)]
    assert 10 <= len(loads) <= 20


def test_a_check_that_staging_cannot_hold_costs_its_record_at_the_merge(rig: Rig) -> None:
    """`images` is text there and jsonb in staging: nothing is known of it before the merge."""
    counts = rig.sync([GOOD, ("2", *GOOD[1:6], f'["{"u" * 100}"]', "h")])
    assert (counts.inserted, counts.rejected) == (1, 1)
    [(record_id, reason)] = ask(rig.conn, "SELECT record_id, reason FROM carsync.rejects")
    assert (record_id, "check constraint" in reason) == ("2", True)
    assert rig.active().keys() == {"1"}


def test_a_target_without_limits_refuses_nothing(conn: Connection) -> None:
    rig = Rig(conn)
    assert rig.sync([car("x" * 100, make="Mercedes" * 50), *cars(range(3))]).inserted == 4
