"""What became of each column's values in a run: unreadable, emptied, or nowhere in the feed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

from msgspec import Struct

from carsync import formatting
from carsync.destination.plausibility import Forecast
from carsync.destination.staging import tables
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection

REMARKABLE_SHARE = 0.01
"""From this share of the records, or of the known cars, on a run tells it at its end."""
SHOWN = 5
"""At most this many columns or fields are named in a sentence, and as many sentences are said."""


class ColumnValues(Struct, frozen=True):
    """What became of one column's values.

    `unread` values of the feed could not be read and became the column's default, as
    `unread_why` says of the car `unread_id`. `emptied` known cars had a value and have none now,
    or the default: `emptied_id` had `emptied_from`. `is_absent`: no record of the feed holds
    anything at the column's path.
    """

    name: str
    unread: int = 0
    unread_id: str | None = None
    unread_why: str | None = None
    emptied: int = 0
    emptied_id: str | None = None
    emptied_from: str | None = None
    is_absent: bool = False


def gather(
    conn: Connection, run_id: int, forecast: Forecast | None
) -> tuple[tuple[ColumnValues, ...], tuple[str, ...]]:
    """Add up what the run's staged pages tell of the columns, and what the merge would empty.

    Returns the columns of which there is something to tell, and the fields that most records of
    the first page have.
    """
    with connection.transaction(conn, "adding up the columns' values") as cur:
        lines = sql.rows(cur, sql.load("staging/sum_notes", **tables(run_id)))
        fields = sql.rows(cur, sql.load("staging/read_fields", **tables(run_id)))
    told = {name: (count, i, why, absent) for name, count, i, why, absent in lines}
    emptied = {c.name: c for c in (forecast.columns if forecast else ()) if c.emptied}
    columns = []
    for name in sorted(told.keys() | emptied.keys()):
        count, record_id, why, is_absent = told.get(name, (0, None, None, False))
        lost = emptied.get(name)
        car = (lost.emptied, lost.emptied_id, lost.emptied_from) if lost else (0, None, None)
        columns.append(ColumnValues(name, count, record_id, why, *car, is_absent))
    return tuple(columns), tuple(fields[0][0]) if fields else ()


def describe_unread(columns: Sequence[ColumnValues], records: int) -> list[str]:
    """Say which columns' values often could not be read.

    >>> describe_unread([ColumnValues("price", 2, "7", "'1,000' is not a number")], 40)
    ["price: 2 of 40 values could not be read and became the default; car 7: '1,000' is not a \
number"]
    """
    return [
        f"{c.name}: {c.unread:,} of {records:,} values could not be read and became the default; "
        f"car {c.unread_id}: {c.unread_why}"
        for c in _remarkable(columns, attrgetter("unread"), records)
    ]


def describe_emptied(columns: Sequence[ColumnValues], known: int) -> list[str]:
    """Say which columns became empty, or their default, in many known cars.

    >>> describe_emptied([ColumnValues("price", emptied=2, emptied_id="7", emptied_from="5")], 40)
    ['price: 2 of 40 known cars lost the value; car 7 had 5']
    """
    return [
        f"{c.name}: {formatting.part(c.emptied, known, 'known car')} lost the value; "
        f"car {c.emptied_id} had {formatting.printable(c.emptied_from or '')}"
        for c in _remarkable(columns, attrgetter("emptied"), known)
    ]


def _remarkable(
    columns: Sequence[ColumnValues], count: Callable[[ColumnValues], int], whole: int
) -> list[ColumnValues]:
    """Return the columns with the most values of a kind, where these are a share to tell."""
    found = [c for c in columns if count(c) and count(c) >= REMARKABLE_SHARE * whole]
    return sorted(found, key=count, reverse=True)[:SHOWN]


def describe_absent(names: Sequence[str], paths: Mapping[str, str], ending: str) -> list[str]:
    """Say that no record holds anything at these columns' paths; nothing where there are none.

    >>> describe_absent(["vin"], {"vin": "car.vin"}, "check mapping.columns")
    ['no record of the feed has a value for vin (car.vin): check mapping.columns']
    """
    if not names:
        return []
    words = _some([f"{name} ({paths[name]})" for name in names])
    return [f"no record of the feed has a value for {words}: {ending}"]


def describe_new(fields: Sequence[str]) -> list[str]:
    """Say that records have fields that they did not have before; nothing where there are none.

    >>> describe_new(["Price"])
    ['the records have fields that are new: Price']
    """
    return [f"the records have fields that are new: {_some(fields)}"] if fields else []


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    more = len(names) - SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
