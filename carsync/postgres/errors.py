"""Errors of psycopg2 turned into carsync's own, and which of them mean what.

The words and the class of an SQLSTATE are `sqlstate.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errors

from carsync.errors import DatabaseError
from carsync.postgres import sqlstate

BAD_VALUE: tuple[type[Exception], ...] = (
    psycopg2.DataError,
    errors.NotNullViolation,
    errors.CheckViolation,
    errors.ProgramLimitExceeded,  # a text or an array larger than jsonb holds
    errors.StatementTooComplex,  # JSON nested more deeply than the server's stack
    ValueError,
)
"""What a statement raises for a value no column can hold; for NUL psycopg2 says ValueError."""

DUPLICATE_KEY: type[Exception] = errors.UniqueViolation
"""What an INSERT raises where a unique index holds the key already."""

REFUSED: tuple[type[Exception], ...] = (
    psycopg2.IntegrityError,
    psycopg2.DataError,
    errors.RaiseException,
    errors.TriggeredActionException,
)
"""What a statement raises for a row that the table's own rules, or its triggers, refuse."""


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Turn any psycopg2 error inside into carsync's own; `doing` names the work."""
    try:
        yield
    except psycopg2.Error as exc:
        raise translate(exc, doing) from exc


def is_bad_value(exc: BaseException | None) -> bool:
    """Tell whether a value, and not the statement or the server, was to blame."""
    return isinstance(exc, BAD_VALUE) or isinstance(getattr(exc, "__cause__", None), BAD_VALUE)


def translate(exc: psycopg2.Error, doing: str) -> DatabaseError:
    """Give the `DatabaseError` for a psycopg2 error: class by culprit, hint by SQLSTATE."""
    said = _first_lines(exc)
    if exc.pgcode:
        return sqlstate.explain(exc.pgcode, said, doing)
    if isinstance(exc, psycopg2.ProgrammingError) and "dsn" in said:
        return sqlstate.unreadable_dsn()
    if isinstance(exc, psycopg2.OperationalError | psycopg2.InterfaceError):
        return sqlstate.no_connection(said, doing)
    return DatabaseError(f"psycopg2 failed while {doing}", detail=said)


def _first_lines(exc: psycopg2.Error) -> str:
    """Return the server's message and its DETAIL, without the statement (it may hold data)."""
    message = exc.diag.message_primary
    if message:
        more = exc.diag.message_detail
        return f"{message}: {more}" if more else str(message)
    lines = str(exc).strip().splitlines()
    return "; ".join(line.strip() for line in lines[:3]) or type(exc).__name__
