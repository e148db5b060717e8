"""Migrations of carsync's own schema, and of the target table after them.

Migrations are forward-only files `sql/migrations/NNNN_verb_object.sql`, recorded
with a checksum and applied under an advisory lock, all in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.resources import files

from msgspec import Struct
from msgspec.structs import asdict

from carsync.destination import privileges
from carsync.destination.target_table import fit, missing_columns
from carsync.errors import DatabaseError
from carsync.model import Column, Target
from carsync.postgres import connection, sql
from carsync.postgres.ownership import refuse_foreign_owners
from carsync.postgres.sql import Cursor
from carsync.postgres.wait import Connection, patient


class Migration(Struct, frozen=True):
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
    """Bring schema `carsync` and the target up to date, in one transaction.

    `columns` are those that the mapping writes.
    Returns a sentence for each step; none where all is up to date.
    Raises `DatabaseError` where an existing table cannot be adopted, and
    `DatabasePermissionError` for a missing grant or a schema of another role.
    """
    with patient(conn), connection.transaction(conn, "migrating") as cur:
        sql.run(cur, "schema/lock_migrations")
        refuse_foreign_owners(cur, target)
        done = []
        for migration in _pending(cur):
            if migration.version == 1:
                sql.run(cur, "schema/create_migrations")
                done.append("created schema carsync, closed to PUBLIC")
            cur.execute(migration.text)
            sql.run(cur, "schema/record_migration", asdict(migration))
            done.append(f"applied migration {migration.version:04d}_{migration.name}")
        refuse_foreign_owners(cur, target)  # it may have been made between the two
        return done + fit(cur, target, tuple(columns))


def pending(conn: Connection, target: Target, columns: Iterable[Column]) -> list[str]:
    """Return a sentence for each step that `migrate` would take; raise what it would raise."""
    with connection.transaction(conn, "looking for pending migrations") as cur:
        waiting = [f"migration {m.version:04d}_{m.name} is pending" for m in _pending(cur)]
        if not privileges.describe(cur, target):
            return [*waiting, f"table {target} does not exist"]
        missing = missing_columns(cur, target, tuple(columns))
        return waiting + [f"column {target}.{column.name} is missing" for column in missing]


def _pending(cur: Cursor) -> list[Migration]:
    """Return the migrations not applied yet; raise `DatabaseError` if history was rewritten."""
    shipped = load_migrations()
    if not sql.one(cur, "schema/find_migrations_table")[0]:
        return shipped
    applied = {version: found for version, *found in sql.rows(cur, "schema/list_migrations")}
    newest = shipped[-1].version
    if any(version > newest for version in applied):
        raise DatabaseError(
            "the database was migrated by a newer carsync",
            detail=f"it is at version {max(applied)}, this carsync knows {newest}",
            hint="upgrade carsync",
        )
    for version, name, checksum in ((m.version, m.name, m.checksum) for m in shipped):
        if applied.get(version, [name, checksum]) != [name, checksum]:
            raise DatabaseError(
                f"migration {version:04d} differs from the one that was applied",
                detail=f"applied {applied[version][0]}, shipped {name}",
                hint="install the carsync that applied it, or a later release",
            )
    return [migration for migration in shipped if migration.version not in applied]
