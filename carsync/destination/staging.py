"""The staging table of a run, where rows wait for the merge, and its ledger of pages.

Each run has an UNLOGGED table of rows and an UNLOGGED ledger with one line a page,
written in the same transaction. Both survive or vanish together, so the ledger is
the truth about what was fetched; a page that it does not hold is fetched again.
The tombstones of `api.removals` have such a pair of tables of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from carsync.config.lists import is_removal
from carsync.destination import constraints
from carsync.model import Column, PageInfo, StagedPage, Target
from carsync.postgres import connection, sessions, sql
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.wait import Connection

ALL_PAGES = range(-(2**31), 2**31)
"""Every number that a page may have."""
_MOST_LINES = 5000
"""Of a ledger, read at once."""


def staging_table(run_id: int) -> Composable:
    """Return the name of the run's staging table."""
    return sql.identifier("carsync", f"staging_{run_id:d}")


def list_types(cur: Cursor, staging: Composable) -> dict[str, str]:
    """Return the types of a staging table's columns, by name."""
    name = sql.literal(staging.as_string(cur))
    return dict(sql.rows(cur, sql.load("staging/list_types", staging=name)))


def ledger_table(run_id: int) -> Composable:
    """Return the name of the run's ledger."""
    return sql.identifier("carsync", f"ledger_{run_id:d}")


def create(conn: Connection, run_id: int, columns: Sequence[Column], target: Target) -> None:
    """Create the run's ledger and its staging table.

    The staging table has the mapping's `columns`, with the constraints of `target`.
    """
    with connection.transaction(conn, "creating the staging table") as cur:
        definitions = constraints.definitions(cur, target, columns)
        parts = {**tables(run_id), "columns": definitions, "purpose": _purpose(run_id)}
        sql.run(cur, sql.load("staging/create_staging", **parts))
        sql.run(cur, sql.load("staging/create_seen", **parts))


def _purpose(run_id: int) -> Composable:
    return sql.literal(f"carsync: pages of run {run_id}, dropped after the merge")


def create_tombstones(
    conn: Connection,
    run_id: int,
    columns: Sequence[Column],
    constants: Sequence[tuple[Column, Any]],
    target: Target,
) -> None:
    """Create the tables for the run's tombstones: each has the `columns`, and the `constants`."""
    purpose = sql.literal(f"carsync: tombstones of run {run_id}, dropped after the merge")
    with connection.transaction(conn, "creating the table of tombstones") as cur:
        varying = constraints.definitions(cur, target, columns, is_row=False)
        fixed = (
            sql.load(
                "removals/column_default",
                column=constraints.definitions(cur, target, [column], is_row=False),
                value=sql.literal(value),
            )
            for column, value in constants
        )
        definitions = sql.comma_separated([varying, *fixed])
        parts = {**tombstone_tables(run_id), "columns": definitions, "purpose": purpose}
        sql.run(cur, sql.load("staging/create_staging", **parts))


def drop(conn: Connection, run_id: int) -> None:
    """Drop the run's staging tables and ledgers: a left-over writer fails from now on."""
    with connection.transaction(conn, "dropping the staging table") as cur:
        for each in (tables(run_id), tombstone_tables(run_id)):
            sql.run(cur, sql.load("staging/drop_staging", **each))


def clear(conn: Connection, run_id: int, pages: range) -> None:
    """Drop these pages from the run's staging tables and ledgers, and forget their rejects.

    No writer is at work on them.
    """
    key = {"run_id": run_id, "first": pages.start, "last": pages.stop - 1}
    with connection.transaction(conn, "emptying the staging table") as cur:
        for each in (tables(run_id), find_tombstones(cur, run_id)):
            if each is not None:
                sql.run(cur, sql.load("staging/clear_staging", **each), key)


def drop_stale(
    conn: Connection, target: Target, source: str, keep: Collection[int] = ()
) -> list[int]:
    """Drop the staging tables that runs of this target and source left, but for those to `keep`.

    Tables whose run is not on record any more go too. The caller holds the target's lock.
    Returns the ids of the runs, sorted.
    """
    ours = (target.schema, target.table, source)
    found = sql.fetch(conn, "looking for stale staging tables", "staging/list_staging")
    stale = sorted(
        run_id
        for run_id, *owner in found
        if run_id not in keep and (tuple(owner) == ours or owner[0] is None)
    )
    for run_id in stale:
        end_writers(conn, run_id)
        drop(conn, run_id)
    return stale


def writer_name(run_id: int) -> str:
    """Return the application name of the sessions of a run's writers."""
    return f"carsync writer run {run_id}"


def end_writers(conn: Connection, run_id: int) -> None:
    """End the sessions of a run's left-over writers; a writer that connects later stages nothing.

    The caller holds the target's lock, and the run is another process's or has a new token.
    """
    sessions.end_sessions(conn, writer_name(run_id))


