"""Conditions on a row `t` of the target, which several statements share."""

from __future__ import annotations

from carsync.postgres import sql
from carsync.postgres.sql import Composable


def touched_at() -> Composable:
    """Compose the time at which the row was written last; NULL where the row has no time."""
    return sql.load("merge/touched_at")


def untouched_since(since: Composable, touched: Composable | None = None) -> Composable:
    """Compose the test that nobody wrote the row after `since`.

    `touched` is a column that holds `touched_at` already.
    """
    return sql.load("merge/untouched_since", since=since, touched_at=touched or touched_at())


def expected(source: str, since: Composable, touched: Composable | None = None) -> Composable:
    """Compose the test that a run of `source`, its oldest page being of `since`, must list the car.

    A car that the run neither staged nor rejected all the same is absent.
    """
    untouched = untouched_since(since, touched)
    return sql.load("merge/expected", source=sql.literal(source), untouched_since=untouched)
