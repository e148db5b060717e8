"""Records that the target has already are staged without their values, and compared once more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from carsync.config.sections import LoadMethod
from carsync.deactivation import candidates
from carsync.deactivation.addresses import Addresses
from carsync.deactivation.id_shapes import Shape
from carsync.destination import plausibility, staging, unchanged_rows
from carsync.destination.stage_writer import StageWriter
from carsync.mapping.record_path import Place
from carsync.postgres.wait import Connection
from carsync.state import runs
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, SOURCE, TARGET, Rig, car, cars, page


def staged(rig: Rig) -> tuple[list[str], list[str]]:
    """Return the ids that are staged with their values, and those without."""
    run_id = rig.run.run_id
    of = "ORDER BY page, ordinal"
    whole = ask(rig.conn, f"SELECT id FROM carsync.staging_{run_id} {of}")
    bare = ask(rig.conn, f"SELECT id FROM ONLY carsync.seen_{run_id} {of}")
    return [i for (i,) in whole], [i for (i,) in bare]


@pytest.mark.parametrize("method", ["copy", "execute_values"])
def test_only_what_is_new_or_changed_is_staged_with_its_values(
    rig: Rig, method: LoadMethod
) -> None:
    rig.sync(cars(range(5)))
    ask(rig.conn, "UPDATE cars SET is_active = false WHERE id = '3'")
    ask(rig.conn, "UPDATE cars SET source_api = NULL WHERE id = '4'")
    rig.begin()
    rows = [car("0"), car("1", "b"), *cars(range(2, 6))]
    rig.stage(page(1, rows[:3]), page(2, rows[3:]), method=method)
    assert staged(rig) == (["1", "3", "4", "5"], ["0", "2"])
    counts = rig.merge_staged(2)
    assert (counts.seen, counts.unchanged, counts.updated) == (6, 2, 2)
    assert (counts.reactivated, counts.inserted, counts.stale) == (1, 1, 0)
    assert rig.active() == {row[0]: row[-1] for row in rows}


def test_a_first_load_looks_up_one_batch_of_ten(rig: Rig) -> None:
    rig.begin()
    writer = StageWriter(rig.conn, rig.run.run_id, rig.run.token, COLUMNS, "copy")
    ask(
        rig.conn,
        "INSERT INTO cars (id, data_hash, source_api, is_active)"
        " SELECT i::text, i || ':a', 'external', true FROM generate_series(0, 19) AS i",
    )
    writer.stage([page(1, cars([100]))])
    for number in range(20):
        writer.stage([page(2 + number, cars([number]))])
    assert staged(rig)[1] == [str(number) for number in range(9, 20)]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE cars SET data_hash = 'mine', make = 'Seat'",
        "UPDATE cars SET data_hash = NULL, updated_at = now() + interval '1 hour'",
        "UPDATE cars SET is_active = false",
        "DELETE FROM cars",
    ],
)
def test_a_row_that_somebody_writes_meanwhile_stays_until_the_next_run(rig: Rig, edit: str) -> None:
    """Its clocks tell nothing of it; what was staged does."""
    rig.sync(cars(range(4)))
    rig.begin()
    rig.stage(page(1, cars(range(4))))
    ask(rig.conn, f"{edit} WHERE id = '1'")
    before = ask(rig.conn, "SELECT * FROM cars WHERE id = '1'")
    forecast = plausibility.foresee(rig.conn, rig.run, {"make": None})
    assert [column.emptied for column in forecast.columns] == [0], "of values that are not staged"
    counts = rig.merge_staged(1)
    assert (counts.seen, counts.unchanged, counts.stale) == (4, 3, 1)
    assert (counts.deactivated, counts.inserted, counts.updated) == (0, 0, 0)
    assert ask(rig.conn, "SELECT * FROM cars WHERE id = '1'") == before
    assert rig.sync(cars(range(4))).stale == 0
    assert rig.active() == {str(i): f"{i}:a" for i in range(4)}


def test_of_a_car_on_two_pages_the_higher_one_counts(rig: Rig) -> None:
    rig.sync(cars(range(2)))
    rig.begin()
    rig.stage(page(1, [car("0", "b"), car("1")]), page(2, [car("0"), car("1", "b")]))
    assert staged(rig) == (["0", "1"], ["1", "0"])
    counts = rig.merge_staged(2)
    assert (counts.duplicate, counts.unchanged, counts.updated) == (2, 1, 1)
    assert rig.active() == {"0": "0:a", "1": "1:b"}


def test_a_page_of_unchanged_cars_is_cleared_like_any_other(rig: Rig) -> None:
    rig.sync(cars(range(4)))
    rig.begin()
    rig.stage(page(1, cars(range(2))), page(2, cars(range(2, 4))))
    staging.clear(rig.conn, rig.run.run_id, range(2, 3))
    assert staged(rig) == ([], ["0", "1"])


def test_an_unchanged_car_is_a_control_and_the_same_by_id(rig: Rig) -> None:
    rig.sync(cars(range(3)))
    rig.begin()
    rig.stage(page(1, [*cars(range(2)), car("2", "b")]))
    places = Addresses((Place("make"), Place("id")), {})
    drawn = candidates.list_seen(rig.conn, rig.run.run_id, places, Shape(""), 9)
    assert sorted(drawn) == [("0", 1), ("1", 1), ("2", 1)]
    assert places.keys(["0"])["0"] == ("Kia", "0")
    writer = StageWriter(rig.conn, rig.run.run_id, rig.run.token, COLUMNS, "copy")
    rows = [car("0"), car("1", "other"), car("2", "b"), car("7")]
    assert writer.count_same(rig.target, [(n, *row) for n, row in enumerate(rows)]) == 2


@pytest.mark.parametrize(
    ("make", "images", "is_same"),
    [
        ("Kia", '["1.jpg"]', True),
        ("Seat", '["2.jpg"]', True),  # the table's own values may be older: they are in no hash
        ("Kia", "[]", False),
        ("Kia", None, False),
        (None, '["1.jpg"]', False),
    ],
)
def test_an_answer_that_lacks_what_no_hash_covers_is_not_the_same(
    rig: Rig, make: str | None, images: str | None, is_same: bool
) -> None:
    rig.sync(cars(range(2)))
    rig.begin()
    rig.stage(page(1, cars(range(2))))
    writer = StageWriter(rig.conn, rig.run.run_id, rig.run.token, COLUMNS, "copy")
    *values, _, data_hash = car("0", make=make)
    assert writer.count_same(rig.target, [(0, *values, images, data_hash)]) == is_same


def test_a_locked_table_stops_no_writer(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(2)))
    rig.begin()
    with closing(psycopg2.connect(dsn)) as other, other.cursor() as cur:
        cur.execute("LOCK TABLE cars")
        ask(rig.conn, "SET lock_timeout = '100ms'")
        writer = StageWriter(rig.conn, rig.run.run_id, rig.run.token, COLUMNS, "copy")
        writer.stage([page(1, cars(range(2)))])
        begun_s = time.monotonic()
        ask(rig.conn, "SET lock_timeout = '30s'")
        writer.stage([page(2, [car("2")])])
        assert time.monotonic() - begun_s < 5, "it does not wait anew for each batch"
    assert staged(rig) == (["0", "1", "2"], [])
    assert rig.merge_staged(2).unchanged == 2


@pytest.fixture
def role(conn: Connection) -> Iterator[str]:
    """A role with rights on the schema carsync alone, made for the test."""
    name = f"carsync_writer_{ask(conn, 'SELECT current_database()')[0][0]}"
    ask(conn, f"CREATE ROLE {name}")
    try:
        yield name
    finally:
        ask(conn, f"RESET ROLE; DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_writer_whose_role_may_not_read_the_table_stages_all(rig: Rig, role: str) -> None:
    """A worker of a cluster may have a role of its own, with rights on the schema carsync alone."""
    rig.sync(cars(range(2)))
    rig.begin()
    ask(
        rig.conn,
        f"GRANT USAGE ON SCHEMA carsync TO {role};"
        f"GRANT ALL ON ALL TABLES IN SCHEMA carsync TO {role};"
        f"SET ROLE {role}",
    )
    writer = StageWriter(rig.conn, rig.run.run_id, rig.run.token, COLUMNS, "execute_values")
    writer.stage([page(1, cars(range(2)))])
    writer.stage([page(2, [car("2")])])
    ask(rig.conn, "RESET ROLE")
    assert staged(rig) == (["0", "1", "2"], [])
    assert rig.merge_staged(2).unchanged == 2


def test_ids_of_any_text_are_looked_up(rig: Rig) -> None:
    odd = [car(i) for i in ('a"b', "a\\b", "{}", "NULL", "", "a,b", "ä")]
    rig.sync(odd)
    rig.begin()
    rig.stage(page(1, odd))
    assert staged(rig) == ([], [row[0] for row in odd])


def test_a_run_of_an_earlier_version_goes_on(rig: Rig) -> None:
    rig.sync(cars(range(2)))
    rig.begin()
    number = rig.run.run_id
    ask(
        rig.conn,
        f"ALTER TABLE carsync.staging_{number} NO INHERIT carsync.seen_{number};"
        f"DROP TABLE carsync.seen_{number}",
    )
    staging.upgrade_ledger(rig.conn, number)
    staging.upgrade_ledger(rig.conn, number)
    rig.stage(page(1, [car("0"), car("1", "b")]))
    assert staged(rig) == (["1"], ["0"])
    assert rig.merge_staged(1).updated == 1


@pytest.mark.parametrize(
    ("edit", "is_outdated"),
    [
        ("SELECT 1", False),
        ("DELETE FROM cars WHERE id = '1'", False),  # the merge tells of it
        ("TRUNCATE cars", True),
        ("UPDATE cars SET data_hash = 'older' WHERE id <= '2'", True),
    ],
)
def test_a_table_that_was_taken_back_under_an_unfinished_run_is_noticed(
    rig: Rig, edit: str, is_outdated: bool
) -> None:
    rig.sync(cars(range(100)))
    rig.begin()
    rig.stage(page(1, cars(range(100))))
    ask(rig.conn, edit)
    assert unchanged_rows.are_outdated(rig.conn, rig.run) == is_outdated


def test_what_a_later_run_has_read_leaves_no_run_outdated(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    full = runs.start_run(rig.conn, TARGET, SOURCE, hash_scheme="h:v1", fingerprints={"a": "b"})
    staging.create(rig.conn, full.run_id, COLUMNS, TARGET)
    writer = StageWriter(rig.conn, full.run_id, full.token, COLUMNS, "copy")
    writer.stage([page(1, cars(range(10)))])
    rig.run = runs.start_run(rig.conn, TARGET, SOURCE, hash_scheme="h:v1", mode="incremental")
    staging.create(rig.conn, rig.run.run_id, COLUMNS, TARGET)
    rig.stage(page(1, cars(range(5), "b")))
    assert rig.merge_staged(1, "skip").updated == 5
    assert not unchanged_rows.are_outdated(rig.conn, full)


def test_all_tables_of_a_run_go_with_it(rig: Rig) -> None:
    rig.begin()
    staging.drop(rig.conn, rig.run.run_id)
    names = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ %s"
    with rig.conn.cursor() as cur:
        cur.execute(names, (f"_{rig.run.run_id}$",))
        assert cur.fetchall() == []
