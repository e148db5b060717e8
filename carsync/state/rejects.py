"""The records that no row could hold: listed, counted, settled, and forgotten in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carsync.model import OriginalKind, Reject, Target
from carsync.postgres import connection, sql
from carsync.postgres.connection import Connection
from carsync.state import runs

KEPT_RUNS = 10
"""Rejects of so many merged runs are kept: only the newest's can be replayed, the others tell
since when a fault is there."""


@dataclass(frozen=True, slots=True)
class StoredReject:
    """One open line of `carsync.rejects`; `fetched_at` is when its page was asked for (UTC)."""

    run_id: int
    page: int
    ordinal: int
    record_id: str | None
    column: str | None
    reason: str
    original: str
    original_kind: OriginalKind
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many open rejects have a reason; what it quotes of the value is left out."""

    column: str | None
    reason: str
    count: int


def list_open(
    conn: Connection, target: Target, source: str, run_id: int | None, limit: int, chars: int
) -> list[StoredReject]:
    """Return at most `limit` open rejects, newest run first, `chars` characters of each text.

    Those of `run_id`, or of the newest merged run and whatever began after it.
    """
    query = sql.load("rejects/list_rejects")
    parameters = {**_scope(conn, target, source, run_id), "limit": limit, "chars": chars}
    return [StoredReject(*line) for line in sql.fetch(conn, "listing", query, parameters)]


def count_reasons(
    conn: Connection, target: Target, source: str, run_id: int | None
) -> list[ReasonCount]:
    """Return how often each reason occurs among the same rejects, the most frequent first."""
    query = sql.load("rejects/count_reasons")
    parameters = _scope(conn, target, source, run_id)
    found = sql.fetch(conn, "counting rejects", query, parameters)
    return [ReasonCount(*line) for line in found]


def list_pages(conn: Connection, run_id: int) -> list[int]:
    """Return the pages of a run that have open rejects, in order."""
    query = sql.load("rejects/list_reject_pages")
    found = sql.fetch(conn, "listing rejects", query, {"run_id": run_id})
    return [page for (page,) in found]


def read_page(conn: Connection, run_id: int, page: int) -> list[StoredReject]:
    """Return the open rejects of one page of a run, their texts whole."""
    query = sql.load("rejects/read_rejects")
    parameters = {"run_id": run_id, "page": page}
    found = sql.fetch(conn, "reading rejects", query, parameters)
    return [StoredReject(*line) for line in found]


def update(conn: Connection, run_id: int, page: int, rejects: list[Reject]) -> None:
    """Give rejects of a page, told by their ordinals, the id, column and reason they have now."""
    with connection.transaction(conn, "updating rejects") as cur:
        for reject in rejects:
            sql.run(
                cur,
                sql.load("rejects/update_reject"),
                {
                    "run_id": run_id,
                    "page": page,
                    "ordinal": reject.ordinal,
                    "record_id": reject.record_id,
                    "column": reject.column,
                    "reason": reject.reason,
                },
            )


def prune(conn: Connection, target: Target, source: str) -> int:
    """Delete the rejects of runs older than the `KEPT_RUNS` newest merged ones; count them."""
    with connection.transaction(conn, "pruning rejects") as cur:
        return sql.run(
            cur,
            sql.load("rejects/prune_rejects"),
            {**target.key(source), "keep": KEPT_RUNS},
        )


def _scope(
    conn: Connection, target: Target, source: str, run_id: int | None
) -> dict[str, str | int | None]:
    merged = runs.last_merged(conn, target, source)
    since = merged.run_id if merged else 0
    return {**target.key(source), "run_id": run_id, "since_run": since}
