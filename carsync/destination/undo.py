"""Undo: the changes of one run are taken back, in one transaction, under the target's lock.

A row that anybody wrote since is refused. So is a row that the table's own rules, or other
tables, hold fast.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct
from msgspec.structs import asdict

from carsync import formatting
from carsync.destination import change_log, privileges
from carsync.errors import RevertError
from carsync.model import ROW_ACTIONS, MergeCounts, RowAction, Target
from carsync.postgres import connection, sql, sqlstate
from carsync.postgres.halving import by_halves
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection
from carsync.state import runs
from carsync.state.changes import FORGOTTEN
from carsync.state.runs import Run

_STEPS: dict[str, set[RowAction]] = {
    "undo/delete_inserted": {"inserted"},
    "undo/restore_rows": {"updated", "reactivated", "deactivated"},
    "undo/restore_deleted": {"deleted"},
}
"""In this order a unique value is free before a row gets it back."""


class Refused(Struct, frozen=True):
    """A change that is not taken back: the row, what the run did to it, and why it stays."""

    id: str
    action: RowAction
    reason: str


class UndoCounts(Struct, frozen=True):
    """The rows of an undo: `counts` says what the revert itself did to them.

    `before` counts rows that an earlier revert took back. `rewritten` names columns that are
    not as they were although their rows were taken back: a trigger of the table writes them.
    """

    counts: MergeCounts
    refused: tuple[Refused, ...] = ()
    before: int = 0
    rewritten: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Rows taken back."""
        done = self.counts
        return done.inserted + done.updated + done.reactivated + done.deactivated + done.deleted


def find(conn: Connection, target: Target, source: str, run_id: int) -> Run:
    """Return the run; raise `RevertError` where its changes are not on record."""
    run = runs.require_run(conn, target, source, run_id, RevertError)
    if run.counts is None:
        raise RevertError(
            f"run {run_id} was not merged, so there is nothing to take back",
            detail=f"it is {run.state}",
        )
    if run.changes_origin is None:
        raise RevertError(
            f"the changes of run {run_id} were not recorded",
            detail="history.changes_keep_days was 0, or an older carsync did the run",
            hint="restore the table from a backup, or run `carsync sync`",
        )
    if run.changes_origin in FORGOTTEN:
        raise RevertError(
            f"the changes of run {run_id} are no longer recorded",
            detail=f"it was merged at {run.merged_at:%F %T} UTC, longer ago than "
            "history.changes_keep_days",
            hint="restore the table from a backup, or run `carsync sync`",
        )
    return run


def take_back(
    cur: Cursor, target: Target, run: Run, by: Run, actions: Collection[RowAction]
) -> UndoCounts:
    """Take back those changes of `run` that are among `actions`; `by` is the reverting run.

    The work is done inside the caller's transaction, which the caller commits or rolls back.
    Returns the counts, with the rows that cannot be taken back.
    Raises `RevertError` where the record does not fit the table, and `DatabaseError`.
    """
    sql.run(cur, "session/set_merge")
    sql.run(cur, "session/set_constraints")
    privileges.check(target, privileges.describe(cur, target))
    _check_record(cur, run)
    parts = _compose(cur, target, run, by, actions)
    which = {"run_id": run.run_id, "actions": list(actions)}
    sql.run(cur, sql.load("undo/lock_changed", **parts), which)
    sql.run(cur, sql.load("undo/lock_inserted", **parts), which)
    sql.run(cur, sql.load("undo/create_reversal", **parts))
    sql.run(cur, "superseded/forget_reverted", {**run.target.key(run.source), **which})
    rows, before = sql.one(cur, sql.load("undo/count_reversal", **parts))
    if rows and rows == before:
        (last,) = sql.one(cur, "undo/find_reverting_run", {"run_id": run.run_id})
        raise RevertError(
            f"run {run.run_id} was already taken back, by run {last}",
            hint=f"to undo that: `carsync revert {last}`",
        )
    _refuse_referenced(cur, target, parts)
    kinds = {kind for (kind,) in sql.rows(cur, sql.load("undo/list_kinds", **parts))}
    for step, of in _STEPS.items():
        if kinds & of:
            _apply(cur, step, parts, rows)
    sql.run(cur, sql.load("undo/refuse_undone", **parts))
    outcome = _outcome(cur, parts, before)
    sql.run(cur, sql.load("undo/drop_reversal", **parts))
    return outcome


def _check_record(cur: Cursor, run: Run) -> None:
    """Raise `RevertError` where the changes were recorded elsewhere, or some are gone."""
    found, copied = sql.one(cur, "undo/count_changes", {"run_id": run.run_id})
    is_here = run.changes_origin == change_log.origin(cur)
    if copied or not is_here:
        fate = "copied since" if is_here else "recorded on another server, or in another table"
        raise RevertError(
            f"the changes of run {run.run_id} were {fate}",
            detail="the database was restored or moved since, so carsync cannot know which rows "
            "were written after the run",
            hint="restore the table from a backup, or run `carsync sync`",
        )
    counts = run.counts_now or {}
    expected = sum(counts.get(name, 0) for name in ROW_ACTIONS)
    if found < expected:
        raise RevertError(
            f"run {run.run_id} made {formatting.plural(expected, 'change')}, but only {found:,} "
            "of them are recorded",
            hint="restore the table from a backup, or run `carsync sync`",
        )


