"""Cars of which a later run has read what is newer than the pages of an unfinished run.

A run of the whole feed may be interrupted, and incremental runs be merged before it goes on. What
it staged before then must not overwrite what they brought, and a car that they saw is not absent.
One run at a time reads, under the target's lock. So pages are put in order by `latest_run`, the
number of the latest run on record when a page was staged, and no clock decides.
"""

from __future__ import annotations

from collections.abc import Collection

from carsync.destination.staging import ledger_table, tables
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor


def latest_run(run_id: int) -> Composable:
    """Compose the number of the latest run on record of the run's target and source."""
    return sql.load("superseded/latest_run", run_id=sql.literal(run_id))


def record(
    cur: Cursor, run_id: int, gone: Collection[str], parts: dict[str, Composable]
) -> list[int]:
    """Record what the run read, and the `gone` cars, for each unfinished run with older pages.

    `parts` name the run's own tables. Other runs know it once the run's merge is committed.
    Returns the unfinished runs.
    """
    key = {"run_id": run_id, "gone": list(gone)}
    unfinished = [other for (other,) in sql.rows(cur, "superseded/list_unfinished", key)]
    for other in unfinished:
        theirs = {"other": sql.literal(other), "their_ledger": ledger_table(other)}
        theirs["latest_run"] = latest_run(run_id)
        sql.run(cur, sql.load("staging/upgrade_ledger", ledger=ledger_table(other)))
        theirs["read"] = sql.load("superseded/read", **tables(run_id))
        sql.run(cur, sql.load("superseded/record_superseded", **parts, **theirs), key)
    return unfinished


def has_any(cur: Cursor, run_id: int) -> bool:
    """Say whether later runs have read what is newer than some of the run's pages."""
    return bool(sql.one(cur, "superseded/find_any", {"run_id": run_id})[0])


def is_newest(run_id: int, record_id: Composable, latest: Composable) -> Composable:
    """Compose the test that no later run has read the car of a record of the run.

    `latest` is the `latest_run` of the record's page.
    """
    parts = {"record_id": record_id, "latest_run": latest}
    return sql.load("superseded/is_newest", run_id=sql.literal(run_id), **parts)


def expected(is_expected: Composable, run_id: int, record_id: Composable) -> Composable:
    """Compose the test that a car is expected, and that no later run has read it."""
    parts = {"is_expected": is_expected, "record_id": record_id}
    return sql.load("superseded/expected", run_id=sql.literal(run_id), **parts)
