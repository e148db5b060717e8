"""Whose the schema carsync is: no other role's triggers are run with our rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg2 import extensions

from carsync.config.parser import parse
from carsync.destination.migrations import migrate
from carsync.doctor import server_facts
from carsync.errors import DatabasePermissionError
from carsync.postgres.connect import open_database
from carsync.postgres.ownership import refuse_foreign_owners
from carsync.postgres.wait import Connection
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, TARGET

TRAP = """
CREATE SCHEMA carsync;
CREATE TABLE carsync.migrations (version integer, name text, checksum text);
CREATE FUNCTION carsync.trap() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN EXECUTE 'ALTER ROLE {mallory} SUPERUSER'; RETURN NEW; END $$;
CREATE TRIGGER trap BEFORE INSERT ON carsync.migrations
    FOR EACH ROW EXECUTE FUNCTION carsync.trap();
"""


@pytest.fixture
def roles(empty_conn: Connection) -> Iterator[tuple[str, str]]:
    """Two roles that may create a schema, and no more."""
    name = extensions.parse_dsn(empty_conn.dsn)["dbname"]
    made = (f"mallory_{name}", f"worker_{name}")
    for role in made:
        ask(empty_conn, f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {name} TO {role}")
        ask(empty_conn, f"GRANT ALL ON SCHEMA public TO {role}")
    yield made
    ask(empty_conn, "RESET ROLE")
    for role in made:
        ask(empty_conn, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_a_squatted_schema_gives_nobody_the_rights_of_a_superuser(
    empty_conn: Connection, empty_dsn: str, roles: tuple[str, str]
) -> None:
    mallory, _ = roles
    ask(empty_conn, f"SET ROLE {mallory}")
    ask(empty_conn, TRAP.format(mallory=mallory))
    ask(empty_conn, "RESET ROLE")
    config = parse("", {"DATABASE_URL": empty_dsn})
    for touch in (
        lambda: migrate(empty_conn, TARGET, COLUMNS),
        lambda: open_database(config, "test").close(),
        lambda: server_facts.read_only(config).__enter__(),
    ):
        with pytest.raises(DatabasePermissionError, match=f"belongs to {mallory}") as refused:
            touch()
        assert "schema carsync" in refused.value.detail
    found = ask(empty_conn, f"SELECT rolsuper FROM pg_roles WHERE rolname = '{mallory}'")
    assert found == [(False,)]


def foreign(conn: Connection, role: str = "") -> str:
    """Return what a session of the role says of the schema; empty where it trusts it."""
    ask(conn, f"SET ROLE {role}" if role else "RESET ROLE")
    try:
        with conn.cursor() as cur:
            refuse_foreign_owners(cur, TARGET)
    except DatabasePermissionError as exc:
        return f"{exc}"
    finally:
        ask(conn, "RESET ROLE")
    return ""


def test_owners_that_are_trusted_and_others(empty_conn: Connection, roles: tuple[str, str]) -> None:
    conn, (mallory, worker) = empty_conn, roles
    assert foreign(conn) == foreign(conn, worker) == "", "there is no schema yet"
    migrate(conn, TARGET, COLUMNS)
    assert foreign(conn) == foreign(conn, worker) == "", "a superuser's"

    ask(conn, f"ALTER TABLE carsync.rejects OWNER TO {mallory}")
    assert "carsync.rejects" in foreign(conn)
    assert f"GRANT {mallory} TO {worker}" in foreign(conn, worker)
    ask(conn, f"GRANT {mallory} TO {worker}")
    assert foreign(conn, worker) == "", "a group's whose member it is"
    assert foreign(conn), "a superuser is a member of every role"
    if conn.server_version < 150_000:
        ask(conn, f"REVOKE {mallory} FROM {worker}; SET SESSION AUTHORIZATION {mallory}")
        ask(conn, f"GRANT {mallory} TO {worker}; RESET SESSION AUTHORIZATION")
        assert foreign(conn, worker), "it made others its members itself"
    ask(conn, f"REVOKE {mallory} FROM {worker}; ALTER TABLE cars OWNER TO {mallory}")
    assert foreign(conn, worker) == "", "the target's owner, whose triggers it runs anyhow"
    ask(conn, f"ALTER TABLE carsync.rejects OWNER TO {worker}; ALTER TABLE cars OWNER TO {worker}")
    assert foreign(conn, worker) == ""

    ask(
        conn,
        f"GRANT TRIGGER ON carsync.runs TO {mallory}; GRANT USAGE ON SCHEMA carsync TO {mallory}",
    )
    ask(conn, f"SET ROLE {mallory}")
    ask(
        conn,
        "CREATE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN END $$;"
        "CREATE TRIGGER trap BEFORE INSERT ON carsync.runs EXECUTE FUNCTION public.trap()",
    )
    assert "the function of trigger trap on carsync.runs" in foreign(conn, worker)
    name = extensions.parse_dsn(conn.dsn)["dbname"]
    ask(conn, f"ALTER DATABASE {name} OWNER TO {mallory}")
    assert foreign(conn, worker) == "", "the database's owner"
    ask(conn, f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
