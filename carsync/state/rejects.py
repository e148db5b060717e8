"""Rejected records in `carsync.rejects`: listed, counted, updated and pruned."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import asdict

from carsync.config.lists import PAGES_EACH, REMOVALS_FROM
from carsync.model import OriginalKind, Reject, Target
from carsync.postgres import connection, sql
from carsync.postgres.wait import Connection
from carsync.state import runs

KEPT_RUNS = 10
"""Merged runs of the whole feed whose rejects are kept, with all runs that came between them.

Only those since the newest can be replayed; the others show since when a fault is there.
"""


class StoredReject(Struct, frozen=True):
    """One open line of `carsync.rejects`; `fetched_at` is the time of its page's request (UTC).

    `in_list` names the page's list, as far as `list_open` tells it: `page` is its number there
    then.
    """

    run_id: int
    page: int
    ordinal: int
    record_id: str | None
    column: str | None
    reason: str
    original: str
    original_kind: OriginalKind
    fetched_at: datetime
    in_list: str | None = field(default=None, name="list")


class ReasonCount(Struct, frozen=True):
    """The number of open rejects with one reason, without the value that the reason quotes."""

    column: str | None
    reason: str
    count: int


def list_open(
    conn: Connection, target: Target, source: str, run_id: int | None, limit: int, chars: int
) -> list[StoredReject]:
    """Return at most `limit` open rejects, newest run first, `chars` characters of each text.

    The rejects are those of `run_id`; None: of the newest merged run of the whole feed and of all
    later runs.
    """
    scope = _scope(conn, target, source, run_id)
    scope |= {"limit": limit, "chars": chars, "each": PAGES_EACH, "removals_from": REMOVALS_FROM}
    found = sql.fetch(conn, "listing rejects", "rejects/list_rejects", scope)
    return [StoredReject(*line) for line in found]


def count_reasons(
    conn: Connection, target: Target, source: str, run_id: int | None
) -> list[ReasonCount]:
    """Count the rejects that `list_open` lists by reason, the most frequent first."""
    scope = _scope(conn, target, source, run_id)
    found = sql.fetch(conn, "counting rejects", "rejects/count_reasons", scope)
    told = [ReasonCount(column, kind.replace("\1", "…"), count) for column, kind, count in found]
    return sorted(told, key=lambda one: (-one.count, one.column or "", one.reason))


def list_pages(conn: Connection, run_id: int) -> list[int]:
    """Return the feed's pages of a run that have open rejects, in order."""
    key = {"run_id": run_id, "removals_from": REMOVALS_FROM}
    found = sql.fetch(conn, "listing rejects", "rejects/list_reject_pages", key)
    return [page for (page,) in found]


def find_replayable(conn: Connection, target: Target, source: str, since: int) -> list[int]:
    """Return the merged runs with open rejects, newest first, from the run `since` on."""
    key = {**target.key(source), "since": since}
    found = sql.fetch(conn, "looking for rejects", "rejects/find_replayable", key)
    return [run_id for (run_id,) in found]


def read_page(conn: Connection, run_id: int, page: int) -> list[StoredReject]:
    """Return the open rejects of one page of a run, with their whole texts."""
    key = {"run_id": run_id, "page": page}
    found = sql.fetch(conn, "reading rejects", "rejects/read_rejects", key)
    return [StoredReject(*line) for line in found]


def update(conn: Connection, run_id: int, page: int, rejects: list[Reject]) -> None:
    """Update id, column and reason of the rejects of a page, each found by its ordinal."""
    with connection.transaction(conn, "updating rejects") as cur:
        for reject in rejects:
            key = {"run_id": run_id, "page": page}
            sql.run(cur, "rejects/update_reject", {**asdict(reject), **key})


def prune(conn: Connection, target: Target, source: str, *, is_retired: bool = False) -> int:
    """Delete rejects, and count them; those of a source that `is_retired` go all.

    Else those since the oldest of the `KEPT_RUNS` newest merged runs of the whole feed stay.
    """
    keep = 0 if is_retired else KEPT_RUNS
    with connection.transaction(conn, "pruning rejects") as cur:
        return sql.run(cur, "rejects/prune_rejects", {**target.key(source), "keep": keep})


def _scope(
    conn: Connection, target: Target, source: str, run_id: int | None
) -> dict[str, str | int | None]:
    merged = runs.last_full(conn, target, source)
    since = merged.run_id if merged else 0
    return {**target.key(source), "run_id": run_id, "since_run": since}
