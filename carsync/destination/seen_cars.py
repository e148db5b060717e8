"""A merge writes the cars that the run saw: changed, returned, new."""

from __future__ import annotations

from typing import Any

from carsync import failpoints, formatting
from carsync.destination import conditions
from carsync.destination.merge_work import MergeWork
from carsync.destination.refused_rows import RefusedRows
from carsync.errors import DatabaseError
from carsync.model import MergeCounts
from carsync.postgres import connection, errors, sql
from carsync.postgres.sql import Composable


def write_seen(work: MergeWork, planned: dict[str, int], refusals: RefusedRows) -> MergeCounts:
    """Update the changed cars, bring back the returned, insert the new.

    `planned` counts the cars of the delta by action.
    Returns the counts of the cars that were seen.
    Raises `DatabaseError` where a car belongs to another source.
    """
    staged = work.staged
    if planned.get("foreign"):
        _refuse_foreign(work, planned["foreign"])
    done = dict.fromkeys(("update", "reactivate", "insert"), 0)
    kept = 0
    if planned.get("update") or planned.get("reactivate"):
        done["update"], done["reactivate"] = _update_changed(work, refusals)
        failpoints.reach("merge.updated")
    if planned.get("insert"):
        done["insert"] = _insert_new(work, refusals)
        failpoints.reach("merge.inserted")
    if work.has_triggers and any(planned.get(action) for action in done):
        for action, as_asked, otherwise in _count_as_asked(work):
            done[action] = as_asked
            kept += otherwise
    to_write = sum(planned.get(action, 0) for action in (*done, "stale"))
    return MergeCounts(
        seen=staged.seen,
        inserted=done["insert"],
        updated=done["update"],
        reactivated=done["reactivate"],
        unchanged=staged.ids - to_write,
        stale=to_write - sum(done.values()) - refusals.refused - kept,
        rejected=staged.rejects + refusals.refused,
        kept=kept,
    )


def _count_as_asked(work: MergeWork) -> list[tuple[Any, ...]]:
    """Count, by action, the cars as they are now: what a trigger made of what was written."""
    query = work.load(
        "merge/count_as_asked",
        is_untouched=conditions.untouched_since(sql.identifier("d", "fetched_at")),
        touched_at=conditions.touched_at(),
    )
    return sql.rows(work.cur, query)


def _update_changed(work: MergeWork, refusals: RefusedRows) -> list[int]:
    is_untouched = conditions.untouched_since(sql.identifier("d", "fetched_at"))
    parts = {**work.recording(work.written), "is_untouched": is_untouched}
    done = refusals.write(
        lambda chosen: work.load("merge/update_changed", **parts, is_chosen=chosen), {}
    )
    return done or [0, 0]


def _insert_new(work: MergeWork, refusals: RefusedRows) -> int:
    """Insert the new cars and count them.

    ON CONFLICT costs a quarter more and a WAL record a row, so it is used only where
    another session did insert one of them in the meantime.
    """

    def load(is_chosen: Composable, on_conflict: Composable) -> Composable:
        return work.load("merge/insert_new", on_conflict=on_conflict, is_chosen=is_chosen)

    try:
        with connection.savepoint(work.cur), connection.role_path(work.cur):
            return int(sql.one(work.cur, load(sql.literal(True), sql.NOTHING))[0])
    except Exception as exc:
        if not errors.is_refusal(exc):
            raise
    keep_rivals = work.load("merge/keep_rivals")
    return sum(refusals.write(lambda chosen: load(chosen, keep_rivals), {}))


def _refuse_foreign(work: MergeWork, number: int) -> None:
    run = work.request.run
    examples = sql.rows(work.cur, work.load("merge/list_foreign"))
    owner = examples[0][1]
    raise DatabaseError(
        f"{formatting.plural(number, 'car', 'belongs', 'belong')} to another source in "
        f"{run.target}, although this feed lists {'it' if number == 1 else 'them'}",
        detail=f"e.g. id {examples[0][0]} has source_api {owner!r}; this run's source is "
        f"{run.source!r}",
        hint=f"if it is the same feed, set sync.source: {owner}; "
        "else use another table for this feed",
    )
