"""The target table: created, or an existing one adopted by adding only what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from msgspec.structs import asdict

from carsync import formatting
from carsync.columns import COMPARED, MANAGED, TARGET_COLUMNS
from carsync.config.mapping_sections import ColumnType
from carsync.destination import privileges
from carsync.errors import ConfigError, DatabaseError
from carsync.model import Column, Target
from carsync.postgres import connection, errors, sql, sqlstate
from carsync.postgres.sql import Cursor

_TEXTS = frozenset({"text", "character varying", "citext", "character"})
_KEYS = frozenset({"text", "character varying"})
"""Types that hold an id as it is: `character` adds blanks, and loses them in comparisons."""
_NUMBERS = frozenset({"numeric", "double precision"})
_TIMES = frozenset({"timestamp with time zone", "timestamp without time zone"})

_ACCEPTED: dict[str, frozenset[str]] = {
    "text": _TEXTS,
    "integer": frozenset({"integer", "bigint"}) | _NUMBERS,
    "numeric": _NUMBERS,
    "boolean": frozenset({"boolean"}),
    "timestamptz": _TIMES,
    "jsonb": frozenset({"jsonb", "json", "text"}),
}
"""Column type of the mapping → types of an existing column that hold all its values."""


def wanted_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Return the target's columns: the documented ones, then any further ones of the mapping.

    Raises `ConfigError` where the mapping gives a documented column another type.
    """
    wanted: dict[str, Column] = {column.name: column for column in TARGET_COLUMNS}
    for column in columns:
        if column.name == "id":
            continue
        known = wanted.setdefault(column.name, column)
        if column.type not in get_args(ColumnType):
            raise ConfigError(f"mapping.columns.{column.name}.type: {column.type} is not known")
        if known.type != column.type:
            raise ConfigError(
                f"mapping.columns.{column.name} must be of type {known.type}",
                detail=f"got {column.type}",
                hint="give a column of another type another name",
            )
    return tuple(wanted.values())


def fit(cur: Cursor, target: Target, columns: tuple[Column, ...]) -> list[str]:
    """Create the target, or add the columns that it lacks; return a sentence for each step."""
    wanted = wanted_columns(columns)
    relation = privileges.describe(cur, target)
    if relation is None:
        definitions = sql.comma_separated(sql.definition(c.name, c.type) for c in wanted)
        parts = {"target": sql.table(target), "columns": definitions}
        sql.run(cur, sql.load("schema/create_target", **parts))
        created = f"created table {target} with {formatting.plural(len(wanted) + 1, 'column')}"
        return [created, *_close(cur, target)]
    missing = missing_columns(cur, target, columns)
    if not missing:
        return []
    for column in missing:
        parts = {"target": sql.table(target), "column": sql.definition(column.name, column.type)}
        sql.run(cur, sql.load("schema/add_column", **parts))
    names = [column.name for column in missing]
    done = [f"adopted table {target}: added {', '.join(names)}"]
    if triggers := list_triggers(cur, target):
        done.append(f"triggers of {target} see what a sync writes: {', '.join(triggers)}")
    empty = [name for name in COMPARED if name in names]
    if empty and relation.rows_estimate > 0:
        done.append(
            f"the rows of {target} have no {' and '.join(empty)} yet: the first sync will write "
            "each row that the feed lists once"
        )
    return done


def list_triggers(cur: Cursor, target: Target) -> list[str]:
    """Return the triggers that see what is written to the target."""
    return [name for (name,) in sql.rows(cur, "schema/list_triggers", asdict(target))]


def _close(cur: Cursor, target: Target) -> Iterator[str]:
    """Take the right to write a new table from those whom default privileges gave it.

    On Supabase these are the roles of everybody who has the project's public key.
    """
    for role in privileges.list_open_writers(cur, target):
        parts = {"target": sql.table(target), "role": sql.identifier(role)}
        sql.run(cur, sql.load("schema/close_target", **parts))
        yield f"closed table {target} to writes of {role}, which default privileges allowed"