def _compose(
    cur: Cursor, target: Target, run: Run, by: Run, actions: Collection[RowAction]
) -> dict[str, Composable]:
    """Compose what the statements share, for the columns that the run's changes speak of."""
    place = asdict(target)
    which = {**place, "run_id": run.run_id, "actions": list(actions)}
    types = dict(sql.rows(cur, "undo/list_change_columns", which))
    gone = [name for name, type_ in types.items() if type_ is None]
    if gone:
        raise RevertError(
            f"{target} lacks columns that run {run.run_id} wrote: {', '.join(gone)}",
            detail="they were dropped or renamed since, or are computed now",
            hint="add these columns again, or take back only the inserted rows: --only inserted",
        )
    stored = [name for name, *_ in sql.rows(cur, "changes/list_recorded", place)]
    # Cars deleted whole tell of columns that no UPDATE may write, too: identities GENERATED ALWAYS.
    which["actions"] = [action for action in actions if action in _STEPS["undo/restore_rows"]]
    updated = sql.rows(cur, "undo/list_change_columns", which)
    written = {name: types[name] for name, _ in updated if name != target.id_column}
    before = sql.identifier("v", "before")
    return {
        **change_log.recording(cur, target, by.run_id, written or ["is_active"], records=True),
        **target_parts(cur, target),
        "reversal": sql.identifier("carsync", f"reversal_{by.run_id:d}"),
        "places": sql.identifier(f"reversal_{by.run_id:d}_places"),
        "ids": sql.identifier(f"reversal_{by.run_id:d}_ids"),
        "schema": sql.literal(target.schema),
        "table": sql.literal(target.table),
        "reverted": sql.literal(run.run_id),
        "actions": sql.literal(list(actions)),
        "told": change_log.whole_row(types),
        "row": change_log.whole_row(stored),
        "restored": sql.identifiers(written),
        "restored_values": sql.comma_separated(map(_restored_value, written, written.values())),
        "columns": sql.identifiers(types),
        "values": sql.comma_separated(_old_value(before, *column) for column in types.items()),
    }


def _restored_value(name: str, type_: str | None) -> Composable:
    """Compose what an UPDATE writes into a column: its old value where it was changed."""
    old = _old_value(sql.identifier("was", "carsync before"), name, type_)
    parts = {"name": sql.literal(name), "column": sql.identifier(name), "old": old}
    return sql.load("undo/restored_value", **parts)


def _old_value(before: Composable, name: str, type_: str | None) -> Composable:
    parts = {"before": before, "name": sql.literal(name), "type": sql.expression(type_ or "text")}
    return sql.load("undo/old_value", **parts)


def _refuse_referenced(cur: Cursor, target: Target, parts: dict[str, Composable]) -> None:
    referrers = sql.rows(cur, "undo/list_referrers", asdict(target))
    for schema, table, columns, referred, is_readable, takes_along in referrers:
        words = f"{schema}.{table}"
        if not is_readable:  # where it takes nothing along, PostgreSQL itself refuses
            if takes_along:
                reason = f"may be referred to by {words}, which this role may not read"
                sql.run(cur, sql.load("undo/refuse_inserted", **parts), {"reason": reason})
            continue
        reference = {
            **parts,
            "referrer": sql.identifier(schema, table),
            "words": sql.literal(words),
            "columns": sql.identifiers(columns, "r"),
            "referred": sql.identifiers(referred, "t"),
        }
        sql.run(cur, sql.load("undo/refuse_referenced", **reference))


def _apply(cur: Cursor, step: str, parts: dict[str, Composable], rows: int) -> None:
    """Take one step for all rows, or for all but those that the table itself refuses."""
    query = sql.rendered(cur, sql.load(step, **parts))

    def attempt(places: range) -> None:
        with connection.role_path(cur):
            sql.run(cur, query, {"first": places.start, "end": places.stop})

    def refuse(place: int, exc: Exception) -> None:
        _, said = sqlstate.explain_refusal(exc)
        refused = {"place": place, "reason": f"PostgreSQL refused: {said}"}
        sql.run(cur, sql.load("undo/refuse_change", **parts), refused)

    def prepare() -> None:
        for name in (
            "undo/index_places",
            "undo/index_ids",
            "undo/analyze_reversal",
            "session/set_piecemeal",
        ):
            sql.run(cur, sql.load(name, **parts))

    by_halves(cur, range(1, rows + 1), attempt, refuse, prepare)
    sql.run(cur, "session/set_merge")


def _outcome(cur: Cursor, parts: dict[str, Composable], before: int) -> UndoCounts:
    done: dict[str, int] = dict(sql.rows(cur, sql.load("undo/sum_reversal", **parts)))
    refused = sql.rows(cur, sql.load("undo/list_refused", **parts))
    misses = sql.rows(cur, sql.load("undo/list_misses", **parts))
    counts = MergeCounts(
        inserted=done.get("deleted", 0),
        updated=done.get("updated", 0),
        reactivated=done.get("deactivated", 0),
        deactivated=done.get("reactivated", 0),
        deleted=done.get("inserted", 0),
    )
    rewritten = tuple(name for name, _ in misses)
    return UndoCounts(counts, tuple(Refused(*line) for line in refused), before, rewritten)
