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

UNPUBLISHED: tuple[type[Exception], ...] = (
    errors.ObjectNotInPrerequisiteState,
    errors.InvalidColumnReference,
)
"""What an UPDATE raises where a publication cannot tell which row it is about."""


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Turn any psycopg2 error inside into carsync's own; `doing` names the work."""
    try:
        yield
    except psycopg2.Error as exc:
        raise translate(exc, doing) from exc


def is_refusal(exc: BaseException) -> bool:
    """Tell whether a row, and not the statement or the server, was to blame.

    `exc` may be the translated error. Of NUL and lone surrogates Python says `ValueError`.
    """
    cause = exc.__cause__ if isinstance(exc, DatabaseError) else exc
    if isinstance(cause, psycopg2.Error):
        return cause.pgcode is not None and sqlstate.is_refusal(cause.pgcode)
    return isinstance(cause, ValueError)


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


def hint(exc: BaseException) -> str:
    """Return what to do about an error of psycopg2; empty where that is not known."""
    return translate(exc, "").hint if isinstance(exc, psycopg2.Error) else ""


def _first_lines(exc: psycopg2.Error) -> str:
    """Return the server's message and its DETAIL, without the statement (it may hold data)."""
    message = exc.diag.message_primary
    if message:
        more = exc.diag.message_detail
        return f"{message}: {more}" if more else str(message)
    lines = str(exc).strip().splitlines()
    return "; ".join(line.strip() for line in lines[:3]) or type(exc).__name__
