"""The role's rights: what it lacks is named, and no row policy hides a car."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import psycopg2
import pytest

from carsync.deactivation import candidates
from carsync.destination import merge, privileges
from carsync.destination.migrations import migrate
from carsync.errors import ConfigError, DatabasePermissionError
from carsync.model import Target
from carsync.postgres.wait import Connection
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, TARGET, Rig, car, cars, page


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


def test_row_security_that_applies_refuses_plan_and_merge(rig: Rig, dsn: str) -> None:
    rig.sync(cars(range(5)))
    role = "carsync_test_limited"
    with suppress(psycopg2.Error):
        ask(rig.conn, f"CREATE ROLE {role} LOGIN")
    ask(
        rig.conn,
        f"GRANT ALL ON cars TO {role}; GRANT ALL ON SCHEMA carsync TO {role};"
        f"GRANT ALL ON ALL TABLES IN SCHEMA carsync TO {role};"
        "ALTER TABLE cars ENABLE ROW LEVEL SECURITY",
    )
    ask(rig.conn, f"SET ROLE {role}")
    limited = Rig(rig.conn)
    limited.begin()
    limited.stage(page(1, cars(range(5))))
    with pytest.raises(DatabasePermissionError, match="row-level security"):
        candidates.plan_deactivation(rig.conn, limited.run, by_tombstones=True)
    with pytest.raises(DatabasePermissionError, match=r"hides rows of public\.cars"):
        merge.merge(rig.conn, limited.request(1))
    ask(rig.conn, "RESET ROLE")
    ask(rig.conn, f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    ("ddl", "kind", "id_is_unique"),
    [
        ("CREATE TABLE boats (id text PRIMARY KEY)", "r", True),
        ("CREATE TABLE boats (id text)", "r", False),
        ("CREATE TABLE boats (id text PRIMARY KEY) PARTITION BY HASH (id)", "p", True),
        ("CREATE VIEW boats AS SELECT 1 AS id", "v", False),
    ],
)
def test_a_relation_is_described(conn: Connection, ddl: str, kind: str, id_is_unique: bool) -> None:
    boats = Target("public", "boats")
    with conn.cursor() as cur:
        assert privileges.describe(cur, boats) is None
        cur.execute(ddl)
        found = privileges.describe(cur, boats)
    assert found is not None
    assert (found.kind, found.id_is_unique, found.row_security) == (kind, id_is_unique, False)
    assert (found.may_select, found.may_insert, found.may_update) == (True, True, True)
    privileges.check(boats, found)


def test_what_does_not_exist_lacks_nothing() -> None:
    privileges.check(Target("public", "boats"), None)


def test_a_reader_of_the_histories_reads_nothing_else(rig: Rig, conn: Connection) -> None:
    role = f"carsync_site_{ask(conn, 'SELECT current_database()')[0][0]}"
    ask(conn, f'CREATE ROLE "{role}"')
    rig.sync(cars(range(2)))
    ask(conn, "UPDATE cars SET price = 12000 WHERE id = '0'")
    rig.sync([*cars(range(1), "b"), car("1", "b", make="Saab")])
    with pytest.raises(ConfigError, match="no role 'PUBLIC'"):
        privileges.grant_history(conn, "PUBLIC")
    assert privileges.grant_history(conn, role) == [
        f"granted {role} to read carsync.car_history and carsync.price_history"
    ]
    assert privileges.grant_history(conn, role) == []
    open_to_role = "SELECT relname::text FROM pg_class WHERE relnamespace = 'carsync'::regnamespace"
    tables = f"{open_to_role} AND relkind IN ('r', 'v', 'S', 'p') AND "
    may = "has_table_privilege(%s, oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')"
    try:
        assert ask(conn, f"{tables}{may} ORDER BY 1", role) == [
            ("car_history",),
            ("price_history",),
        ]
        ask(conn, f'SET ROLE "{role}"')
        query = "SELECT id, old, new, run_id FROM carsync.price_history ORDER BY changed_at"
        assert ask(conn, query) == [
            ("0", None, 12000, 1),
            ("0", 12000, Decimal("12500.5"), 2),
        ]
        query = (
            "SELECT action, after ->> 'make' FROM carsync.car_history WHERE id = '1' ORDER BY line"
        )
        assert ask(conn, query) == [("inserted", None), ("updated", "Saab")]
        for query in ("SELECT FROM public.cars", "SELECT FROM carsync.changes"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                ask(conn, query)
    finally:
        ask(conn, f'RESET ROLE; DROP OWNED BY "{role}"; DROP ROLE "{role}"')
