"""Connections, transactions and the words of errors."""

from __future__ import annotations

from contextlib import closing, suppress

import psycopg2
import pytest
from psycopg2 import extensions
from psycopg2 import sql as pg_sql

from carsync import redaction
from carsync.errors import (
    DatabaseError,
    DatabaseUnavailableError,
)
from carsync.exit_codes import ExitCode
from carsync.model import Target
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.conftest import ask

TARGET = Target("public", "cars")


def connect(dsn: str) -> Connection:
    return connection.connect(Secret(dsn), application_name="carsync test", connect_timeout_s=2)


# ── sessions ─────────────────────────────────────────────────────────────────


def test_session_is_set_up_for_unattended_work(conn: Connection) -> None:
    names = ("TimeZone", "statement_timeout", "lock_timeout", "idle_session_timeout")
    shown = [ask(conn, f"SHOW {name}")[0][0] for name in names]
    assert shown == ["UTC", "0", "5s", "0"]
    assert ask(conn, "SHOW application_name") == [("carsync tests",)]


def test_session_overrides_what_role_or_database_set(dsn: str) -> None:
    with closing(connect(dsn)) as conn:
        [(name,)] = ask(conn, "SELECT current_database()")
        ask(conn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        ask(conn, f"ALTER DATABASE {name} SET TimeZone = 'Asia/Seoul'")
    with closing(connect(dsn)) as conn:
        ask(conn, "CREATE TABLE public.t ()")
        assert ask(conn, "SHOW TimeZone") == [("UTC",)]


def test_session_of_a_killed_client_is_noticed(conn: Connection) -> None:
    assert ask(conn, "SHOW client_connection_check_interval") == [("5s",)]


def test_direct_connections_share_no_server_session(dsn: str) -> None:
    assert not connection.shares_server_sessions(Secret(dsn), 5)


def test_connection_that_stands_for_both_looks_like_a_transaction_pooler(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a pooler in transaction mode does to two clients: one server process for both."""
    monkeypatch.setattr(connection, "_open", lambda *_: conn)
    assert connection.shares_server_sessions(Secret(""), 5)


def test_is_open_tells_a_terminated_session(dsn: str, conn: Connection) -> None:
    assert connection.is_open(conn)
    with closing(connect(dsn)) as killer:
        ask(killer, "SELECT pg_terminate_backend(%s)", conn.info.backend_pid)
    assert not connection.is_open(conn)


def test_transaction_commits(conn: Connection) -> None:
    with connection.transaction(conn, "testing") as cur:
        cur.execute("CREATE TABLE t (n int)")
    assert ask(conn, "SELECT to_regclass('t')::text") == [("t",)]
    assert conn.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE


def test_transaction_rolls_back_on_any_exception(conn: Connection) -> None:
    with suppress(KeyError), connection.transaction(conn, "testing") as cur:
        cur.execute("CREATE TABLE t (n int)")
        raise KeyError
    assert conn.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE
    assert ask(conn, "SELECT to_regclass('t')") == [(None,)]


def test_swallowed_error_is_no_silent_rollback(conn: Connection) -> None:
    def swallow() -> None:
        with connection.transaction(conn, "testing") as cur:
            cur.execute("CREATE TABLE t (n int)")
            with suppress(psycopg2.Error):
                cur.execute("SELECT 1/0")

    with pytest.raises(DatabaseError, match="rolled the transaction back"):
        swallow()
    assert ask(conn, "SELECT to_regclass('t')") == [(None,)]


def test_error_swallowed_inside_a_savepoint_is_no_silent_rollback(conn: Connection) -> None:
    def swallow() -> None:
        with connection.transaction(conn, "testing") as cur:
            cur.execute("CREATE TABLE t (n int)")
            with connection.savepoint(cur), suppress(psycopg2.Error):
                cur.execute("SELECT 1/0")

    with pytest.raises(DatabaseError, match="while testing"):
        swallow()
    assert ask(conn, "SELECT to_regclass('t')") == [(None,)]


def test_deferred_constraint_that_fails_at_commit_is_reported(conn: Connection) -> None:
    ask(conn, "CREATE TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with (
        pytest.raises(DatabaseError, match="while testing"),
        connection.transaction(conn, "testing") as cur,
    ):
        cur.execute("INSERT INTO t VALUES (1), (1)")
    assert ask(conn, "SELECT count(*) FROM t") == [(0,)]


def test_savepoint_undoes_its_block_only(conn: Connection) -> None:
    ask(conn, "CREATE TABLE t (n int)")
    with connection.transaction(conn, "testing") as cur:
        cur.execute("INSERT INTO t VALUES (1)")
        with suppress(psycopg2.Error), connection.savepoint(cur):
            cur.execute("INSERT INTO t VALUES (2)")
            cur.execute("SELECT 1/0")
        with connection.savepoint(cur):
            cur.execute("INSERT INTO t VALUES (3)")
    assert ask(conn, "SELECT n FROM t ORDER BY n") == [(1,), (3,)]


def test_savepoints_that_were_undone_do_not_nest(conn: Connection) -> None:
    """Ten thousand refused rows, one after the other, would be as many levels deep."""

    def undo_and_look() -> None:
        with connection.transaction(conn, "testing") as cur:
            with suppress(psycopg2.Error), connection.savepoint(cur):
                cur.execute("SELECT 1/0")
            cur.execute("RELEASE SAVEPOINT carsync")

    with pytest.raises(DatabaseError) as caught:
        undo_and_look()
    assert 'savepoint "carsync" does not exist' in caught.value.detail


def test_composed_percent_signs_and_braces_survive(conn: Connection) -> None:
    query = pg_sql.SQL("SELECT {value} AS {name}, %(given)s").format(
        value=sql.literal("100 % {x} %s %(y)s"), name=sql.identifier('a"%s')
    )
    assert sql.fetch(conn, "testing", query, {"given": "%"}) == [("100 % {x} %s %(y)s", "%")]


# ── errors ───────────────────────────────────────────────────────────────────

UNREACHABLE = [
    ("postgresql://u:secret-word@no-such-host.invalid/x", "host name"),
    ("postgresql://u:secret-word@127.0.0.1:1/x", "is PostgreSQL running"),
    ("host=/no/such/folder user=u password=secret-word", "is PostgreSQL running"),
]


@pytest.mark.parametrize(("dsn", "hint"), UNREACHABLE)
def test_unreachable_server_says_what_to_look_at(dsn: str, hint: str) -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        connect(dsn)
    assert hint in caught.value.hint
    assert "secret-word" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.DATABASE


@pytest.mark.parametrize("dsn", ["postgresql://u:p%zz@h/x", "secret-word", "host='secret-word"])
def test_unreadable_connection_string_is_not_quoted(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "_known", {})  # such as a manifest's password `postgresql://`
    with pytest.raises(DatabaseError, match="cannot be read") as caught:
        connect(dsn)
    assert "secret-word" not in str(caught.value)
    assert "postgresql://USER:PASSWORD@HOST" in caught.value.hint


def test_missing_database_and_role_are_named(dsn: str) -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        connect(extensions.make_dsn(dsn, dbname="no_such_database"))
    assert "does not exist" in caught.value.hint
    with pytest.raises(DatabaseUnavailableError):
        connect(extensions.make_dsn(dsn, user="no_such_role"))