def exists(conn: Connection, run_id: int) -> bool:
    """Say whether the run has its staging table and its ledger, with ids like the target's."""
    parts = {
        "staging": sql.literal(f"carsync.staging_{run_id:d}"),
        "ledger": sql.literal(f"carsync.ledger_{run_id:d}"),
        "run_id": sql.literal(run_id),
    }
    query = sql.load("staging/find_staging", **parts)
    return bool(sql.fetch(conn, "looking for the staging table", query)[0][0])


def read_ledger(conn: Connection, run_id: int) -> Iterator[StagedPage]:
    """Give the ledger's lines of the feed's pages, in page order; none after a crash.

    Below page 0 lie records that were read by id.
    """
    return _read_lines(conn, ledger_table(run_id))


def read_tombstone_pages(conn: Connection, run_id: int) -> Iterator[StagedPage]:
    """Give the ledger's lines of the pages of tombstones, in page order; the tables are there."""
    return _read_lines(conn, tombstone_tables(run_id)["ledger"])


def _read_lines(conn: Connection, ledger: Composable) -> Iterator[StagedPage]:
    """Give the lines of a ledger part by part: the pages may be many."""
    query, after = sql.load("staging/read_ledger", ledger=ledger), -1
    while True:
        key = {"after": after, "limit": _MOST_LINES}
        lines = sql.fetch(conn, "reading the ledger", query, key)
        yield from map(staged_page, lines)
        if len(lines) < _MOST_LINES:
            return
        after = lines[-1][0]


def find_page(conn: Connection, run_id: int, page: int) -> StagedPage | None:
    """Return the ledger's line of one page of the feed or of tombstones, None where it has none."""
    own = tombstone_tables(run_id) if is_removal(page) else tables(run_id)
    query = sql.load("staging/read_ledger_pages", ledger=own["ledger"])
    lines = sql.fetch(conn, "reading the ledger", query, {"pages": [page]})
    return staged_page(lines[0]) if lines else None


def count_records(
    conn: Connection, run_id: int, ledger: Composable | None = None
) -> tuple[int, int]:
    """Return how many records of the run's staged pages were rejected, and how many there are.

    The pages are those of the feed, or of another `ledger`.
    """
    query = sql.load("staging/sum_ledger", ledger=ledger or ledger_table(run_id))
    rejects, records = sql.fetch(conn, "adding up the ledger", query)[0]
    return rejects, records


def upgrade_ledger(conn: Connection, run_id: int) -> None:
    """Bring the tables of an unfinished run, which an earlier version may have made, up to date."""
    own = tables(run_id)
    with connection.transaction(conn, "upgrading the ledger") as cur:
        sql.run(cur, sql.load("staging/upgrade_ledger", ledger=own["ledger"]))
        if not _has_seen(cur, run_id):
            sql.run(cur, sql.load("staging/create_seen", **own, purpose=_purpose(run_id)))


def has_seen(conn: Connection, run_id: int) -> bool:
    """Say whether the run has a table of all records: an earlier version made none."""
    with connection.transaction(conn, "looking for the table of all records") as cur:
        return _has_seen(cur, run_id)


def _has_seen(cur: Cursor, run_id: int) -> bool:
    return _is_there(cur, f"carsync.seen_{run_id:d}")


def staged_page(line: tuple[Any, ...]) -> StagedPage:
    """Return a line of the ledger as a record: the page's counts, then what its answer said."""
    page, rows, rejects, records, *info = line
    return StagedPage(page, rows, rejects, records, PageInfo(*info))


def tables(run_id: int) -> dict[str, Composable]:
    """Return the run's staging table, the table of all records, and the ledger, as parts."""
    seen = sql.identifier("carsync", f"seen_{run_id:d}")
    return {"staging": staging_table(run_id), "seen": seen, "ledger": ledger_table(run_id)}


def tombstone_tables(run_id: int) -> dict[str, Composable]:
    """Return the tables of the run's tombstones, by the names that statements have for staging."""
    staging = sql.identifier("carsync", f"tombstones_{run_id:d}")
    return {
        "staging": staging,
        "seen": staging,
        "ledger": sql.identifier("carsync", f"tombstone_pages_{run_id:d}"),
    }


def find_tombstones(cur: Cursor, run_id: int) -> dict[str, Composable] | None:
    """Return the `tombstone_tables` of the run; None where it has none."""
    is_there = _is_there(cur, f"carsync.tombstones_{run_id:d}")
    return tombstone_tables(run_id) if is_there else None


def _is_there(cur: Cursor, name: str) -> bool:
    return bool(sql.one(cur, sql.load("staging/find_table", name=sql.literal(name)))[0])


def date_replayed(conn: Connection, run_id: int, replay_of: int) -> None:
    """Date each page in the ledger of the replay `run_id` as the run `replay_of` fetched it."""
    query = sql.load("staging/date_replayed", ledger=ledger_table(run_id))
    with connection.transaction(conn, "dating replayed pages") as cur:
        sql.run(cur, query, {"replay_of": replay_of})
