"""Waiting for a statement: its deadline, a signal, and what is idle."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from psycopg2 import sql as pg_sql

from carsync import timing
from carsync.errors import DatabaseUnavailableError
from carsync.postgres import connection, sql
from carsync.postgres.wait import LONG_S, Connection, is_idle, patient, within


def test_statement_without_an_answer_is_given_up(conn: Connection) -> None:
    """No session watches this one: its own deadline alone ends the wait."""
    began_s = time.monotonic()
    query = pg_sql.SQL("SELECT pg_sleep(20)")
    with pytest.raises(DatabaseUnavailableError) as caught, within(conn, 1.0):
        sql.fetch(conn, "testing", query)
    assert 1.0 <= time.monotonic() - began_s < 10
    assert "no answer for 1 s" in caught.value.detail
    assert conn.closed


def test_only_the_statements_of_the_block_have_another_limit(conn: Connection) -> None:
    usual_s = conn.silence_s
    with suppress(ZeroDivisionError), within(conn, 3.0):
        with patient(conn):
            assert conn.silence_s == LONG_S
        assert conn.silence_s == 3.0
        raise ZeroDivisionError
    assert conn.silence_s == usual_s


def test_a_statement_ends_once_somebody_wants_to_cancel(conn: Connection) -> None:
    """No watchdog cancels this one: the server is waited for a little, then given up."""
    conn.should_cancel = lambda: True
    began_s = time.monotonic()
    with timing.shortened(cancel_s=0.5), pytest.raises(DatabaseUnavailableError):
        sql.fetch(conn, "testing", pg_sql.SQL("SELECT pg_sleep(20)"))
    assert time.monotonic() - began_s < 10


def test_a_connection_in_a_transaction_or_closed_is_not_idle(conn: Connection) -> None:
    assert is_idle(conn)
    with connection.transaction(conn, "testing"):
        assert not is_idle(conn)
    assert is_idle(conn)
    conn.close()
    assert not is_idle(conn)
