"""Which lists of the feed the cars are on: remembered by each merge, for the runs after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carsync.config.lists import PAGES_EACH
from carsync.decision import ListRanks
from carsync.destination.staging import tables
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor
from carsync.state.runs import Run

ACTIONS = ("sure", "absent", "held", "unread")
"""What the delta says of absent cars, by the rank of their lists."""


def parameters(run: Run, ranks: ListRanks) -> dict[str, Any]:
    """Return the parameters of the statements about lists."""
    return {
        **run.target.key(run.source),
        "names": list(ranks.names),
        "ranks": list(ranks.ranks),
        "removed": ranks.removed,
        "unknown": ranks.unknown,
        "actions": list(ACTIONS),
    }


def ranked() -> Composable:
    """Return the query for the rank of each car by the lists that it was on."""
    return sql.load("lists/ranked", known=sql.load("lists/known"))


def listed(run_id: int) -> Composable:
    """Return the query for what the run read of each list; its parameters: `run_id`, `each`."""
    return sql.load("lists/listed", **tables(run_id))


def record(
    cur: Cursor,
    run: Run,
    names: Sequence[str],
    ranks: ListRanks | None,
    is_newest: Composable,
) -> None:
    """Remember which staged cars are on which lists; nothing is on any where there are no names.

    Of a list that was not read whole, nobody has left it. `is_newest` is the test of what was
    `read` of a car that it counts.
    """
    key: dict[str, Any] = run.target.key(run.source)
    if not names:
        sql.run(cur, "lists/forget_cars", key)
        return
    key |= {
        "run_id": run.run_id,
        "each": PAGES_EACH,
        "names": list(names),
        "read": list(ranks.read) if ranks else [],
    }
    sql.run(cur, "lists/record_lists", key)
    newest = sql.load("lists/newest", listed=listed(run.run_id), is_newest=is_newest)
    sql.run(cur, sql.load("lists/record_cars", listed=newest), key)
