"""What a merge would do to the values of the cars that the table knows, counted before it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.lists import PAGES_EACH
from carsync.config.sections import Plausible
from carsync.destination import staging
from carsync.postgres import connection, sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection, patient
from carsync.state.runs import Run

MIN_CARS = 10
"""Fewer known cars, or staged ones, say nothing of a share."""
MIN_CARS_OF_A_PART = 100
"""A feed may have many lists, or many runs a day: chance does more in one of them."""


class ColumnForecast(Struct, frozen=True):
    """In how many known cars a column's value would change, and become empty or its default.

    One of the emptied cars is `emptied_id`, whose value is `emptied_from`.
    """

    name: str
    changed: int
    emptied: int
    emptied_id: str | None = None
    emptied_from: str | None = None


class Forecast(Struct, frozen=True):
    """What a merge would do.

    `ids` are the staged cars, `known` those of them that the table has, `changed` those of these
    whose values would change. `active` are the source's active cars, `absent` those of them that
    are not staged. `is_part`: the run read only what changed, which says nothing of other cars.
    `rows` are the staged rows, duplicates included.
    """

    ids: int
    known: int
    changed: int
    active: int
    absent: int
    columns: tuple[ColumnForecast, ...] = ()
    is_part: bool = False
    rows: int = 0


class Example(Struct, frozen=True):
    """A car whose value would change, as text; None: no value."""

    id: str
    before: str | None
    after: str | None


Defaults = Mapping[str, Any]
"""The mapped columns, each with its default."""


def foresee(conn: Connection, run: Run, defaults: Defaults) -> Forecast:
    """Count what a merge of the staged rows would do to known cars; raise `DatabaseError`."""
    with patient(conn), connection.transaction(conn, "comparing values") as cur:
        parts = _parts(cur, run)
        sql.run(cur, "session/set_merge")
        rows, ids, active, known, seen = sql.one(cur, sql.load("plausibility/count_known", **parts))
        sql.run(cur, "session/set_look_up")
        changed, *counts = sql.one(cur, _count_changes(defaults, parts))
    absent, columns = active - seen, _columns(defaults, counts)
    return Forecast(ids, known, changed, active, absent, columns, run.mode != "full", rows)


def find_emptied_lists(
    conn: Connection, run: Run, defaults: Defaults, names: Sequence[str], rules: Plausible
) -> list[str]:
    """Say in words which lists would lose a column's values; empty where none would.

    How many cars of a list change is its own affair: a dealer may mark down all that he has.
    """
    key = {"each": PAGES_EACH, "least": MIN_CARS_OF_A_PART}
    with patient(conn), connection.transaction(conn, "comparing values") as cur:
        sql.run(cur, "session/set_merge")
        query = _count_changes(defaults, _parts(cur, run), "count_changes_by_list")
        lines = sql.rows(cur, query, key)
    rules = replace(rules, max_changed_share=None, max_new_share=None)
    return [
        f"{names[place]}: {words}"
        for known, place, changed, *counts in sorted(lines, key=lambda line: line[1])
        for words in find_implausible(
            Forecast(known, known, changed, known, 0, _columns(defaults, counts)), rules
        )
    ]


def _columns(defaults: Defaults, counts: Sequence[Any]) -> tuple[ColumnForecast, ...]:
    each = zip(defaults, counts[::3], counts[1::3], counts[2::3], strict=True)
    return tuple(ColumnForecast(n, c, e, *(car or ())) for n, c, e, car in each)


def list_examples(
    conn: Connection, run: Run, column: str, default: Any, limit: int
) -> list[Example]:
    """Return cars whose value of the column would change, those that would lose it first."""
    tests = _tests(column, default)
    with connection.transaction(conn, "listing changed values") as cur:
        query = sql.load("plausibility/list_examples", **_parts(cur, run), **tests)
        return [Example(*line) for line in sql.rows(cur, query, {"limit": limit})]


def find_implausible(forecast: Forecast, rules: Plausible) -> list[str]:
    """Say in words what a merge would do that no market does; empty where nothing is.

    >>> find_implausible(Forecast(100, 100, 60, 100, 0), Plausible())[0]
    '60 of 100 known cars would change (60.0 %; sync.plausible.max_changed_share is 50.0 %)'
    """
    known, ids, is_part = forecast.known, forecast.ids, forecast.is_part
    least = MIN_CARS_OF_A_PART if is_part else MIN_CARS
    found = []
    if (most := rules.max_emptied_share) is not None:
        for column in forecast.columns:
            if known >= least and _is_over(column.emptied, known, most):
                found.append(
                    f"{column.name} would become empty, or its default, in "
                    f"{formatting.part(column.emptied, known, 'known car')} "
                    f"{_shares(column.emptied, known, 'max_emptied_share', most)}"
                )
    # Of the cars that are listed because they changed, most do change.
    whole, cars = (forecast.active, "active car") if is_part else (known, "known car")
    if (most := rules.max_changed_share) is not None and _is_over(forecast.changed, whole, most):
        found.append(
            f"{formatting.part(forecast.changed, whole, cars)} would change "
            f"{_shares(forecast.changed, whole, 'max_changed_share', most)}"
        )
    new, most = ids - known, rules.max_new_share
    gone, active = forecast.absent, forecast.active
    is_over = most is not None and _is_over(new, ids, most) and _is_over(gone, active, most)
    if most is not None and is_over and not is_part:
        found.append(
            f"as if each car had another id: the table does not know "
            f"{formatting.part(new, ids, 'car')} of the feed "
            f"{_shares(new, ids, 'max_new_share', most)}, and the feed does not list "
            f"{formatting.part(gone, active, 'active car')} of the table"
        )
    return found


def _is_over(part: int, whole: int, most: float) -> bool:
    return whole >= MIN_CARS and part / whole > most


def _shares(part: int, whole: int, key: str, most: float) -> str:
    share, limit = formatting.shares(part / whole, most)
    return f"({share}; sync.plausible.{key} is {limit})"


def _parts(cur: Cursor, run: Run) -> dict[str, Composable]:
    return {
        **target_parts(cur, run.target),
        **staging.tables(run.run_id),
        "source": sql.literal(run.source),
    }


def _count_changes(
    defaults: Defaults, parts: dict[str, Composable], statement: str = "count_changes"
) -> Composable:
    names = [sql.identifier(name) for name in defaults]
    pairs = sql.comma_separated(sql.load("plausibility/pair", column=name) for name in names)
    counts = (sql.load("plausibility/count_column", **_tests(n, d)) for n, d in defaults.items())
    return sql.load(
        f"plausibility/{statement}",
        is_changed=sql.load("plausibility/is_any_changed", pairs=pairs),
        counts=sql.comma_separated(counts),
        **parts,
    )


def _tests(column: str, default: Any) -> dict[str, Composable]:
    """Compose the tests of one column's values, before (`t`) and after (`s`)."""
    text = sql.literal(_as_text(default))

    def is_set(row: str) -> Composable:
        return sql.load("plausibility/is_set", value=sql.identifier(row, column), default=text)

    name = sql.identifier(column)
    return {
        "column": name,
        "is_changed": sql.load("plausibility/is_changed", column=name),
        "was_set": is_set("t"),
        "is_set": is_set("s"),
    }


def _as_text(default: Any) -> str | None:
    """Write a default as PostgreSQL writes it, without a fraction of zeros."""
    if default is None or isinstance(default, str):
        return default
    return json.dumps(default).removesuffix(".0")


def names_of(forecast: Forecast) -> Sequence[str]:
    """Return the columns that would change, those that would lose most values first."""
    shown = sorted(forecast.columns, key=lambda column: (-column.emptied, -column.changed))
    return [column.name for column in shown if column.changed]
