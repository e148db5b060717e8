"""Migrations: from nothing, over an existing table, and nothing to do the second time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import psycopg2
import pytest

from carsync.destination import columns, migrations
from carsync.destination.columns import TARGET_COLUMNS
from carsync.destination.migrations import migrate, pending
from carsync.errors import ConfigError, DatabaseError, DatabasePermissionError
from carsync.model import Column
from carsync.postgres import connection
from carsync.postgres.connection import Connection
from carsync.redaction import Secret
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, TARGET, Rig, car, cars


def columns_of(conn: Connection, table: str = "cars") -> dict[str, str]:
    return dict(
        ask(
            conn,
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            table,
        )
    )


def test_empty_database_gets_everything_and_says_so(empty_conn: Connection) -> None:
    waiting = pending(empty_conn, TARGET, COLUMNS)
    assert waiting[-1] == "table public.cars does not exist"
    done = migrate(empty_conn, TARGET, COLUMNS)
    assert "created schema carsync, closed to PUBLIC" in done
    assert done[-1] == "created table public.cars with 32 columns"
    assert len(done) == len(waiting) + 1
    assert Rig(empty_conn).sync(cars(range(3))).inserted == 3


def test_second_time_there_is_nothing_to_do(conn: Connection) -> None:
    before = ask(conn, "SELECT xmin, version FROM carsync.migrations")
    assert migrate(conn, TARGET, COLUMNS) == []
    assert pending(conn, TARGET, COLUMNS) == []
    assert ask(conn, "SELECT xmin, version FROM carsync.migrations") == before


def test_table_has_the_documented_columns(conn: Connection) -> None:
    types = {"timestamptz": "timestamp with time zone"}
    documented = {c.name: types.get(c.type, c.type) for c in TARGET_COLUMNS}
    assert columns_of(conn) == {"id": "text", **documented}
    key = ask(
        conn,
        "SELECT indkey::text FROM pg_index WHERE indrelid = 'cars'::regclass AND indisprimary",
    )
    assert key == [("1",)]


def test_further_columns_of_the_mapping_are_added(conn: Connection) -> None:
    further = (*COLUMNS, Column("engine %", "text"), Column("seats", "integer"))
    assert pending(conn, TARGET, further) == [
        "column public.cars.engine % is missing",
        "column public.cars.seats is missing",
    ]
    assert migrate(conn, TARGET, further) == ["adopted table public.cars: added engine %, seats"]
    assert columns_of(conn)["seats"] == "integer"
    assert migrate(conn, TARGET, further) == []


def test_existing_table_is_adopted_with_its_rows(empty_conn: Connection) -> None:
    ask(
        empty_conn,
        "CREATE TABLE cars (id varchar(40) PRIMARY KEY, make text, year int, price float8,"
        " images text, is_active boolean DEFAULT true, extra int NOT NULL DEFAULT 7,"
        " source_api text, data_hash text, updated_at timestamp);"
        "INSERT INTO cars VALUES ('1', 'Kia', 2019, 1, '[]', true, 1, 'external', '1:a', now())",
    )
    [*_, done] = migrate(empty_conn, TARGET, COLUMNS)
    assert done.startswith("adopted table public.cars: added external_id, model, mileage")
    assert "make" not in done
    rig = Rig(empty_conn)
    counts = rig.sync([car("1"), car("2")])
    assert (counts.unchanged, counts.inserted) == (1, 1), "equal hashes: nothing is rewritten"
    assert ask(empty_conn, "SELECT images, extra, price FROM cars WHERE id = '2'") == [
        ('["1.jpg"]', 7, 12500.5)
    ]
    rig.sync([car("1", "b"), car("2")])
    assert rig.active() == {"1": "1:b", "2": "2:a"}


def test_adoption_without_hashes_announces_the_one_rewrite(empty_conn: Connection) -> None:
    ask(
        empty_conn,
        "CREATE TABLE cars (id text PRIMARY KEY, make text);"
        "INSERT INTO cars SELECT i, 'Kia' FROM generate_series(1, 50) i; ANALYZE cars",
    )
    [*_, announced] = migrate(empty_conn, TARGET, COLUMNS)
    assert "have no source_api and is_active and data_hash yet" in announced
    counts = Rig(empty_conn).sync(cars(range(1, 41)))
    assert (counts.reactivated, counts.deactivated) == (40, 0), "the other 10 are nobody's"


UNFIT = [
    ("CREATE VIEW cars AS SELECT 1 AS id", "is not a table"),
    ("CREATE TABLE cars (id bigint PRIMARY KEY)", "id has type bigint"),
    ("CREATE TABLE cars (name text)", "no text column id"),
    ("CREATE TABLE cars (id text)", "id is not unique"),
    ("CREATE TABLE cars (id text, b int, UNIQUE (id, b))", "id is not unique"),
    (
        "CREATE TABLE cars (id text); CREATE UNIQUE INDEX ON cars (id) WHERE id <> ''",
        "id is not unique",
    ),
    ("CREATE TABLE cars (id text UNIQUE DEFERRABLE)", "id is not unique"),
    ("CREATE TABLE cars (id text PRIMARY KEY, year text)", "year has type text"),
    ("CREATE TABLE cars (id text PRIMARY KEY, price money)", "price has type money"),
    ("CREATE TABLE cars (id text PRIMARY KEY, vin text NOT NULL, dealer int NOT NULL)", "demands"),
    (
        "CREATE TABLE cars (id text PRIMARY KEY, make text GENERATED ALWAYS AS (id) STORED)",
        "computed by the database",
    ),
]


@pytest.mark.parametrize(("ddl", "problem"), UNFIT, ids=[p for _, p in UNFIT])
def test_table_that_cannot_be_kept_in_step_is_refused_untouched(
    empty_conn: Connection, ddl: str, problem: str
) -> None:
    ask(empty_conn, ddl)
    before = columns_of(empty_conn)
    with pytest.raises(DatabaseError, match=problem) as caught:
        migrate(empty_conn, TARGET, COLUMNS)
    assert caught.value.hint
    assert columns_of(empty_conn) == before
    assert ask(empty_conn, "SELECT to_regclass('carsync.runs')") == [(None,)], "all or nothing"


def test_mapping_cannot_give_a_documented_column_another_type() -> None:
    with pytest.raises(ConfigError, match="must be of type integer"):
        columns.wanted_columns([Column("year", "text")])


def test_rewritten_history_is_refused(conn: Connection) -> None:
    ask(conn, "UPDATE carsync.migrations SET checksum = 'other' WHERE version = 2")
    with pytest.raises(DatabaseError, match="migration 0002 differs"):
        migrate(conn, TARGET, COLUMNS)


def test_newer_database_is_refused(conn: Connection) -> None:
    ask(conn, "INSERT INTO carsync.migrations VALUES (9999, 'future', 'x')")
    with pytest.raises(DatabaseError, match="newer carsync"):
        pending(conn, TARGET, COLUMNS)


def test_two_at_once_migrate_once(empty_dsn: str) -> None:
    def run(_: int) -> list[str]:
        with closing(connection.connect(Secret(empty_dsn), application_name="t")) as conn:
            return migrate(conn, TARGET, COLUMNS)

    with ThreadPoolExecutor(4) as pool:
        done = sorted(pool.map(run, range(4)), key=len)
    assert [len(sentences) for sentences in done[:3]] == [0, 0, 0]
    assert len(done[3]) > 4


def test_missing_grants_are_named(conn: Connection) -> None:
    role = "carsync_test_reader"
    with suppress(psycopg2.Error):
        ask(conn, f"CREATE ROLE {role}")
    ask(
        conn,
        f"GRANT SELECT ON cars TO {role}; GRANT USAGE ON SCHEMA carsync TO {role};"
        f"GRANT SELECT ON carsync.migrations TO {role}; SET ROLE {role}",
    )
    with pytest.raises(DatabasePermissionError, match=r"lacks INSERT, UPDATE on public\.cars"):
        migrate(conn, TARGET, COLUMNS)
    ask(conn, f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


def test_everything_of_carsync_is_closed_to_others(conn: Connection) -> None:
    Rig(conn).sync(cars(range(2)))
    open_to_all = ask(
        conn,
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = 'carsync' AND relkind IN ('r', 'S')"
        " AND has_table_privilege('pg_monitor', pg_class.oid, 'SELECT')",
    )
    assert open_to_all == []


def test_migrations_are_numbered_without_gaps_and_named_verb_object() -> None:
    found = migrations.load_migrations()
    assert [m.version for m in found] == list(range(1, len(found) + 1))
    assert all(m.name.split("_")[0] in {"create", "add", "alter", "drop"} for m in found)
