"""The target table: created as documented, or an existing one adopted with its rows."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from carsync.columns import COMPARED, MANAGED, TARGET_COLUMNS
from carsync.destination.migrations import migrate, pending
from carsync.destination.target_table import wanted_columns
from carsync.doctor.server_facts import describe_privileges
from carsync.errors import ConfigError, DatabaseError
from carsync.model import Column
from carsync.postgres.wait import Connection
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, TARGET, Rig, car, cars

ANON, SERVICE = f"anon_{os.getpid()}", f"service_{os.getpid()}"


def columns_of(conn: Connection, table: str = "cars") -> dict[str, str]:
    return dict(
        ask(
            conn,
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            table,
        )
    )


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
    ("CREATE TABLE cars (id money PRIMARY KEY)", "id has type money"),
    ("CREATE TABLE cars (id serial PRIMARY KEY, external_id text UNIQUE)", "numbers its cars"),
    (
        "CREATE TABLE cars (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, external_id int);"
        "CREATE UNIQUE INDEX ON cars (external_id)",
        "numbers its cars",
    ),
    (
        "CREATE TABLE cars (id int GENERATED ALWAYS AS (1) STORED PRIMARY KEY)",
        "id is computed by the database",
    ),
    ("CREATE TABLE cars (id text PRIMARY KEY, price real)", "price has type real"),
    (
        "CREATE TABLE cars (id text PRIMARY KEY, price integer)",
        "mapping.columns.price.type: integer",
    ),
    (
        "CREATE TABLE cars (id text PRIMARY KEY, sale_date date)",
        "mapping.columns.sale_date.type: date",
    ),
    (
        "CREATE TYPE h AS ENUM ('a'); CREATE TABLE cars (id text PRIMARY KEY, data_hash h)",
        "type enum",
    ),
    ("CREATE TABLE cars (name text)", "no column id"),
    ("CREATE TABLE cars (id text)", "id is not unique"),
    ("CREATE TABLE cars (id text, b int, UNIQUE (id, b))", "id is not unique"),
    (
        "CREATE TABLE cars (id text); CREATE UNIQUE INDEX ON cars (id) WHERE id <> ''",
        "id is not unique",
    ),
    ("CREATE TABLE cars (id text UNIQUE DEFERRABLE)", "id is not unique"),
    ("CREATE TABLE cars (id text PRIMARY KEY, year text)", "year has type text"),
    ("CREATE TABLE cars (id text PRIMARY KEY, price money)", "price has type money"),
    (
        "CREATE TABLE cars (id text PRIMARY KEY, vin text NOT NULL, dealer int NOT NULL)",
        "needs values",
    ),
    (
        "CREATE TABLE cars (id text PRIMARY KEY, make text GENERATED ALWAYS AS (id) STORED)",
        "computed by the database",
    ),
    ("CREATE TABLE cars (id character(12) PRIMARY KEY)", "id has type character"),
    # As the extension's type, and a collation of ICU, neither of which every server has.
    ("CREATE DOMAIN citext AS text; CREATE TABLE cars (id citext PRIMARY KEY)", "id: its type"),
    (
        "CREATE DOMAIN citext AS text;CREATE TABLE cars (id text PRIMARY KEY, source_api citext)",
        "source_api: its type citext, or",
    ),
    (
        "CREATE COLLATION alike (provider = libc, locale = 'C');"
        "CREATE TABLE cars (id text COLLATE alike PRIMARY KEY);"
        "UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'alike'",
        "id: its type text, or its collation",
    ),
    (
        "CREATE TABLE cars (id text PRIMARY KEY);"
        "CREATE RULE note AS ON UPDATE TO cars DO ALSO NOTIFY cars",
        "has rules on INSERT or UPDATE: note",
    ),
    (
        "CREATE TABLE cars (id text UNIQUE) PARTITION BY LIST (id);"
        "CREATE TABLE cars_a PARTITION OF cars DEFAULT; CREATE PUBLICATION site FOR TABLE cars",
        "does not take updates",
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


def test_the_mapping_says_of_which_type_a_documented_column_is() -> None:
    """What carsync itself fills has its own type, whatever a mapping says."""
    wanted = wanted_columns([Column("year", "text"), Column("is_active", "text")])
    types = {column.name: column.type for column in wanted}
    assert (types["year"], types["is_active"]) == ("text", "boolean")


def test_the_merge_fills_every_managed_column(rig: Rig) -> None:
    """Whatever the mapping says: the table of columns and the statements name the same ones."""
    rig.sync([car("1")])
    for version in ("a", "b"):
        rig.sync([car("1", version), car("2", version)])
        for name in MANAGED:
            assert ask(rig.conn, f"SELECT count(*) FROM cars WHERE {name} IS NULL") == [(0,)]


@pytest.mark.parametrize("name", COMPARED)
def test_a_row_that_lacks_what_is_compared_is_written_once(rig: Rig, name: str) -> None:
    rig.sync([car("1")])
    ask(rig.conn, f"UPDATE cars SET {name} = NULL")
    counts = rig.sync([car("1")])
    assert (counts.updated + counts.reactivated, counts.unchanged) == (1, 0)
    assert rig.sync([car("1")]).unchanged == 1


def test_a_column_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="money is not known"):
        wanted_columns([Column("fee", "money")])


def test_a_trigger_of_an_adopted_table_is_named(empty_conn: Connection) -> None:
    ask(
        empty_conn,
        "CREATE TABLE cars (id text PRIMARY KEY) PARTITION BY LIST (id);"
        "CREATE TABLE cars_a PARTITION OF cars DEFAULT;"
        "CREATE TRIGGER touch BEFORE UPDATE ON cars_a FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    )
    assert any("touch" in words for words in migrate(empty_conn, TARGET, COLUMNS))
    assert migrate(empty_conn, TARGET, COLUMNS) == []


@pytest.fixture
def anon(empty_conn: Connection) -> Iterator[str]:
    """A role to which default privileges grant all on new tables, as Supabase's `anon`."""
    ask(empty_conn, f"CREATE ROLE {ANON}")
    ask(empty_conn, f"CREATE ROLE {SERVICE} BYPASSRLS")
    given = f"ON TABLES TO {ANON}, {SERVICE}, PUBLIC"
    ask(empty_conn, f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL {given}")
    yield ANON
    for role in (ANON, SERVICE):
        ask(empty_conn, f"DROP OWNED BY {role}")
        ask(empty_conn, f"DROP ROLE {role}")


def rights(conn: Connection, role: str) -> set[str]:
    every = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"]
    found = {r: ask(conn, f"SELECT has_table_privilege('{role}', 'cars', '{r}')") for r in every}
    return {r for r, ((may,),) in found.items() if may}


def test_a_created_table_is_read_by_whom_default_privileges_name_and_written_by_none_of_them(
    empty_conn: Connection, anon: str
) -> None:
    said = migrate(empty_conn, TARGET, ())
    assert rights(empty_conn, anon) == {"SELECT"}
    assert "DELETE" in rights(empty_conn, SERVICE), "no policy would bind it either"
    assert [words for words in said if words.startswith("closed table")] == [
        f"closed table public.cars to writes of {role}, which default privileges allowed"
        for role in (anon, "public")
    ]


def test_an_adopted_table_stays_as_open_as_it_was_and_is_warned_of(
    empty_conn: Connection, anon: str
) -> None:
    ask(empty_conn, "CREATE TABLE cars (id text PRIMARY KEY)")
    ask(empty_conn, "GRANT ALL ON cars TO pg_monitor")  # somebody meant it
    migrate(empty_conn, TARGET, ())
    assert "DELETE" in rights(empty_conn, anon)
    assert list(describe_privileges(empty_conn, TARGET).open_writers) == [anon, "public"]
    ask(empty_conn, "ALTER TABLE cars ENABLE ROW LEVEL SECURITY")
    assert list(describe_privileges(empty_conn, TARGET).open_writers) == []
