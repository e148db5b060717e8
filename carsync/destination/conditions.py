"""Conditions on a row `t` of the target, which several statements share."""

from __future__ import annotations

from collections.abc import Collection

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
    """Compose the test that a run should have seen the car: its `source` owns the active row.

    `since` is the time of the run's oldest page: nobody wrote the row after it. A car that was
    expected, and neither staged nor rejected, is absent.
    """
    untouched = untouched_since(since, touched)
    return sql.load("merge/expected", source=sql.literal(source), untouched_since=untouched)


def named(is_expected: Composable, record_id: Composable, ids: Collection[str]) -> Composable:
    """Compose the test that a car is expected, and that its id is one of `ids`."""
    parts = {"record_id": record_id, "ids": sql.literal(list(ids))}
    return sql.load("merge/named", is_expected=is_expected, **parts)