def missing_columns(cur: Cursor, target: Target, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns that the existing target lacks.

    Raises `DatabaseError` where carsync cannot keep the target in step with the mapping's
    `columns`.
    """
    wanted = wanted_columns(columns)
    relation = privileges.describe(cur, target)
    assert relation is not None
    if relation.kind not in {"r", "p"}:
        raise DatabaseError(
            f"{target} is not a table",
            hint="set database.schema and database.table to a table, or to a free name",
        )
    privileges.check(target, relation)
    # Name → type, must be given, is computed by the server, is equal only to the same.
    found = {name: facts for name, *facts in sql.rows(cur, "schema/list_columns", asdict(target))}
    _check_equality(target, found)
    _check_key(target, found.get("id", [""])[0], relation.id_is_unique)
    _check_updates(cur, target)
    for column in wanted:
        if column.name in found:
            type_, _, computed, _ = found[column.name]
            _check_type(target, column, type_, computed)
    # Without a mapping nothing is known of what will be written.
    written = {"id", *(c.name for c in columns or wanted), *MANAGED}
    demanding = [name for name, (_, must, *_) in found.items() if must and name not in written]
    if demanding:
        raise DatabaseError(
            f"{target} needs values that the mapping does not provide",
            detail=f"NOT NULL without default: {', '.join(demanding)}",
            hint="map these columns, or give them a default in the table",
        )
    return tuple(column for column in wanted if column.name not in found)


def _check_equality(target: Target, found: Mapping[str, Sequence[Any]]) -> None:
    """Refuse a table in which "ab1" is the car "AB1": a feed, and carsync, tell them apart."""
    for name in ("id", "source_api"):
        type_, *_, is_exact = found.get(name, ["", True])
        if not is_exact:
            raise DatabaseError(
                f"{target}.{name}: its type {type_}, or its collation, takes different texts for "
                "equal",
                detail="the feed's ids may differ in case or accents alone, and carsync would "
                "update or deactivate the wrong car",
                hint=f'ALTER TABLE {target} ALTER COLUMN {name} TYPE text COLLATE "C"',
            )


def _check_updates(cur: Cursor, target: Target) -> None:
    if rules := [name for (name,) in sql.rows(cur, "schema/list_rules", asdict(target))]:
        raise DatabaseError(
            f"{target} has rules on INSERT or UPDATE: {', '.join(rules)}",
            detail="PostgreSQL takes no merge (WITH, ON CONFLICT) on such a table",
            hint=f'DROP RULE "{rules[0]}" ON {target}; a trigger can do the same',
        )
    try:
        with connection.savepoint(cur):
            sql.run(cur, sql.load("schema/plan_update", target=sql.table(target)))
    except errors.UNPUBLISHED as exc:
        _, said = sqlstate.explain_refusal(exc)
        raise DatabaseError(
            f"{target} does not take updates: {said}",
            detail="it is published, and no REPLICA IDENTITY tells the subscribers which row it is",
            hint=f"ALTER TABLE {target} ADD PRIMARY KEY (id), or REPLICA IDENTITY FULL; or take it "
            "out of the publication",
        ) from exc


def _check_type(target: Target, column: Column, type_: str, computed: bool) -> None:
    if computed:
        raise DatabaseError(
            f"column {target}.{column.name} is computed by the database",
            hint=f"leave it out: mapping.columns: {{{column.name}: null}}",
        )
    if type_ not in _ACCEPTED[column.type]:
        raise DatabaseError(
            f"column {target}.{column.name} has type {type_}, which cannot hold the "
            f"mapping's {column.type}",
            hint=f"ALTER TABLE {target} ALTER COLUMN {column.name} TYPE {column.type}, or "
            "choose another table",
        )


def _check_key(target: Target, id_type: str, id_is_unique: bool) -> None:
    if id_type not in _KEYS:
        raise DatabaseError(
            f"{target} has no text column id" if not id_type else f"{target}.id has type {id_type}",
            hint="carsync keeps the feed's own ids: make column id text, or choose another table",
        )
    if not id_is_unique:
        raise DatabaseError(
            f"{target}.id is not unique",
            hint=f"ALTER TABLE {target} ADD PRIMARY KEY (id), after removing duplicates",
        )
