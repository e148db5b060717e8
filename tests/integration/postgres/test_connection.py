"""Connections, transactions and the words of errors."""

from __future__ import annotations

import time
from contextlib import closing, suppress

import psycopg2
import pytest
from psycopg2 import errors as pg_errors
from psycopg2 import extensions
from psycopg2 import sql as pg_sql
from psycopg2.sql import SQL

from carsync.config.parser import parse
from carsync.errors import (
    CarsyncError,
    DatabaseError,
    DatabasePermissionError,
    DatabaseUnavailableError,
    LockedError,
)
from carsync.exit_codes import ExitCode
from carsync.model import Target
from carsync.postgres import connection, errors, sql
from carsync.postgres.connect import open_database
from carsync.postgres.wait import Connection, within
from carsync.redaction import Secret
from carsync.state import target_lock
from tests.conftest import ask

TARGET = Target("public", "cars")


def connect(dsn: str) -> Connection:
    return connection.connect(Secret(dsn), application_name="carsync test", connect_timeout_s=2)


# ── sessions ─────────────────────────────────────────────────────────────────


def test_who_may_cancel_is_asked_while_the_session_and_its_watch_wait(dsn: str) -> None:
    """A service manager's watchdog is fed by that question, wherever the parent waits."""
    asked: list[str] = []

    def should_cancel() -> bool:
        asked.append(at)
        return at == "watch"

    at = "opening"
    with closing(open_database(parse("", {"DATABASE_URL": dsn}), "test", should_cancel)) as conn:
        assert asked
        at = "statement"
        ask(conn, "SELECT pg_sleep(0.3)")
        assert asked.count(at) >= 2
        at = "watch"
        assert conn.watchdog is not None
        assert not conn.watchdog.is_working(), "its statements are cancelled by nobody"
        assert at in asked


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
        ask(conn, "CREATE TABLE t ()")
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


def test_statement_without_an_answer_is_given_up(conn: Connection) -> None:
    """No session watches this one: its own deadline alone ends the wait."""
    began_s = time.monotonic()
    query = pg_sql.SQL("SELECT pg_sleep(20)")
    with pytest.raises(DatabaseUnavailableError) as caught, within(conn, 1.0):
        sql.fetch(conn, "testing", query)
    assert 1.0 <= time.monotonic() - began_s < 10
    assert "no answer for 1 s" in caught.value.detail
    assert conn.closed


# ── transactions ─────────────────────────────────────────────────────────────


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
def test_unreadable_connection_string_is_not_quoted(dsn: str) -> None:
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


STATEMENTS = [
    ("SELECT no_such_column FROM cars", DatabaseError, "carsync migrate"),
    ("SELECT * FROM no_such_table", DatabaseError, "carsync migrate"),
    ("SET ROLE pg_monitor; SELECT * FROM carsync.runs", DatabasePermissionError, "grant"),
    ("SET statement_timeout = 1; SELECT pg_sleep(9)", DatabaseError, "statement_timeout"),
    ("BEGIN READ ONLY; CREATE TABLE t ()", DatabaseError, "standby"),
]


@pytest.mark.parametrize(("query", "kind", "hint"), STATEMENTS)
def test_refused_statement_has_problem_detail_and_hint(
    conn: Connection, query: str, kind: type[DatabaseError], hint: str
) -> None:
    with pytest.raises(kind) as caught, errors.translating("testing"), conn.cursor() as cur:
        cur.execute(query)
    assert caught.value.problem == "PostgreSQL refused while testing"
    assert "SQLSTATE" in caught.value.detail
    assert hint in caught.value.hint


def test_lock_timeout_names_the_setting(conn: Connection, dsn: str) -> None:
    with closing(connect(dsn)) as rival, connection.transaction(rival, "blocking") as cur:
        cur.execute("LOCK TABLE cars")
        ask(conn, "SET lock_timeout = 50")
        with pytest.raises(DatabaseError) as caught:
            sql.fetch(conn, "testing", SQL("SELECT 1 FROM cars"))
    assert "database.lock_timeout_s" in caught.value.hint


def test_error_quotes_no_statement(conn: Connection) -> None:
    with pytest.raises(DatabaseError) as caught:
        sql.fetch(conn, "testing", SQL("SELECT 'secret-word', 1/0"))
    assert "secret-word" not in str(caught.value)


def test_every_error_of_psycopg2_has_a_translation() -> None:
    """With and without a SQLSTATE: none reaches the operator untranslated."""
    classes = [c for c in vars(psycopg2).values() if isinstance(c, type)]
    classes += [c for c in vars(pg_errors).values() if isinstance(c, type)]
    kinds = [c for c in classes if issubclass(c, psycopg2.Error)]
    assert len(kinds) > 200
    for kind in kinds:
        with pytest.raises(CarsyncError) as caught, errors.translating("testing"):
            raise kind("words")
        assert isinstance(caught.value, DatabaseError)
        assert "words" in caught.value.detail
        assert caught.value.__cause__ is not None


# ── the lock ─────────────────────────────────────────────────────────────────


def test_lock_keeps_a_second_session_out_and_names_the_first(conn: Connection, dsn: str) -> None:
    target_lock.acquire(conn, TARGET)
    with closing(connect(dsn)) as second:
        with pytest.raises(LockedError) as caught:
            target_lock.acquire(second, TARGET)
        assert "carsync tests" in caught.value.detail
        assert str(conn.info.backend_pid) in caught.value.detail
        assert caught.value.exit_code == ExitCode.LOCKED
        assert target_lock.try_acquire(second, Target("public", "boats"))


def test_lock_goes_with_its_session(conn: Connection, dsn: str) -> None:
    with closing(connect(dsn)) as first:
        target_lock.acquire(first, TARGET)
    assert target_lock.describe_holder(conn, TARGET) == "" or wait_for_lock(conn)
    target_lock.acquire(conn, TARGET)


def wait_for_lock(conn: Connection) -> bool:
    """Poll until the closed session's process is gone; fail after five seconds."""
    query = "SELECT clock_timestamp() > %s::timestamptz"
    [(deadline,)] = ask(conn, "SELECT clock_timestamp() + interval '5 s'")
    while target_lock.describe_holder(conn, TARGET):
        assert ask(conn, query, deadline) == [(False,)]
    return True


# ── the record of runs ───────────────────────────────────────────────────────
