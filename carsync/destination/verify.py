"""The ledger against the staging table: each page is there, and the sums are equal.

PostgreSQL empties UNLOGGED tables in a crash. Nothing is merged, let alone
deactivated, on the word of a checkpoint: the ledger is counted against the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from carsync.destination.staging import exists, tables
from carsync.errors import StagingLostError, UnmergeableError
from carsync.postgres import sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.wait import Connection


class Staged(Struct, frozen=True):
    """What waits for the merge: rows, distinct ids among them, and rejects.

    `unstaged_reject_ids` counts distinct ids that were rejected and not staged as well.
    `oldest_fetch` is the time of the request for the oldest page, on the server's clock.
    `last_merge` is the time of the last earlier merge; None: there was none, or its time lies
    in the future.
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
            f"the staging table of run {run_id} is missing",
            hint="run `carsync sync` again: it fetches the pages again",
        )


def check(
    cur: Cursor,
    run_id: int,
    pages: Sequence[range],
    failed_pages: frozenset[int] = frozenset(),
    *,
    of: Mapping[str, Composable] | None = None,
    counted: tuple[int, int] | None = None,
) -> Staged:
    """Check the ledger and count what is staged: of the feed, or of the tables that `of` names.

    Each of `pages` must have its line, but for `failed_pages`. The sums of the lines must equal
    the rows and rejects that are there. `counted` are rows and distinct ids as this run counted
    them before: where it has as many rows still, they are not counted by id again.
    Returns what is staged.
    Raises `StagingLostError` where a page is missing, `UnmergeableError` where a row is.
    """
    own = tables(run_id) if of is None else of
    query = sql.load("staging/check_ledger", **own)
    planned = {
        "first": [part.start for part in pages],
        "last": [part.stop - 1 for part in pages],
        "failed": sorted(failed_pages),
    }
    missing, rows, rejects = sql.one(cur, query, planned)
    if missing:
        raise StagingLostError(
            f"not all pages of run {run_id} are staged: {len(missing):,} missing",
            detail=f"the first is page {missing[0]}; PostgreSQL empties UNLOGGED tables in a crash",
            hint="run `carsync sync` again: it fetches the pages again",
        )
    if counted and sql.one(cur, sql.load("staging/count_rows", **own)) != counted[:1]:
        counted = None
    staged = measure(cur, run_id, own, counted)
    if (rows, rejects) != (staged.rows, staged.rejects):
        raise UnmergeableError(
            f"the ledger of run {run_id} does not add up",
            detail=f"rows: {rows:,} in the ledger, {staged.rows:,} staged; rejects: {rejects:,} in "
            f"the ledger, {staged.rejects:,} staged",
            hint="the next run reads the feed anew",
        )
    return staged


def measure(
    cur: Cursor,
    run_id: int,
    of: Mapping[str, Composable] | None = None,
    counted: tuple[int, int] | None = None,
) -> Staged:
    """Count what is staged: of the feed, or of the tables that `of` names.

    `counted` are the rows and distinct ids, where they are known already.
    """
    found: list[Any] = [*(counted or ())]
    names = ("count_rejects", "find_oldest_fetch")
    for name in names if counted else ("count_staged", *names):
        query = sql.load(f"staging/{name}", **(tables(run_id) if of is None else of))
        found += sql.one(cur, query, {"run_id": run_id})
    return Staged(*found)


def find_oldest_fetch(cur: Cursor, run_id: int) -> datetime:
    """Return the time that `Staged.oldest_fetch` has, without counting what is staged."""
    query = sql.load("staging/find_oldest_fetch", **tables(run_id))
    oldest_fetch: datetime = sql.one(cur, query, {"run_id": run_id})[0]
    return oldest_fetch
