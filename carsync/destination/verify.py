"""Does the ledger hold every page, and does it add up with what is staged?

PostgreSQL empties UNLOGGED tables in a crash. Nothing is merged, let alone
deactivated, on the word of a checkpoint: the ledger is counted against the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carsync.destination.staging import exists, ledger_table, staging_table
from carsync.errors import StagingLostError
from carsync.postgres import sql
from carsync.postgres.connection import Connection
from carsync.postgres.sql import Cursor


@dataclass(frozen=True, slots=True)
class Staged:
    """What waits for the merge: rows, distinct ids among them, and rejects.

    `unstaged_reject_ids` are distinct ids that were rejected and not staged as well;
    `oldest_fetch` is when the oldest page was asked for, `last_merge` when an earlier run
    was merged, on the server's clock; None where none was, or it says a time to come.
    """

    rows: int
    ids: int
    rejects: int
    rejects_without_id: int
    unstaged_reject_ids: int
    oldest_fetch: datetime
    last_merge: datetime | None

    @property
    def seen(self) -> int:
        """Distinct ids that the feed listed, rejects included."""
        return self.ids + self.unstaged_reject_ids


def check_exists(conn: Connection, run_id: int) -> None:
    """Raise `StagingLostError` where the run's tables are gone."""
    if not exists(conn, run_id):
        raise StagingLostError(
            f"the staging table of run {run_id} is gone",
            hint="run again: its pages are fetched again",
        )


def check(cur: Cursor, run_id: int, pages: range, failed_pages: frozenset[int]) -> Staged:
    """Return what is staged; raise `StagingLostError` where it is not what was planned.

    Each of `pages`, those given up aside, must have its line, and the lines' sums must
    equal the rows and rejects that are there.
    """
    missing, rows, rejects = sql.one(
        cur,
        sql.load("staging/check_ledger", ledger=ledger_table(run_id)),
        {"first": pages.start, "last": pages.stop - 1, "failed": sorted(failed_pages)},
    )
    if missing:
        raise StagingLostError(
            f"{len(missing):,} pages of run {run_id} are not staged",
            detail=f"the first is page {missing[0]}; PostgreSQL empties UNLOGGED tables in a crash",
            hint="run again: they are fetched again",
        )
    staged = measure(cur, run_id)
    if (rows, rejects) != (staged.rows, staged.rejects):
        raise StagingLostError(
            f"the ledger of run {run_id} does not add up",
            detail=f"it counts {rows:,} rows and {rejects:,} rejects, there are "
            f"{staged.rows:,} and {staged.rejects:,}",
            hint="run again with --fresh",
        )
    return staged


def measure(cur: Cursor, run_id: int) -> Staged:
    """Count what is staged."""
    parts = {"staging": staging_table(run_id), "ledger": ledger_table(run_id)}
    rows, ids = sql.one(cur, sql.load("staging/count_staged", staging=parts["staging"]))
    oldest_fetch, last_merge = sql.one(
        cur,
        sql.load("staging/find_oldest_fetch", ledger=parts["ledger"]),
        {"run_id": run_id},
    )
    rejects, without_id, unstaged_ids = sql.one(
        cur, sql.load("staging/count_rejects", **parts), {"run_id": run_id}
    )
    return Staged(rows, ids, rejects, without_id, unstaged_ids, oldest_fetch, last_merge)
