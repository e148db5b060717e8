"""What the table holds of single cars."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from carsync.model import Target
from carsync.postgres import connection, sql
from carsync.postgres.target import parts
from carsync.postgres.wait import Connection, patient


class KnownCar(Struct, frozen=True):
    """A row of the target: whose it is, whether it is active, and the hash of its values."""

    source: str | None
    is_active: bool
    data_hash: str | None


def find_cars(conn: Connection, target: Target, ids: Sequence[str]) -> dict[str, KnownCar]:
    """Return those of the cars that the table holds; their ids are written as the table does."""
    with patient(conn), connection.transaction(conn, "looking for cars") as cur:
        query = sql.load("refresh/find_cars", **parts(cur, target))
        found = sql.rows(cur, query, {"ids": list(ids)})
    return {record_id: KnownCar(*values) for record_id, *values in found}


def count_active(conn: Connection, target: Target, source: str) -> int:
    """Return how many active cars of the source the table holds."""
    query = sql.load("lists/count_active", target=sql.table(target), source=sql.literal(source))
    with patient(conn):
        return int(sql.fetch(conn, "counting cars", query)[0][0])
