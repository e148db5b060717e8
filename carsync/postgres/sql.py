"""Statements: loaded from `sql/`, composed with identifiers and literals, executed.

Statements hold `{name}` for composed parts and `%(name)s` for parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import IO, Any

from psycopg2 import extensions, extras, sql

from carsync.errors import DatabaseError
from carsync.formatting import fit
from carsync.model import Target
from carsync.postgres.errors import translating
from carsync.postgres.wait import Connection, blocking

Cursor = extensions.cursor
Composable = sql.Composable
_HOLD_ALL = {"UTF8", "SQL_ASCII"}
Query = Composable | str
"""A statement, or the name by which `load` finds one that has no `{name}`."""


@cache
def _read_statement(name: str) -> str:
    return files("carsync.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8").rstrip()


def load(name: str, /, **parts: Composable) -> Composable:
    """Load `sql/NAME.sql`, such as `runs/start_run`, and put `parts` in place of its `{names}`."""
    return sql.SQL(_read_statement(name)).format(**parts)


class _Quoted(sql.Composable):
    """A composed part whose percent signs are doubled: they are no place for a parameter."""

    def __init__(self, part: Composable) -> None:
        super().__init__(part)
        self._part = part

    def as_string(self, context: extensions.connection | Cursor) -> str:
        return self._part.as_string(context).replace("%", "%%")


def identifier(*names: str) -> Composable:
    """Quote a name, qualified by those before it."""
    return _Quoted(sql.Identifier(*names))


def identifiers(names: Iterable[str], prefix: str | None = None) -> Composable:
    """Quote names and join them with commas, each qualified by `prefix` if given."""
    qualifier = () if prefix is None else (prefix,)
    return sql.SQL(", ").join(identifier(*qualifier, name) for name in names)


def table(target: Target) -> Composable:
    """Quote the schema-qualified name of the target table."""
    return identifier(target.schema, target.table)


def definition(name: str, type_: str) -> Composable:
    """Compose the definition of a column, `type_` as the server's catalogue writes it."""
    return load("schema/column", column=identifier(name), type=expression(type_))


def literal(value: object) -> Composable:
    """Quote a value."""
    return _Quoted(sql.Literal(value))


def expression(text: str) -> Composable:
    """Take a type name or an expression as the server's catalogue writes it."""
    return _Quoted(sql.SQL(text))


NOTHING: Composable = sql.SQL("")
"""The part of a statement that is left out."""


def comma_separated(parts: Iterable[Composable]) -> Composable:
    """Join composed parts with commas."""
    return sql.SQL(", ").join(parts)


def rendered(cur: Cursor, query: Composable) -> Composable:
    """Return `query` as one text: composing many parts anew takes longer than the server does."""
    return sql.SQL(query.as_string(cur))


def storable(cur: Cursor, value: Any) -> Any:
    """Return a parameter without what the database's encoding cannot hold (LATIN1 has no `…`).

    For what carsync says and quotes; a row of the feed that does not fit is refused instead.
    """
    encoding = cur.connection.get_parameter_status("server_encoding")
    if encoding is None or encoding in _HOLD_ALL:
        return value
    if isinstance(value, list):
        return [storable(cur, each) for each in value]
    return fit(value, extensions.encodings[encoding]) if isinstance(value, str) else value


def _execute(cur: Cursor, query: Query, parameters: Mapping[str, Any] | None) -> None:
    fitting = {name: storable(cur, value) for name, value in (parameters or {}).items()}
    cur.execute(load(query) if isinstance(query, str) else query, fitting)


def run(cur: Cursor, query: Query, parameters: Mapping[str, Any] | None = None) -> int:
    """Execute a statement and return the number of rows it touched."""
    _execute(cur, query, parameters)
    return max(cur.rowcount, 0)


def rows(
    cur: Cursor, query: Query, parameters: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Execute a query and return its rows."""
    _execute(cur, query, parameters)
    return cur.fetchall()


def one(cur: Cursor, query: Query, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
    """Execute a query that has exactly one row and return it."""
    found = rows(cur, query, parameters)
    if len(found) != 1:
        raise DatabaseError(f"a query meant to give one row gave {len(found)}")
    return found[0]


def fetch(
    conn: Connection, doing: str, query: Query, parameters: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Execute one query outside a transaction, its errors translated, and return its rows."""
    with translating(doing), conn.cursor() as cur:
        return rows(cur, query, parameters)


def insert_values(
    cur: Cursor, query: Composable, values: Sequence[Sequence[Any]], template: str | None = None
) -> None:
    """Execute `query`, which holds one `%s` for the VALUES list, over all `values` at once."""
    extras.execute_values(cur, query, values, template=template, page_size=max(1, len(values)))


def copy_from(cur: Cursor, query: Composable, text: IO[bytes]) -> None:
    """Execute a COPY … FROM STDIN, reading `text`."""
    # COPY takes no parameters, so nothing halves the percent signs of names again.
    with blocking():
        cur.copy_expert(query.as_string(cur).replace("%%", "%"), text, size=1 << 16)
