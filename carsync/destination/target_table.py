"""The target table: created, or an existing one adopted by adding only what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from msgspec.structs import asdict

from carsync import formatting
from carsync.columns import COMPARED, MANAGED, TARGET_COLUMNS
from carsync.config.mapping_sections import ColumnType
from carsync.destination import privileges
from carsync.destination.privileges import Relation
from carsync.errors import ConfigError, DatabaseError
from carsync.mapping.ids import ID_TYPES
from carsync.mapping.numbers import INTEGER_RANGES
from carsync.model import Column, Target
from carsync.postgres import connection, errors, sql, sqlstate
from carsync.postgres.sql import Cursor

_TEXTS = frozenset({"text", "character varying", "citext", "character"})
_KEYS = frozenset({"text", "character varying", *ID_TYPES})
"""Types that hold an id: `character` adds blanks, and loses them in comparisons."""
_NUMBERS = frozenset({"numeric", "double precision"})
_TIMES = frozenset({"timestamp with time zone", "timestamp without time zone"})

_ACCEPTED: dict[str, frozenset[str]] = {
    "text": _TEXTS | {"enum", "uuid"},
    "smallint": frozenset(INTEGER_RANGES) | _NUMBERS,
    "integer": frozenset(INTEGER_RANGES) | _NUMBERS,
    "bigint": frozenset({*INTEGER_RANGES, "numeric"}),
    "numeric": _NUMBERS,
    "double precision": frozenset({"double precision"}),
    "boolean": frozenset({"boolean"}),
    "timestamptz": _TIMES,
    "date": frozenset({"date"}),
    "uuid": _TEXTS | {"uuid"},
    "text[]": frozenset({"text[]"}),
    "jsonb": frozenset({"jsonb", "json", "text"}),
}
"""Column type of the mapping → types of an existing column that hold its values without loss.

A value that such a column cannot hold rejects its record: too long, too large, no label of the
enum. All numbers but those of a bigint are doubles already.
"""


_NOT_MANAGED = frozenset({"enum", "uuid"})
"""Types of texts that hold no source and no hash."""


def wanted_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Return the target's columns beside its ids: the documented ones, then any further ones.

    The mapping says of which type a column is; what carsync itself fills has its own type.
    Raises `ConfigError` for a type that carsync does not know.
    """
    for column in columns:
        if column.type not in get_args(ColumnType):
            raise ConfigError(f"mapping.columns.{column.name}.type: {column.type} is not known")
    wanted: dict[str, Column] = {column.name: column for column in TARGET_COLUMNS}
    wanted |= {c.name: c for c in columns if c.name not in MANAGED and c.name != "id"}
    return tuple(wanted.values())


def _wanted_id_type(columns: Iterable[Column]) -> str:
    return next((column.type for column in columns if column.name == "id"), "text")


def fit(cur: Cursor, target: Target, columns: tuple[Column, ...]) -> list[str]:
    """Create the target, or add the columns that it lacks; return a sentence for each step."""
    wanted = wanted_columns(columns)
    relation = privileges.describe(cur, target)
    if relation is None:
        definitions = sql.comma_separated(sql.definition(c.name, c.type) for c in wanted)
        key = sql.definition(target.id_column, _wanted_id_type(columns))
        parts = {"target": sql.table(target), "key": key, "columns": definitions}
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
    _check_key(target, found.get(target.id_column), columns, relation)
    _check_updates(cur, target)
    for column in wanted:
        if column.name in found:
            type_, _, computed, _ = found[column.name]
            _check_type(target, column, type_, computed)
    # Without a mapping nothing is known of what will be written.
    written = {target.id_column, *(c.name for c in columns or wanted), *MANAGED}
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
    for name in (target.id_column, "source_api"):
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
    parts = {"target": sql.table(target), "key": sql.identifier(target.id_column)}
    try:
        with connection.savepoint(cur):
            sql.run(cur, sql.load("schema/plan_update", **parts))
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
    accepted = _ACCEPTED[column.type]
    if column.name in MANAGED:
        accepted -= _NOT_MANAGED
    if type_ not in accepted:
        fits = "leave it out: mapping.columns: {" + column.name + ": null}"
        if type_ in get_args(ColumnType):
            fits = f"set mapping.columns.{column.name}.type: {type_}"
        raise DatabaseError(
            f"column {target}.{column.name} has type {type_}, which cannot hold the "
            f"mapping's {column.type}",
            hint=f"ALTER TABLE {target} ALTER COLUMN {column.name} TYPE {column.type}; or {fits}",
        )


def _check_key(
    target: Target, found: Sequence[Any] | None, columns: Iterable[Column], relation: Relation
) -> None:
    id_type, wanted = found[0] if found else "", _wanted_id_type(columns)
    if id_type not in _KEYS:
        raise DatabaseError(
            f"{target} has no column id" if not id_type else f"{target}.id has type {id_type}",
            hint="carsync keeps the feed's own ids: make column id text, bigint or uuid, or choose "
            "another table",
        )
    if wanted not in {"text", id_type} and not {wanted, id_type} <= INTEGER_RANGES.keys():
        raise DatabaseError(
            f"{target}.id has type {id_type}, and mapping.columns.id has type {wanted}",
            hint="leave mapping.columns.id.type out: the table's type counts",
        )
    if found is not None and found[2]:
        raise DatabaseError(
            f"{target}.id is computed by the database",
            hint="carsync must write the feed's own ids: make id a plain column, or choose another "
            "table",
        )
    if relation.has_own_ids:
        raise DatabaseError(
            f"{target} numbers its cars itself: it makes the ids, and external_id is unique",
            detail="carsync writes the feed's ids into the column id; here they are in external_id",
            hint="give carsync a table of its own (database.table) and join it by external_id; or, "
            f"if id holds the feed's ids: ALTER TABLE {target} ALTER COLUMN id DROP IDENTITY "
            "(or DROP DEFAULT)",
        )
    if not relation.id_is_unique:
        raise DatabaseError(
            f"{target}.id is not unique",
            hint=f"ALTER TABLE {target} ADD PRIMARY KEY (id), after removing duplicates",
        )
