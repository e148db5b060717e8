"""The record of changes that runs made to rows, `carsync.changes`: readers and pruning."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from carsync.columns import BOOKKEEPING
from carsync.mapping.ids import spell_ids
from carsync.model import ROW_ACTIONS, RowAction, Target
from carsync.postgres import connection, sql
from carsync.postgres.sql import Cursor
from carsync.postgres.target import find_id_type
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection
from carsync.state.runs import Run

EXAMPLES = 10
"""Cars that are shown of each action, and of each direction of a price."""

PRICES = ("price", "current_bid")
"""Columns whose largest moves are shown; `buy_now_price` repeats `price` in the preset."""

FORGOTTEN = frozenset({"expired", "pruned"})
"""Values of `runs.changes_origin` for a run whose recorded changes are forgotten by now."""

PRUNE_ROWS = 20_000
"""Lines that are deleted in one transaction."""

PRUNE_S = 20.0
"""Prune for this long at most; the next run goes on."""

ChangesKept = Literal["kept", "nothing", "not merged", "forgotten", "not recorded"]
"""Whether a run's changes are known.

`nothing`: it made none. `forgotten`: they are older than `history.changes_keep_days`.
`not recorded`: no record was kept when the run merged.
"""


class ChangedCar(Struct, frozen=True):
    """One car that a run changed; `before` and `after` hold PostgreSQL's text of each value."""

    id: str
    title: str | None
    before: Mapping[str, str | None] = msgspec.field(default_factory=dict)
    after: Mapping[str, str | None] = msgspec.field(default_factory=dict)


class PriceMove(Struct, frozen=True):
    """A price above 0 that became another one above 0."""

    id: str
    title: str | None
    old: float
    new: float

    @property
    def ratio(self) -> float:
        """The move relative to the old price: 0.1 is ten per cent up."""
        return self.new / self.old - 1


class PriceMoves(Struct, frozen=True):
    """The largest moves of one price column, up and down."""

    column: str
    up: tuple[PriceMove, ...]
    down: tuple[PriceMove, ...]


class ChangeSummary(Struct, frozen=True):
    """What a run changed: exact counts, and a few examples of each."""

    kept: ChangesKept
    counts: Mapping[RowAction, int] = msgspec.field(default_factory=dict)
    columns: tuple[tuple[str, int], ...] = ()
    """(column, in how many updated cars it changed), the most frequent first."""
    examples: Mapping[RowAction, tuple[ChangedCar, ...]] = msgspec.field(default_factory=dict)
    prices: tuple[PriceMoves, ...] = ()


class CarChange(Struct, frozen=True):
    """What one run wrote into a car.

    `before` and `after` hold the columns that changed, each value as PostgreSQL's text. Both
    are None for a car that was inserted.
    """

    run_id: int
    merged_at: datetime | None
    action: str
    before: dict[str, str | None] | None
    after: dict[str, str | None] | None


def summarize(conn: Connection, run: Run) -> ChangeSummary:
    """Count what `run` changed and pick examples; titles are those that the cars have now."""
    key = {"run_id": run.run_id}
    counted = sql.fetch(conn, "counting changes", "changes/count_changes_by_action", key)
    if not counted:
        return ChangeSummary(_why_none(run))
    found: dict[RowAction, int] = dict(counted)
    counts = {action: found[action] for action in ROW_ACTIONS if action in found}
    columns = sql.fetch(conn, "counting changes", "changes/count_changed_columns", key)
    return ChangeSummary(
        "kept",
        counts,
        tuple((name, count) for name, count in columns if name not in BOOKKEEPING),
        {action: _examples(conn, run, action) for action in counts},
        tuple(moves for moves in (_moves(conn, run, column) for column in PRICES) if moves),
    )


def _why_none(run: Run) -> ChangesKept:
    if run.counts is None:
        return "not merged"
    if run.changes_origin in FORGOTTEN:
        return "forgotten"
    wrote = ("inserted", "updated", "reactivated", "deactivated")
    if not any(run.counts.get(name) for name in wrote):
        return "nothing"
    return "not recorded"


def _examples(conn: Connection, run: Run, action: RowAction) -> tuple[ChangedCar, ...]:
    parameters = {"run_id": run.run_id, "action": action, "limit": EXAMPLES}
    with connection.transaction(conn, "listing changes") as cur:
        query = sql.load("changes/list_changed_cars", **target_parts(cur, run.target))
        found = sql.rows(cur, query, parameters)
    return tuple(ChangedCar(id_, title, was or {}, now or {}) for id_, title, was, now in found)


def _moves(conn: Connection, run: Run, column: str) -> PriceMoves | None:
    key = {"run_id": run.run_id, "column": column, "limit": EXAMPLES}
    with connection.transaction(conn, "listing prices") as cur:
        query = sql.load("changes/list_price_moves", **target_parts(cur, run.target))
        up, down = (sql.rows(cur, query, {**key, "direction": d}) for d in (1, -1))
    if not up and not down:
        return None
    return PriceMoves(column, *(tuple(PriceMove(*line) for line in found) for found in (up, down)))


def list_car_changes(conn: Connection, target: Target, car_id: str, limit: int) -> list[CarChange]:
    """Return the newest changes of a car of the target, newest first, however its id is spelt.

    This reads all changes on record: it takes seconds for a year of them.
    """
    with connection.transaction(conn, "following a car") as cur:
        spelt = next(iter(spell_ids([car_id], find_id_type(cur, target))), car_id)
        parameters = {**asdict(target), "id": spelt, "limit": limit}
        found = sql.rows(cur, "changes/list_car_changes", parameters)
    return [CarChange(*line) for line in found]


def origin_of(cur: Cursor, run_id: int) -> str | None:
    """Return the server and table that a run's changes were recorded in; None: in none."""
    found = sql.rows(cur, "changes/find_changes_origin", {"run_id": run_id})
    return found[0][0] if found else None


def prune(conn: Connection, target: Target, source: str, keep_days: float) -> int:
    """Delete the changes of runs that were merged more than `keep_days` days ago.

    Works in small transactions, for `PRUNE_S` seconds at most; the next run deletes the rest.
    Returns the number of lines deleted.
    """
    until_s = time.monotonic() + PRUNE_S
    with connection.transaction(conn, "pruning changes") as cur:
        parameters = {**target.key(source), "keep_s": keep_days * 86_400}
        expired = sql.rows(cur, "changes/expire_changes", parameters)
    total = 0
    for (run_id,) in expired:
        deleted = PRUNE_ROWS
        while deleted == PRUNE_ROWS:
            if time.monotonic() > until_s:
                return total
            with connection.transaction(conn, "pruning changes") as cur:
                key = {"run_id": run_id, "limit": PRUNE_ROWS}
                deleted = sql.run(cur, "changes/prune_changes", key)
                if deleted < PRUNE_ROWS:
                    sql.run(cur, "changes/record_pruning", {"run_id": run_id})
            total += deleted
    return total
