"""Migrations of carsync's own schema, and the creation or adoption of the target table.

Migrations are forward-only files `sql/migrations/NNNN_verb_object.sql`, recorded
with a checksum and applied under an advisory lock, all in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

from carsync.destination import privileges
from carsync.destination.merge import MANAGED_COLUMNS
from carsync.errors import ConfigError, DatabaseError
from carsync.model import Column, Target
from carsync.postgres import connection, sql
from carsync.postgres.connection import Connection
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.wait import patient

TARGET_COLUMNS: tuple[Column, ...] = tuple(
    Column(name, type_)
    for type_, names in (
        ("text", "external_id make model"),
        ("integer", "year"),
        ("numeric", "price"),
        ("integer", "mileage"),
        ("text", "title vin color fuel transmission condition location lot_number"),
        ("numeric", "current_bid buy_now_price final_bid"),
        ("timestamptz", "sale_date"),
        ("text", "image_url"),
        ("jsonb", "images"),
        ("text", "source_api domain_name status"),
        ("boolean", "is_active is_live is_archived keys_available"),
        ("text", "data_hash"),
        ("timestamptz", "created_at updated_at last_synced_at"),
    )
    for name in names.split()
)
"""The columns of a new table beside `id text PRIMARY KEY`, in their order."""

_TEXTS = frozenset({"text", "character varying", "citext", "character"})
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
"""Column type of the mapping → types of an existing column that hold all of its values."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `sql/migrations/`; `checksum` is the SHA-256 of its text."""

    version: int
    name: str
    checksum: str
    text: str


def load_migrations() -> list[Migration]:
    """Read the shipped migrations, in the order of their versions."""
    found = []
    for file in files("carsync.sql").joinpath("migrations").iterdir():
        if file.name.endswith(".sql"):
            text = file.read_text(encoding="utf-8")
            number, _, name = file.name.removesuffix(".sql").partition("_")
            checksum = hashlib.sha256(text.encode()).hexdigest()
            found.append(Migration(int(number), name, checksum, text))
    return sorted(found, key=lambda migration: migration.version)


def migrate(conn: Connection, target: Target, columns: Iterable[Column]) -> list[str]:
    """Bring schema `carsync` and the target up to date and say in sentences what was done.

    `columns` are those the mapping writes. Everything happens in one transaction; a
    second call does nothing and returns an empty list. Raises `DatabaseError` where an
    existing table cannot be adopted, and `DatabasePermissionError` for a missing grant.
    """
    with patient(conn), connection.transaction(conn, "migrating") as cur:
        sql.run(cur, sql.load("schema/lock_migrations"))
        done = []
        for migration in _pending(cur):
            if migration.version == 1:
                sql.run(cur, sql.load("schema/create_migrations"))
                done.append("created schema carsync, closed to PUBLIC")
            cur.execute(migration.text)
            sql.run(
                cur,
                sql.load("schema/record_migration"),
                {
                    "version": migration.version,
                    "name": migration.name,
                    "checksum": migration.checksum,
                },
            )
            done.append(f"applied migration {migration.version:04d}_{migration.name}")
        return done + _fit_target(cur, target, tuple(columns))


def pending(conn: Connection, target: Target, columns: Iterable[Column]) -> list[str]:
    """Say what `migrate` would do, changing nothing; raises what it would raise."""
    with connection.transaction(conn, "looking for pending migrations") as cur:
        waiting = [f"migration {m.version:04d}_{m.name} is pending" for m in _pending(cur)]
        if not privileges.describe(cur, target):
            return [*waiting, f"table {target} does not exist"]
        missing = _check_adoptable(cur, target, tuple(columns))
        return waiting + [f"column {target}.{column.name} is missing" for column in missing]


