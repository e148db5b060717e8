"""Changes recorded by the very statement that makes them: what was overwritten, to the byte."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from psycopg2.sql import SQL

from carsync import failpoints
from carsync.destination import change_log
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.conftest import ask
from tests.support.merge_rig import Rig, car, cars, page, revert

HOSTILE = "a \"b\" %s %(c)s {d} 'e'"
"""A column name."""


def lines(conn: Connection) -> list[tuple[Any, ...]]:
    return ask(conn, "SELECT run_id, id, action, before, after FROM carsync.changes ORDER BY 1, 2")


def test_unchanged_run_records_nothing_and_nobody_is_told_twice(rig: Rig) -> None:
    rig.sync(cars(range(20)))
    rig.sync([*cars(range(2), "b"), *cars(range(2, 19))])
    recorded = lines(rig.conn)
    kinds = Counter(line[2] for line in recorded)
    assert kinds == {"inserted": 20, "updated": 2, "deactivated": 1}
    rig.sync([*cars(range(2), "b"), *cars(range(2, 19))])
    assert lines(rig.conn) == recorded
    assert len({line[:2] for line in recorded}) == len(recorded) == 23
    (one,) = (line for line in recorded if line[2] == "updated" and line[1] == "0")
    assert set(one[3]) == {"data_hash", "updated_at", "last_synced_at"}
    assert one[4] == {"data_hash": "0:b"}
    (gone,) = (line for line in recorded if line[2] == "deactivated")
    assert (gone[3]["is_active"], gone[4]) == ("true", {"is_active": "false"})


@pytest.mark.parametrize(
    ("step", "record_id", "action"),
    [("merge.compared", "1", "updated"), ("merge.updated", "39", "deactivated")],
)
def test_before_is_what_the_statement_overwrote_whoever_wrote_it_last(
    rig: Rig, dsn: str, step: str, record_id: str, action: str
) -> None:
    """Another session commits a write, which moves no clock, while the merge waits for the row."""
    ask(rig.conn, "ALTER TABLE cars ADD COLUMN score float8")
    rig.sync(cars(range(40)))
    rig.begin()
    rig.stage(page(1, [*cars(range(3), "b"), *cars(range(3, 38))]))
    reach = failpoints.reach
    xids: list[tuple[str]] = []
    with (
        closing(connection.connect(Secret(dsn), application_name="rival")) as rival,
        ThreadPoolExecutor(1) as pool,
        pytest.MonkeyPatch.context() as patch,
    ):

        def commit() -> None:
            deadline_s = time.monotonic() + 10
            waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
            while not ask(rival, waits) and time.monotonic() < deadline_s:
                pass
            ask(rival, "COMMIT")

        def write(name: str) -> None:
            if name == step:
                ask(rival, "BEGIN")
                ask(
                    rival,
                    "UPDATE public.cars SET price = 77.00, score = 1 WHERE id = %s",
                    record_id,
                )
                xids.extend(ask(rival, "SELECT txid_current()::text"))
                pool.submit(commit)
            reach(name)

        patch.setattr(failpoints, "reach", write)
        counts = rig.merge_staged(1)
    assert (counts.updated, counts.deactivated) == (3, 2)
    query = "SELECT before, overwrote::text FROM carsync.changes WHERE id = %s AND action = %s"
    with rig.conn.cursor() as cur:
        cur.execute(query, (record_id, action))
        (told,) = cur.fetchall()
    assert told[0].get("price", "77.00") == "77.00"
    assert told[1:] == xids[0]
    revert(dsn, rig.run.run_id)
    query = "SELECT price::text, score, is_active FROM cars WHERE id = %s"
    assert ask(rig.conn, query, record_id) == [("77.00", 1.0, True)]


def test_a_value_that_only_looks_another_way_is_recorded(rig: Rig) -> None:
    rig.sync([car("1")])
    ask(rig.conn, "UPDATE cars SET price = '12500.50', images = '[ \"1.jpg\" ]'")
    rig.sync([car("1", "b")])
    (line,) = (line for line in lines(rig.conn) if line[2] == "updated")
    assert (line[3]["price"], line[4]["price"]) == ("12500.50", "12500.5")
    assert "images" not in line[3], "jsonb keeps no blanks"


def test_what_a_trigger_writes_is_recorded_under_any_name(rig: Rig) -> None:
    with rig.conn.cursor() as cur:
        name = sql.identifier(HOSTILE)
        cur.execute(SQL("ALTER TABLE cars ADD COLUMN {} text").format(name), {})
        function = (
            "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.{} := NEW.data_hash; RETURN NEW; END $$;"
            "CREATE TRIGGER stamp BEFORE UPDATE ON cars FOR EACH ROW EXECUTE FUNCTION stamp()"
        )
        cur.execute(SQL(function).format(name), {})
    rig.sync([car("1")])
    rig.sync([car("1", "b")])
    (line,) = (line for line in lines(rig.conn) if line[2] == "updated")
    assert (line[3][HOSTILE], line[4][HOSTILE]) == (None, "1:b")


def test_nothing_is_recorded_where_no_record_is_kept(rig: Rig) -> None:
    rig.sync(cars(range(3)), records=False)
    counts = rig.sync([car("0", "b"), car("1"), car("3")], records=False)
    assert (counts.updated, counts.inserted, counts.deactivated) == (1, 1, 1)
    assert lines(rig.conn) == []
    assert ask(rig.conn, "SELECT DISTINCT changes_origin FROM carsync.runs") == [(None,)]


def test_a_whole_row_keeps_every_value_as_text(rig: Rig) -> None:
    rig.sync([car("1")])
    names = ["id", "price", "is_live", "images", "vin"]
    query = SQL("SELECT {} FROM cars AS t").format(change_log.whole_row(names))
    with rig.conn.cursor() as cur:
        ((row,),) = sql.rows(cur, query)
    assert row == {
        "id": "1",
        "price": "12500.5",
        "is_live": "true",
        "images": '["1.jpg"]',
        "vin": None,
    }


def test_the_origin_is_another_in_another_database(rig: Rig, empty_conn: Connection) -> None:
    with rig.conn.cursor() as cur:
        here = change_log.origin(cur)
        assert change_log.origin(cur) == here
    ask(empty_conn, "CREATE SCHEMA carsync; CREATE TABLE carsync.changes ()")
    with empty_conn.cursor() as cur:
        there = change_log.origin(cur)
    assert here.split("/")[0] == there.split("/")[0], "one server"
    assert here != there
