"""Migrations of carsync's own schema, and of the target table after them.

Migrations are forward-only files `sql/migrations/NNNN_verb_object.sql`, recorded
with a checksum and applied under an advisory lock, all in one transaction.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterable
from importlib.resources import files

from msgspec import Struct
from msgspec.structs import asdict

from carsync.destination import privileges
from carsync.destination.target_table import fit, missing_columns
from carsync.errors import DatabaseBusyError, DatabaseError
from carsync.model import Column, Target
from carsync.postgres import connection, sql
from carsync.postgres.ownership import refuse_foreign_owners
from carsync.postgres.sessions import describe_rivals
from carsync.postgres.sql import Cursor
from carsync.postgres.wait import Connection, patient, rest

_BACK_OFF_S = 1.0
"""Between two tries to get a table's exclusive lock, which readers wait behind, up to twice as
long by chance: they go on meanwhile."""


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
    No reader of the target waits longer than a second for it: where other sessions hold the
    target for longer, the transaction is rolled back and tried again, up to the session's
    `lock_timeout`.
    Returns a sentence for each step; none where all is up to date.
    Raises `DatabaseError` where an existing table cannot be adopted, `DatabasePermissionError`
    for a missing grant or a schema of another role, and `DatabaseBusyError`.
    """
    wanted = tuple(columns)
    (lock_timeout_ms,) = sql.fetch(conn, "migrating", "session/find_lock_timeout")[0]
    until_s = time.monotonic() + lock_timeout_ms / 1000
    while True:
        pause_s = _BACK_OFF_S * (1 + random.random())
        try:
            return _migrate(conn, target, wanted)
        except DatabaseBusyError as exc:
            is_cancelled = conn.should_cancel is not None and conn.should_cancel()
            if is_cancelled or time.monotonic() + pause_s > until_s:
                if rivals := describe_rivals(conn, target, readers=True):
                    exc.detail += f"; locks on {target} are held by {rivals}"
                raise
        rest(pause_s, conn.should_cancel)


def _migrate(conn: Connection, target: Target, columns: tuple[Column, ...]) -> list[str]:
    with patient(conn), connection.transaction(conn, "migrating") as cur:
        sql.run(cur, "schema/lock_migrations")
        sql.run(cur, "session/set_ddl")
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
        return done + fit(cur, target, columns)


def pending(conn: Connection, target: Target, columns: Iterable[Column]) -> list[str]:
    """Return a sentence for each step that `migrate` would take; raise what it would raise."""
    with connection.transaction(conn, "looking for pending migrations") as cur:
        waiting = [f"migration {m.version:04d}_{m.name} is pending" for m in _pending(cur)]
        return waiting + _lacking(cur, target, tuple(columns))


def check_target(conn: Connection, target: Target, columns: Iterable[Column]) -> None:
    """Raise what `migrate` would raise because of the table, whatever is pending.

    The database may be at the version of a newer carsync: who puts a release back migrates nothing.
    """
    with connection.transaction(conn, "looking at the table") as cur:
        _lacking(cur, target, tuple(columns))


def _lacking(cur: Cursor, target: Target, columns: tuple[Column, ...]) -> list[str]:
    if not privileges.describe(cur, target):
        return [f"table {target} does not exist"]
    missing = missing_columns(cur, target, columns)
    return [f"column {target}.{column.name} is missing" for column in missing]


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
