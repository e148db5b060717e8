"""What runs did to one car, as `carsync.changes` remembers it; only reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carsync.model import Target
from carsync.postgres import sql
from carsync.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class CarChange:
    """What one run wrote into a car: `before` and `after` hold the columns that changed,
    as PostgreSQL's text of their values, and are None for one that was inserted.
    """

    run_id: int
    merged_at: datetime | None
    action: str
    before: dict[str, str | None] | None
    after: dict[str, str | None] | None


def follow(conn: Connection, target: Target, car_id: str, limit: int) -> list[CarChange]:
    """Return the newest changes of a car of the target, newest first.

    Takes one pass over all changes that are remembered: seconds for a year of them.
    """
    parameters = {"schema": target.schema, "table": target.table, "id": car_id, "limit": limit}
    query = sql.load("changes/list_car_changes")
    return [CarChange(*line) for line in sql.fetch(conn, "following a car", query, parameters)]
