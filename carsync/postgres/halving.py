"""Work over many rows, taken by halves where PostgreSQL refuses some of them."""

from __future__ import annotations

from collections.abc import Callable

from carsync.postgres import connection, errors
from carsync.postgres.sql import Cursor


def by_halves(
    cur: Cursor,
    places: range,
    attempt: Callable[[range], None],
    refuse: Callable[[int, Exception], None],
    prepare: Callable[[], None] | None = None,
) -> None:
    """Do work for all rows at once, or else for all but those that PostgreSQL refuses.

    `attempt` does it for the rows at some of the `places`; what it did is rolled back where it
    raises. `refuse` is told the place of each refused row, and the error. `prepare` is called
    once, before the first half.
    Raises every error that is not about a row.
    """
    if not places:
        return
    try:
        with connection.savepoint(cur):
            attempt(places)
        return
    except Exception as exc:
        if not errors.is_refusal(exc):
            raise
        if len(places) == 1:
            refuse(places[0], exc)
            return
    if prepare is not None:
        prepare()
    half = len(places) // 2
    for part in (places[:half], places[half:]):
        by_halves(cur, part, attempt, refuse)
