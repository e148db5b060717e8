"""SQLSTATE → class by culprit and hint; the words of libpq → hint."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from carsync.errors import (
    DatabaseBusyError,
    DatabaseConflictError,
    DatabaseError,
    DatabasePermissionError,
    DatabaseUnavailableError,
    UnmergeableError,
)
from carsync.postgres import sqlstate


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        ("42501", DatabasePermissionError, "an owner must grant it"),
        ("55P03", DatabaseBusyError, "database.lock_timeout_s"),
        ("40P01", DatabaseConflictError, "waited for each other"),
        ("40001", DatabaseConflictError, "wrote the same rows"),
        ("28P01", DatabaseUnavailableError, "user name or password"),
        ("3D000", DatabaseUnavailableError, "does not exist"),
        ("53300", DatabaseUnavailableError, "database.writers"),
        ("57P01", DatabaseUnavailableError, "when the server is back"),
        ("08006", DatabaseUnavailableError, "when the server is back"),
        ("PT409", UnmergeableError, "reads the feed anew"),
        ("53100", DatabaseError, "disk of the database server is full"),
        ("XX000", DatabaseError, "run again: it resumes"),
    ],
)
def test_a_code_decides_class_and_hint(code: str, kind: type[DatabaseError], hint: str) -> None:
    exc = sqlstate.explain(code, "words", "merging")
    assert type(exc) is kind
    assert exc.problem == "PostgreSQL refused while merging"
    assert exc.detail == f"words (SQLSTATE {code})"
    assert hint in exc.hint


def test_hidden_rows_are_named_whatever_the_code() -> None:
    said = "query would be affected by row-level security policy"
    assert "BYPASSRLS" in sqlstate.explain("42501", said, "merging").hint


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ('could not translate host name "x" to address', "typing error"),
        ("connection to server failed: Connection refused", "nothing listens there"),
        ("FATAL: password authentication failed", "user name or password"),
        ("Tenant or user not found", "postgres.PROJECT"),
        ("timeout expired", "the server does not answer"),
        ('root certificate file "/x" does not exist; … or change sslmode', "sslrootcert"),
        ('server certificate for "a" does not match host name "b"', "sslrootcert"),
        ("SSL error: certificate verify failed", "sslrootcert"),
        ("SSL connection is required", "sslmode=require"),
        ('invalid sslmode value: "bogus"', "correct it"),
        ("no more words", "when the server is back"),
    ],
)
def test_libpq_s_words_decide_the_hint_where_there_is_no_code(said: str, hint: str) -> None:
    exc = sqlstate.no_connection(said, "connecting")
    assert (exc.problem, exc.detail) == ("no connection to PostgreSQL while connecting", said)
    assert hint in exc.hint


def test_a_refusal_names_its_column_by_the_server_s_word_or_by_copy_s_context() -> None:
    def refused(column: str | None, context: str | None) -> BaseException:
        exc = ValueError("unused")
        exc.diag = SimpleNamespace(  # type: ignore[attr-defined]
            message_primary="too long\nand more", column_name=column, context=context
        )
        return exc

    assert sqlstate.explain_refusal(refused("vin", None)) == ("vin", "too long")
    for context in (
        "COPY staging_1, line 3, column year: 12x",
        "COPY staging_1, Zeile 3, Spalte year: »12, 4 x: y«",
        "COPY staging_1, ligne 3, colonne year : « 12 »",
    ):
        copied = refused(None, context)
        assert sqlstate.explain_refusal(copied) == ("year", "too long")
    assert sqlstate.explain_refusal(ValueError("NUL in it")) == (None, "NUL in it")
