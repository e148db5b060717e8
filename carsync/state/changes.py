"""What a run changed, counted by PostgreSQL: no more than a few examples come over the wire."""

from __future__ import annotations

from carsync.destination.change_log import FORGOTTEN
from carsync.postgres import sql
from carsync.postgres.connection import Connection
from carsync.reporting.html.data import (
    ACTIONS,
    ChangeAction,
    ChangedCar,
    ChangesKept,
    ChangeSummary,
    PriceMove,
    PriceMoves,
)
from carsync.state.runs import Run

EXAMPLES = 10
"""So many cars are shown of each action, and of each direction of a price."""

PRICES = ("price", "current_bid")
"""Columns whose largest moves are told; `buy_now_price` repeats `price` in the preset."""

BOOKKEEPING = {"data_hash", "updated_at", "last_synced_at", "created_at"}
"""Columns that change with any other one."""


def summarize(conn: Connection, run: Run) -> ChangeSummary:
    """Count what `run` changed and pick examples; titles are those that the cars have now."""
    query = sql.load("changes/count_changes_by_action")
    key = {"run_id": run.run_id}
    counts: dict[ChangeAction, int] = dict(sql.fetch(conn, "counting changes", query, key))
    if not counts:
        return ChangeSummary(_why_none(run))
    columns = sql.fetch(conn, "counting changes", sql.load("changes/count_changed_columns"), key)
    return ChangeSummary(
        "kept",
        {action: counts[action] for action in ACTIONS if action in counts},
        tuple((name, count) for name, count in columns if name not in BOOKKEEPING),
        {action: _examples(conn, run, action) for action in ACTIONS if action in counts},
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


def _examples(conn: Connection, run: Run, action: ChangeAction) -> tuple[ChangedCar, ...]:
    query = sql.load("changes/list_changed_cars", target=sql.table(run.target))
    parameters = {"run_id": run.run_id, "action": action, "limit": EXAMPLES}
    found = sql.fetch(conn, "listing changes", query, parameters)
    return tuple(ChangedCar(id_, title, was or {}, now or {}) for id_, title, was, now in found)


def _moves(conn: Connection, run: Run, column: str) -> PriceMoves | None:
    query = sql.load("changes/list_price_moves", target=sql.table(run.target))
    up, down = (
        tuple(
            PriceMove(*line)
            for line in sql.fetch(
                conn,
                "listing prices",
                query,
                {
                    "run_id": run.run_id,
                    "column": column,
                    "direction": direction,
                    "limit": EXAMPLES,
                },
            )
        )
        for direction in (1, -1)
    )
    return PriceMoves(column, up, down) if up or down else None
