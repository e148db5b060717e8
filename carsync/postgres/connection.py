"""The one place that opens psycopg2 connections; `errors.py` has their errors.

Other modules get a `Connection` from `connect` and a `Cursor` from `transaction`.
Connections are in autocommit mode: nothing is left idle in a transaction, and
`transaction` says BEGIN and COMMIT itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg2

from carsync import timing
from carsync.errors import DatabaseError
from carsync.postgres.errors import translating
from carsync.postgres.sql import Cursor, run
from carsync.postgres.wait import Connection, blocking, within
from carsync.redaction import Secret

_APPLICATION_NAME_BYTES = 63
_POOLER_S = 5.0
NO_OPTIONS: Mapping[str, Any] = {}


def connect(
    dsn: Secret,
    *,
    application_name: str,
    connect_timeout_s: float = 10.0,
    lock_timeout_s: float = 30.0,
    statement_timeout_s: float = 0.0,
    should_cancel: Callable[[], bool] | None = None,
    options: Mapping[str, Any] = NO_OPTIONS,
) -> Connection:
    """Open a connection in autocommit mode, its session set up for unattended work.

    `should_cancel` is asked from the first statement on, see `wait.Connection`.
    `statement_timeout_s` 0 means none: a role's own (Supabase gives some roles two
    minutes) would end a long merge. A connection string may be a URL or `key=value`
    pairs; `options` are laid over it. Raises `DatabaseUnavailableError`, or
    `DatabaseError` for a string that libpq cannot read, with no password in either.
    """
    with translating("connecting to PostgreSQL"):
        conn = _open(dsn, application_name, connect_timeout_s, options)
        conn.should_cancel = should_cancel
        try:
            with within(conn, max(2.0, connect_timeout_s)):
                _set_up_session(conn, lock_timeout_s, statement_timeout_s)
        except BaseException:
            conn.close()
            raise
    conn.silence_s = max(timing.current().statement_silence_s, lock_timeout_s + 30)
    return conn


def connect_timeout(seconds: float) -> int:
    """Return what libpq is given for this time; it counts whole seconds, the last one in part."""
    return max(2, round(seconds))


def _open(
    dsn: Secret,
    application_name: str,
    connect_timeout_s: float,
    options: Mapping[str, Any] = NO_OPTIONS,
) -> Connection:
    with blocking():
        conn: Connection = psycopg2.connect(
            dsn.reveal(),
            connection_factory=Connection,
            connect_timeout=connect_timeout(connect_timeout_s),
            application_name=application_name[:_APPLICATION_NAME_BYTES],
            client_encoding="UTF8",
            keepalives=1,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            **options,
        )
    conn.autocommit = True
    return conn


def _set_up_session(conn: Connection, lock_timeout_s: float, statement_timeout_s: float) -> None:
    """Set the session's parameters; those a server does not know are left out.

    They are set by a statement, since poolers refuse the start-up parameter `options`.
    """
    wanted = {
        "lock_timeout": f"{lock_timeout_s * 1000:.0f}",
        "statement_timeout": f"{statement_timeout_s * 1000:.0f}",
        "transaction_timeout": "0",
        "idle_in_transaction_session_timeout": "120000",
        "idle_session_timeout": "0",
        # A client that vanished without a word gives up its locks within a minute or so.
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "60000",
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "postgres",
        "extra_float_digits": "1",  # the text of a float is all of it
        "quote_all_identifiers": "off",  # the catalogue says `text`, not `"text"`
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        "client_min_messages": "warning",
    }
    with conn.cursor() as cur:
        settings = {"names": list(wanted), "settings": list(wanted.values())}
        run(cur, "session/set_session", settings)
        # Lets the server notice within seconds that a killed client is gone, and give
        # up its locks. Not every platform has it.
        with suppress(psycopg2.Error):
            cur.execute("SET client_connection_check_interval = '5s'")


def is_open(conn: Connection, within_s: float | None = None) -> bool:
    """Tell whether `conn` still answers, within its usual limit or `within_s` seconds."""
    try:
        with within(conn, within_s or conn.silence_s), conn.cursor() as cur:
            cur.execute("SELECT 1")
        return True
    except psycopg2.Error:
        return False


def shares_server_sessions(dsn: Secret, connect_timeout_s: float) -> bool:
    """Tell whether a pooler in transaction mode stands between (session locks are void there).

    Two connections have a server process each, and keep it; behind such a pooler the
    second, held in a transaction, gets the first one's process, or the first one another,
    or, where the pool has but one, none in time. One that pools statements refuses BEGIN.
    """
    with (
        translating("connecting to PostgreSQL"),
        closing(_open(dsn, "carsync", connect_timeout_s)) as first,
        closing(_open(dsn, "carsync", connect_timeout_s)) as second,
        first.cursor() as a,
        second.cursor() as b,
    ):
        before = _backend(a)
        try:
            b.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
        except psycopg2.Error as exc:
            if "statement pooling" in str(exc):
                return True
            raise
        other = _backend(b)
        try:
            with within(first, _POOLER_S):
                after = _backend(a)
        except psycopg2.OperationalError:
            return is_open(second)
        b.execute("ROLLBACK")
    return other == before or after != before


def _backend(cur: Cursor) -> int:
    cur.execute("SELECT pg_catalog.pg_backend_pid()")
    return int(cur.fetchall()[0][0])


@contextmanager
def transaction(conn: Connection, doing: str, *, keep: bool = True) -> Iterator[Cursor]:
    """Give a cursor inside a transaction; commit at the end, roll back on any error.

    `doing` names the work in error messages ("merging"). `keep` False rolls back at the end too, so
    that all of it was only tried. An error that was swallowed inside turns PostgreSQL's COMMIT into
    a silent ROLLBACK; here it raises `DatabaseError`. Raises the translated error of any statement.
    """
    with translating(doing), conn.cursor() as cur:
        cur.execute("BEGIN")
        try:
            yield cur
            cur.execute("COMMIT" if keep else "ROLLBACK")
        except BaseException:
            with suppress(psycopg2.Error):
                cur.execute("ROLLBACK")
            raise
        if keep and cur.statusmessage != "COMMIT":
            raise DatabaseError(
                f"PostgreSQL rolled the transaction back while {doing}",
                detail=f"COMMIT was answered with {cur.statusmessage}",
                hint="an error inside the transaction was swallowed; this is a bug in carsync",
            )


@contextmanager
def role_path(cur: Cursor) -> Iterator[None]:
    """Resolve names by the role's own search_path in the block: the target's triggers may need it.

    Only for the statement that writes what has triggers or constraints, inside a transaction.
    """
    run(cur, "session/take_role_path")
    yield
    run(cur, "session/leave_role_path")


@contextmanager
def savepoint(cur: Cursor) -> Iterator[None]:
    """Undo the block's statements, and only those, when it raises; the error goes on."""
    cur.execute("SAVEPOINT carsync")
    try:
        yield
    except BaseException:
        with suppress(psycopg2.Error):
            # The savepoint stays after it is rolled back to, and all later ones would nest in it.
            cur.execute("ROLLBACK TO SAVEPOINT carsync; RELEASE SAVEPOINT carsync")
        raise
    cur.execute("RELEASE SAVEPOINT carsync")
