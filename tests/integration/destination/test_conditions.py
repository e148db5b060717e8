"""Conditions on a row: untouched since, and expected by a run; times unknown or to come."""

from __future__ import annotations

import pytest
from psycopg2.sql import SQL

from carsync.destination import conditions
from carsync.postgres import sql
from carsync.postgres.sql import Composable
from carsync.postgres.wait import Connection
from tests.conftest import ask

SINCE = SQL("(now() - interval '1 hour')")
HOURS: dict[str, tuple[tuple[float | None, float | None, float | None], bool]] = {
    "no time at all": ((None, None, None), True),
    "long before": ((-3, -2, None), True),
    "that very moment": ((None, -1, -2), True),
    "created after": ((-0.5, None, None), False),
    "updated after": ((-9, -0.5, None), False),
    "synced after": ((-9, -9, -0.5), False),
    "in the future": ((-9, 5, None), True),
    "after, and in the future": ((-0.5, None, 5), True),
}
"""Hours from now at which a row was created, updated and synced; whether nobody wrote it since."""


def insert(
    conn: Connection,
    hours: tuple[float | None, ...],
    source: str | None = "external",
    is_active: bool | None = True,
) -> None:
    moments = ", ".join("now() + %s * interval '1 hour'" for _ in hours)
    query = (
        "INSERT INTO cars (id, created_at, updated_at, last_synced_at, source_api, is_active)"
        f" VALUES ('1', {moments}, %s, %s)"
    )
    ask(conn, "BEGIN")
    ask(conn, query, *hours, source, is_active)


def holds(conn: Connection, condition: Composable) -> bool | None:
    """Return what the condition says of the one row, in the transaction that inserted it."""
    subquery = SQL("SELECT t.*, {} AS touched_at FROM cars AS t")
    table = subquery.format(conditions.touched_at())
    with conn.cursor() as cur:
        ((found,),) = sql.rows(cur, SQL("SELECT {} FROM ({}) AS t").format(condition, table))
    return None if found is None else bool(found)


@pytest.mark.parametrize(("hours", "is_untouched"), HOURS.values(), ids=HOURS)
def test_untouched_since(
    conn: Connection, hours: tuple[float | None, ...], is_untouched: bool
) -> None:
    insert(conn, hours)
    touched = sql.identifier("t", "touched_at")
    assert holds(conn, conditions.untouched_since(SINCE)) is is_untouched
    assert holds(conn, conditions.untouched_since(SINCE, touched)) is is_untouched
    assert holds(conn, conditions.expected("external", SINCE)) is is_untouched


@pytest.mark.parametrize(
    ("source", "is_active", "expected"),
    [
        ("external", True, True),
        ("external", False, False),
        ("external", None, None),
        ("dealer", True, False),
        (None, True, None),
    ],
)
def test_only_an_active_car_of_the_source_is_expected(
    conn: Connection, source: str | None, is_active: bool | None, expected: bool | None
) -> None:
    insert(conn, (None, None, None), source, is_active)
    assert holds(conn, conditions.expected("external", SINCE)) is expected
