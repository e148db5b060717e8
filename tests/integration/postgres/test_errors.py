"""The words of errors: problem, detail and hint of what the server, or psycopg2, refuses."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest
from psycopg2 import errors as pg_errors
from psycopg2.sql import SQL

from carsync.errors import CarsyncError, DatabaseError, DatabasePermissionError
from carsync.postgres import connection, errors, sql
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.conftest import ask


def connect(dsn: str) -> Connection:
    return connection.connect(Secret(dsn), application_name="carsync test", connect_timeout_s=2)


STATEMENTS = [
    ("SELECT no_such_column FROM public.cars", DatabaseError, "carsync migrate"),
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
        cur.execute("LOCK TABLE public.cars")
        ask(conn, "SET lock_timeout = 50")
        with pytest.raises(DatabaseError) as caught:
            sql.fetch(conn, "testing", SQL("SELECT 1 FROM public.cars"))
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
