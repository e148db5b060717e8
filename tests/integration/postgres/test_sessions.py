"""The server's processes: watched, listed and ended from another session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from psycopg2 import extensions

from carsync.errors import DatabaseError
from carsync.model import Target
from carsync.postgres import connection, sessions
from carsync.postgres.peer import peer_of
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from carsync.state import target_lock
from tests.conftest import TARGET, ask
from tests.support.pg_proxy import PgProxy


@pytest.fixture
def other(dsn: str) -> Iterator[Connection]:
    made = connection.connect(Secret(dsn), application_name="carsync writer run 7")
    yield made
    made.close()


def test_a_session_is_ended_by_its_name_and_no_other(conn: Connection, other: Connection) -> None:
    sessions.end_sessions(conn, "carsync writer run 8")
    assert connection.is_open(other)
    sessions.end_sessions(conn, "carsync writer run 7")
    assert not connection.is_open(other)
    assert connection.is_open(conn)


def test_a_backend_is_ended_by_its_pid_and_its_start(conn: Connection, other: Connection) -> None:
    backend = sessions.backend_of(other)
    assert backend.pid == other.info.backend_pid
    sessions.end_backend(conn, sessions.Backend(backend.pid, sessions.backend_of(conn).started_at))
    assert connection.is_open(other), "a pid that was given to another is left alone"
    sessions.end_backend(conn, backend)
    assert not connection.is_open(other)
    sessions.end_backend(conn, backend)  # it is gone already


def _watchdog(conn: Connection, reopen: Callable[[], Connection]) -> sessions.SessionWatchdog:
    return sessions.SessionWatchdog(sessions.backend_of(conn), peer_of(conn), reopen, 1.0)


def test_the_watchdog_tells_an_idle_server_process(conn: Connection, dsn: str) -> None:
    def reopen() -> Connection:
        return connection.connect(Secret(dsn), application_name="carsync watch")

    watchdog = _watchdog(conn, reopen)
    assert not watchdog.is_working()
    watchdog.backend = sessions.Backend(2**31 - 1, watchdog.backend.started_at)
    assert not watchdog.is_working()


def test_a_server_that_refuses_a_second_session_lives_and_a_silent_or_closed_one_does_not(
    conn: Connection, dsn: str
) -> None:
    """The refusal comes before the login, so it has no SQLSTATE and the server's own language."""
    database = extensions.parse_dsn(dsn)["dbname"]
    with closing(PgProxy(dsn)) as proxy:

        def reopen() -> Connection:
            secret = Secret(extensions.make_dsn(proxy.dsn, user="nobody-that-exists"))
            return connection.connect(secret, application_name="watch", connect_timeout_s=2)

        through = connection.connect(Secret(proxy.dsn), application_name="test")
        watchdog = _watchdog(through, reopen)
        assert watchdog.is_working(), "it said that there is no such role"
        ask(conn, f"ALTER DATABASE {database} CONNECTION LIMIT 0")
        assert watchdog.is_working()
        proxy.swallow()
        with pytest.raises(DatabaseError):
            watchdog.is_working()
        proxy.recover()
        proxy.refuse()
        with pytest.raises(DatabaseError):
            watchdog.is_working()


def test_sessions_are_listed_with_the_lock_that_they_hold(
    conn: Connection, other: Connection
) -> None:
    target_lock.acquire(other, TARGET)
    (found,) = sessions.list_sessions(conn, TARGET)
    assert (found.pid, found.application) == (other.info.backend_pid, "carsync writer run 7")
    assert (found.state, found.holds_lock, found.blocked_by) == ("idle", True, [])
    (elsewhere,) = sessions.list_sessions(conn, Target("public", "boats"))
    assert not elsewhere.holds_lock


def test_rivals_are_the_sessions_that_hold_locks_on_the_table(
    conn: Connection, other: Connection
) -> None:
    assert sessions.describe_rivals(conn, TARGET) == ""
    with connection.transaction(other, "locking") as cur:
        cur.execute("LOCK TABLE public.cars IN ROW EXCLUSIVE MODE")
        words = sessions.describe_rivals(conn, TARGET)
    assert f"PostgreSQL pid {other.info.backend_pid}" in words
    assert ask(conn, "SELECT 1") == [(1,)]