def wanted_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Give the target's columns: the documented ones, then any further ones of the mapping.

    Raises `ConfigError` where the mapping gives a documented column another type.
    """
    wanted = {column.name: column for column in TARGET_COLUMNS}
    for column in columns:
        if column.name == "id":
            continue
        known = wanted.setdefault(column.name, column)
        if column.type not in _ACCEPTED:
            raise ConfigError(f"mapping.columns.{column.name}.type: {column.type} is not known")
        if known.type != column.type:
            raise ConfigError(
                f"mapping.columns.{column.name} must be of type {known.type}",
                detail=f"got {column.type}",
                hint="give a column of another type another name",
            )
    return tuple(wanted.values())


def _pending(cur: Cursor) -> list[Migration]:
    """Return the migrations not applied yet; raise `DatabaseError` if history was rewritten."""
    shipped = load_migrations()
    if not sql.one(cur, sql.load("schema/find_migrations_table"))[0]:
        return shipped
    applied = {
        version: (name, checksum)
        for version, name, checksum in sql.rows(cur, sql.load("schema/list_migrations"))
    }
    newest = shipped[-1].version
    if any(version > newest for version in applied):
        raise DatabaseError(
            "the database was migrated by a newer carsync",
            detail=f"it is at version {max(applied)}, this carsync knows {newest}",
            hint="upgrade carsync",
        )
    for migration in shipped:
        if migration.version not in applied:
            continue
        if applied[migration.version] != (migration.name, migration.checksum):
            raise DatabaseError(
                f"migration {migration.version:04d} differs from the one that was applied",
                detail=f"applied {applied[migration.version][0]}, shipped {migration.name}",
                hint="install the carsync that applied it, or a later release",
            )
    return [migration for migration in shipped if migration.version not in applied]


# ── the target table ─────────────────────────────────────────────────────────


def _fit_target(cur: Cursor, target: Target, columns: tuple[Column, ...]) -> list[str]:
    """Create the target, or add what it lacks; return a sentence for each thing done."""
    wanted = wanted_columns(columns)
    relation = privileges.describe(cur, target)
    if relation is None:
        definitions = sql.comma_separated(_definition(column) for column in wanted)
        sql.run(
            cur,
            sql.load("schema/create_target", target=sql.table(target), columns=definitions),
        )
        return [f"created table {target} with {len(wanted) + 1} columns"]
    missing = _check_adoptable(cur, target, columns)
    if not missing:
        return []
    additions = sql.comma_separated(
        sql.raw("ADD COLUMN ") + _definition(column) for column in missing
    )
    sql.run(cur, sql.load("schema/add_columns", target=sql.table(target), additions=additions))
    names = [column.name for column in missing]
    done = [f"adopted table {target}: added {', '.join(names)}"]
    empty = [name for name in ("source_api", "is_active", "data_hash") if name in names]
    if empty and relation.rows_estimate > 0:
        done.append(
            f"the rows of {target} have no {' and '.join(empty)} yet: the first sync will write "
            "each row that the feed lists once"
        )
    return done


def _definition(column: Column) -> Composable:
    return sql.identifier(column.name) + sql.raw(f" {column.type}")


def _check_adoptable(
    cur: Cursor, target: Target, columns: tuple[Column, ...]
) -> tuple[Column, ...]:
    """Return the columns that the existing table lacks; raise where it cannot be kept in step."""
    wanted = wanted_columns(columns)
    # Without a mapping nothing is known of what will be written.
    written = {c.name for c in columns or wanted} | set(MANAGED_COLUMNS)
    relation = privileges.describe(cur, target)
    assert relation is not None
    if relation.kind not in {"r", "p"}:
        raise DatabaseError(
            f"{target} is not a table",
            hint="set database.schema and database.table to a table, or to a free name",
        )
    privileges.check(target, relation)
    found = {
        name: (type_, must_be_given, computed)
        for name, type_, must_be_given, computed in sql.rows(
            cur,
            sql.load("schema/list_columns"),
            {"schema": target.schema, "table": target.table},
        )
    }
    _check_key(target, found.get("id", ("",))[0], relation.id_is_unique)
    for column in wanted:
        type_, _, computed = found.get(column.name, (None, False, False))
        if computed:
            raise DatabaseError(
                f"column {target}.{column.name} is computed by the database",
                hint=f"leave it out: mapping.columns: {{{column.name}: null}}",
            )
        if type_ is not None and type_ not in _ACCEPTED[column.type]:
            raise DatabaseError(
                f"column {target}.{column.name} has type {type_}, which cannot hold the "
                f"mapping's {column.type}",
                hint=f"ALTER TABLE {target} ALTER COLUMN {column.name} TYPE {column.type}, or "
                "choose another table",
            )
    names = {"id", *written}
    demanding = [name for name, (_, must, _) in found.items() if must and name not in names]
    if demanding:
        raise DatabaseError(
            f"{target} demands values that the mapping does not give",
            detail=f"NOT NULL without default: {', '.join(demanding)}",
            hint="map these columns, or give them a default in the table",
        )
    return tuple(column for column in wanted if column.name not in found)


def _check_key(target: Target, id_type: str, id_is_unique: bool) -> None:
    if id_type not in _TEXTS:
        raise DatabaseError(
            f"{target} has no text column id" if not id_type else f"{target}.id has type {id_type}",
            hint="carsync keeps the feed's own ids: make column id text, or choose another table",
        )
    if not id_is_unique:
        raise DatabaseError(
            f"{target}.id is not unique",
            hint=f"ALTER TABLE {target} ADD PRIMARY KEY (id), after removing duplicates",
        )
