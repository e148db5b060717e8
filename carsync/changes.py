"""What a run changed: recorded by the very statements that change it, forgotten in time.

A line in `carsync.changes` tells what its row was before and after. The old values are
read under the row's lock, in the statement that overwrites them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from carsync import database
from carsync.database import Composable, Connection, Cursor, Target

DEACTIVATION = ("is_active", "updated_at")
"""The columns that a deactivation writes."""

CLOCKS = frozenset({"updated_at", "last_synced_at"})
"""Columns that every write moves: taken back, but told in no `after`."""

FORGOTTEN = frozenset({"expired", "pruned"})
"""What `runs.changes_origin` says of a run whose changes were recorded and forgotten since."""

PRUNE_ROWS = 20_000
"""So many lines are deleted in one transaction."""
PRUNE_S = 20.0
"""How long a run may spend on forgetting; the next run goes on."""


def recording(
    cur: Cursor, target: Target, run_id: int, written: Iterable[str], *, records: bool
) -> dict[str, Composable]:
    """Compose the parts by which an UPDATE of the columns `written` records what it changes.

    Where triggers of the table may change more, all columns are looked at. `records`:
    False leaves nothing behind.
    """
    columns = {name: None for name in written if name != "id"}
    if records:
        names = {"schema": target.schema, "table": target.table}
        found = database.rows(cur, database.statement("list_recorded"), names)
        if any(has_triggers for _, has_triggers in found):
            columns |= {name: None for name, _ in found if name != "id"}
    return {**insertion(run_id, records=records), **differences(columns, records=records)}


def insertion(run_id: int, *, records: bool) -> dict[str, Composable]:
    """Compose the parts by which an INSERT records what it inserts."""
    return {"run_id": database.literal(run_id), "records": database.literal(records)}


def differences(columns: Collection[str], *, records: bool = True) -> dict[str, Composable]:
    """Compose `before` and `after` of a statement that knows a row as `was` and as `t`.

    Values are compared byte by byte, whatever their type, and kept as text.
    """
    parts = {
        "was": database.identifiers(columns, "t"),
        "was_names": database.identifiers(columns),
    }
    if not records:
        return {
            **parts,
            "before": database.raw("NULL::jsonb"),
            "after": database.raw("NULL::jsonb"),
        }
    told = [name for name in columns if name not in CLOCKS]
    return {**parts, "before": _object("was", columns), "after": _object("t", told)}


def _object(row: str, columns: Collection[str]) -> Composable:
    """Compose the JSON object of those of the columns of `row` in which `was` and `t` differ."""

    def array(items: Iterable[Composable]) -> Composable:
        return database.raw("ARRAY[") + database.comma_separated(items) + database.raw("]::text[]")

    same = {
        name: database.raw("record_image_eq(ROW(")
        + database.identifier("was", name)
        + database.raw("), ROW(")
        + database.identifier("t", name)
        + database.raw("))")
        for name in columns
    }
    names = array(database.literal(name) for name in columns)
    values = array(
        database.raw("CASE WHEN NOT ")
        + same[name]
        + database.raw(" THEN ")
        + database.identifier(row, name)
        + database.raw("::text END")
        for name in columns
    )
    unchanged = array(
        database.raw("CASE WHEN ")
        + same[name]
        + database.raw(" THEN ")
        + database.literal(name)
        + database.raw(" END")
        for name in columns
    )
    return (
        database.raw("jsonb_object(")
        + names
        + database.raw(", ")
        + values
        + database.raw(") - array_remove(")
        + unchanged
        + database.raw(", NULL)")
    )


def origin(cur: Cursor) -> str:
    """Name the server and table in which changes are recorded; a restored copy has another."""
    place, may_ask = database.one(cur, database.statement("find_origin"))
    server = database.one(cur, database.statement("find_server"))[0] if may_ask else "?"
    return f"{server}/{place}"


def origin_of(cur: Cursor, run_id: int) -> str | None:
    """Return where the changes of a run were recorded; None where they were not."""
    found = database.rows(cur, database.statement("find_changes_origin"), {"run_id": run_id})
    return found[0][0] if found else None


def prune(conn: Connection, target: Target, source: str, keep_days: float) -> int:
    """Forget changes that were merged more than `keep_days` days ago; count the lines.

    In small transactions, for `PRUNE_S` seconds at most: what is left waits for the next run.
    """
    until_s = time.monotonic() + PRUNE_S
    with database.transaction(conn, "pruning changes") as cur:
        parameters = {**target.key(source), "keep_s": keep_days * 86_400}
        expired = database.rows(cur, database.statement("expire_changes"), parameters)
    total = 0
    for (run_id,) in expired:
        deleted = PRUNE_ROWS
        while deleted == PRUNE_ROWS:
            if time.monotonic() > until_s:
                return total
            with database.transaction(conn, "pruning changes") as cur:
                query = database.statement("prune_changes")
                deleted = database.run(cur, query, {"run_id": run_id, "limit": PRUNE_ROWS})
                if deleted < PRUNE_ROWS:
                    database.run(cur, database.statement("record_pruning"), {"run_id": run_id})
            total += deleted
    return total
