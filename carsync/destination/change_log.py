"""The parts by which a statement that changes rows records the changes in `carsync.changes`.

A line says what its row was before and after. The old values are read under the row's lock,
in the statement that overwrites them. The lines of a transaction are a batch of the feed of
changes (`state/change_feed.py`), which `end_batch` ends as the transaction's last work.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import asdict

from carsync.columns import CLOCKS
from carsync.model import ROW_ACTIONS, Target
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor
from carsync.state.change_feed import cursor_behind

_MOST_BYTES = 7_900
"""PostgreSQL refuses a notification of 8,000 bytes and more (manual, NOTIFY)."""


def recording(
    cur: Cursor, target: Target, run_id: int, written: Iterable[str], *, records: bool
) -> dict[str, Composable]:
    """Compose the parts by which an UPDATE of the columns `written` records its changes.

    The statement names the old row `was` and the new row `t`. Where triggers of the table may
    change more, all columns are compared. With `records` False nothing is recorded.
    Returns the parts `record`, `was`, `was_names`, `before` and `after`.
    """
    names = [name for name in written if name != target.id_column]
    before = after = sql.literal(None)
    if records:
        found = sql.rows(cur, "changes/list_recorded", asdict(target))
        if any(has_triggers for *_, has_triggers in found):
            names += [name for name, *_ in found if name != target.id_column and name not in names]
        plain = {name for name, is_plain, _ in found if is_plain}
        changed = {name: _is_changed(name, name in plain) for name in names}
        before = _changed_columns("was", changed)
        after = _changed_columns("t", {n: test for n, test in changed.items() if n not in CLOCKS})
    return {
        "record": record_written(run_id, records=records),
        "was": sql.identifiers(names, "t"),
        "was_names": sql.identifiers(names),
        "before": before,
        "after": after,
    }


def record_written(run_id: int, *, records: bool) -> Composable:
    """Compose the INSERT that records the rows of a statement's part `written`."""
    parts = {"run_id": sql.literal(run_id), "records": sql.literal(records)}
    return sql.load("changes/record_written", **parts)


def whole_row(names: Iterable[str]) -> Composable:
    """Compose the JSON object of the columns of `t`, each value as text."""
    return _changed_columns("t", dict.fromkeys(names, sql.literal(True)))


def _is_changed(name: str, is_plain: bool) -> Composable:
    """Compose the test that a column's value changed, be it by one byte."""
    test = "changes/value_changed" if is_plain else "changes/image_changed"
    return sql.load(test, column=sql.identifier(name))


def _changed_columns(row: str, is_changed: Mapping[str, Composable]) -> Composable:
    """Compose the JSON object of those columns of `row` whose test is true, values as text."""
    values = (
        sql.load("changes/changed_value", is_changed=test, value=sql.identifier(row, name))
        for name, test in is_changed.items()
    )
    unchanged = (
        sql.load("changes/unchanged_name", is_changed=test, name=sql.literal(name))
        for name, test in is_changed.items()
    )
    return sql.load(
        "changes/changed_columns",
        names=sql.literal(list(is_changed)),
        values=sql.comma_separated(values),
        unchanged=sql.comma_separated(unchanged),
    )


def origin(cur: Cursor) -> str:
    """Return the name of the server and table that record changes; a restored copy differs."""
    place, may_ask = sql.one(cur, "changes/find_origin")
    server = sql.one(cur, "changes/find_server")[0] if may_ask else "?"
    return f"{server}/{place}"


def end_batch(
    cur: Cursor,
    run_id: int,
    target: Target,
    source: str,
    counts: Mapping[str, int],
    *,
    records: bool,
) -> None:
    """Give the transaction its place in the feed of changes, and notify who listens.

    This is the transaction's last work: others that end a batch wait until it is committed.
    `counts` are changes by action. With `records` False no lines were written, and the feed says
    that they are missing. A transaction that changed nothing has no place and notifies nobody.
    """
    key = {**target.key(source), "run_id": run_id}
    first, last = sql.one(cur, "changes/find_own_lines", key) if records else (None, None)
    changed = {action: counts[action] for action in ROW_ACTIONS if counts.get(action)}
    if first is None and (records or not changed):
        return
    sql.run(cur, "changes/lock_batches")
    place = {**key, "first_line": first, "last_line": last}
    cursor = cursor_behind(*sql.one(cur, "changes/end_batch", place))
    told = {"run": run_id, "source": source, "target": str(target), "cursor": str(cursor)}
    sql.run(cur, "changes/notify_batch", {"payload": _payload({**told, "counts": changed})})


def _payload(told: dict[str, Any]) -> str:
    """Return the notification; without the source where its name is too long for one."""
    payload = json.dumps(told)
    if len(payload) > _MOST_BYTES:
        payload = json.dumps({**told, "source": None})
    return payload
