"""What a run changed: recorded by the very statements that change it, forgotten in time.

A line in `carsync.changes` tells what its row was before and after. The old values are
read under the row's lock, in the statement that overwrites them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from carsync.model import Target
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor

DEACTIVATION = ("is_active", "updated_at")
"""The columns that a deactivation writes."""

CLOCKS = frozenset({"updated_at", "last_synced_at"})
"""Columns that every write moves: taken back, but told in no `after`."""


def recording(
    cur: Cursor, target: Target, run_id: int, written: Iterable[str], *, records: bool
) -> dict[str, Composable]:
    """Compose the parts by which an UPDATE of the columns `written` records what it changes.

    The statement knows a row as `was` and as `t`. Where triggers of the table may change
    more, all columns are looked at. `records`: False leaves nothing behind.
    """
    names = [name for name in written if name != "id"]
    before = after = sql.raw("NULL::jsonb")
    if records:
        place = {"schema": target.schema, "table": target.table}
        found = sql.rows(cur, sql.load("changes/list_recorded"), place)
        if any(has_triggers for *_, has_triggers in found):
            names += [name for name, *_ in found if name != "id" and name not in names]
        plain = {name for name, is_plain, _ in found if is_plain}
        changed = {name: _changed(name, name in plain) for name in names}
        before = _object("was", changed)
        after = _object("t", {n: test for n, test in changed.items() if n not in CLOCKS})
    return {
        **insertion(run_id, records=records),
        "was": sql.identifiers(names, "t"),
        "was_names": sql.identifiers(names),
        "before": before,
        "after": after,
    }


def insertion(run_id: int, *, records: bool) -> dict[str, Composable]:
    """Compose the parts by which an INSERT records what it inserts."""
    return {"run_id": sql.literal(run_id), "records": sql.literal(records)}


def _changed(name: str, is_plain: bool) -> Composable:
    """Compose the test whether a column's value is another than it was, to the byte."""
    was, now = sql.identifier("was", name), sql.identifier("t", name)
    if is_plain:
        return was + sql.raw(" IS DISTINCT FROM ") + now
    text = ["NOT record_image_eq(ROW(", "), ROW(", "))"]
    return sql.raw(text[0]) + was + sql.raw(text[1]) + now + sql.raw(text[2])


def _object(row: str, changed: Mapping[str, Composable]) -> Composable:
    """Compose the JSON object of those columns of `row` whose test is true, values as text."""
    names: list[Composable] = []
    values: list[Composable] = []
    unchanged: list[Composable] = []
    for name, test in changed.items():
        case = sql.raw("CASE WHEN ") + test
        value = sql.identifier(row, name)
        names.append(sql.literal(name))
        values.append(case + sql.raw(" THEN ") + value + sql.raw("::text END"))
        unchanged.append(case + sql.raw(" THEN NULL ELSE ") + names[-1] + sql.raw(" END"))
    return (
        sql.raw("jsonb_object(")
        + _texts(names)
        + sql.raw(", ")
        + _texts(values)
        + sql.raw(") - array_remove(")
        + _texts(unchanged)
        + sql.raw(", NULL)")
    )


def texts_of(row: str, names: Iterable[str]) -> Composable:
    """Compose the JSON object of the columns of `row`, each value as text."""
    names = list(names)
    values = (sql.identifier(row, name) + sql.raw("::text") for name in names)
    return (
        sql.raw("jsonb_object(")
        + _texts(sql.literal(name) for name in names)
        + sql.raw(", ")
        + _texts(values)
        + sql.raw(")")
    )


def _texts(items: Iterable[Composable]) -> Composable:
    return sql.raw("ARRAY[") + sql.comma_separated(items) + sql.raw("]::text[]")


def origin(cur: Cursor) -> str:
    """Name the server and table in which changes are recorded; a restored copy has another."""
    place, may_ask = sql.one(cur, sql.load("changes/find_origin"))
    server = sql.one(cur, sql.load("changes/find_server"))[0] if may_ask else "?"
    return f"{server}/{place}"
