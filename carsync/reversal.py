"""Taking back what one run changed: which rows still are as it left them, and doing it.

All of it happens in one transaction, under the target's lock. A row that anybody wrote
since is refused, and so is one that the table's own rules, or other tables, hold fast.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from carsync import access, changes, database, history, pgsql, sqlstate, translation
from carsync.database import Connection
from carsync.errors import RevertError
from carsync.history import Run
from carsync.model import MergeCounts, Target
from carsync.pgsql import Composable, Cursor

Action = Literal["inserted", "updated", "reactivated", "deactivated", "deleted"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""What a run does to a row; only a run that is itself a revert deletes."""

_STEPS: dict[str, set[Action]] = {
    "delete_inserted": {"inserted"},
    "restore_rows": {"updated", "reactivated", "deactivated"},
    "restore_deleted": {"deleted"},
}
"""In this order a unique value is free before the row that had it gets it back."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is not taken back, what the run did to it, and why it stays."""

    id: str
    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What taking back a run does: `counts` of rows by what the revert itself does to them.

    `before` rows were taken back earlier. `rewritten` columns are not as they were, though
    their rows were taken back: a trigger of the table writes them.
    """

    counts: MergeCounts
    refused: tuple[Refused, ...] = ()
    before: int = 0
    rewritten: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """The rows taken back."""
        done = self.counts
        return done.inserted + done.updated + done.reactivated + done.deactivated + done.deleted


def find(conn: Connection, target: Target, source: str, run_id: int) -> Run:
    """Return the run if its changes are on record here; raise `RevertError` where not."""
    run = history.require_run(conn, target, source, run_id, RevertError)
    if run.counts is None:
        raise RevertError(
            f"run {run_id} was not merged, so there is nothing to take back",
            detail=f"its state is {run.state}",
        )
    if run.changes_origin is None:
        raise RevertError(
            f"what run {run_id} changed was not recorded",
            detail="history.changes_keep_days was 0, or its carsync was an older one",
            hint="restore the table from a backup, or run `carsync sync`",
        )
    if run.changes_origin in changes.FORGOTTEN:
        raise RevertError(
            f"what run {run_id} changed is on record no more",
            detail=f"it was merged at {run.merged_at:%F %T} UTC, longer ago than "
            "history.changes_keep_days",
            hint="restore the table from a backup, or run `carsync sync`",
        )
    return run


def take_back(
    cur: Cursor, target: Target, run: Run, by: Run, actions: Collection[Action]
) -> Outcome:
    """Take back, inside the caller's transaction, what `run` did; `by` is the reverting run.

    Only its `actions`. Rows that cannot be taken back are told in the outcome; whether the
    others are to be, the caller decides: by its COMMIT. Raises `RevertError` where the
    record does not fit the table, and `DatabaseError`.
    """
    pgsql.run(cur, pgsql.load("set_merge"))
    pgsql.run(cur, pgsql.load("set_constraints"))
    access.check(target, access.describe(cur, target))
    _check_record(cur, run)
    parts = _compose(cur, target, run, by, actions)
    which = {"run_id": run.run_id, "actions": list(actions)}
    pgsql.run(cur, pgsql.load("lock_changed", target=parts["target"]), which)
    pgsql.run(cur, pgsql.load("lock_inserted", target=parts["target"]), which)
    pgsql.run(cur, pgsql.load("create_reversal", **parts))
    rows, before = pgsql.one(cur, pgsql.load("count_reversal", **parts))
    if rows and rows == before:
        (last,) = pgsql.one(cur, pgsql.load("find_reverting_run"), {"run_id": run.run_id})
        raise RevertError(
            f"run {run.run_id} is taken back already, by run {last}",
            hint=f"to undo that: `carsync revert {last}`",
        )
    _refuse_referenced(cur, target, parts)
    kinds = {kind for (kind,) in pgsql.rows(cur, pgsql.load("list_kinds", **parts))}
    for step, of in _STEPS.items():
        if kinds & of:
            _apply(cur, step, parts, rows)
    pgsql.run(cur, pgsql.load("refuse_undone", **parts))
    outcome = _outcome(cur, parts, before)
    pgsql.run(cur, pgsql.load("drop_reversal", **parts))
    return outcome


def _check_record(cur: Cursor, run: Run) -> None:
    """Raise `RevertError` where the lines were written elsewhere, or some are gone."""
    if run.changes_origin != changes.origin(cur):
        raise RevertError(
            f"what run {run.run_id} changed was recorded on another server, or in a table "
            "that is gone",
            detail="the database was restored from a dump or moved since, so which rows were "
            "written after the run cannot be told",
            hint="restore the table from a backup, or run `carsync sync`",
        )
    counts = run.counts or {}
    approval = (run.summary or {}).get("approval") or {}
    expected = sum(counts.get(name, 0) for name in ACTIONS) + approval.get("deactivated", 0)
    (found,) = pgsql.one(cur, pgsql.load("count_changes"), {"run_id": run.run_id})
    if found < expected:
        raise RevertError(
            f"of {expected:,} changes of run {run.run_id} only {found:,} are on record",
            hint="restore the table from a backup, or run `carsync sync`",
        )


def _compose(
    cur: Cursor, target: Target, run: Run, by: Run, actions: Collection[Action]
) -> dict[str, Composable]:
    """Compose what the statements share, for the columns that the run's changes speak of."""
    place = {"schema": target.schema, "table": target.table}
    which = {**place, "run_id": run.run_id, "actions": list(actions)}
    types = dict(pgsql.rows(cur, pgsql.load("list_change_columns"), which))
    gone = [name for name, type_ in types.items() if type_ is None]
    if gone:
        raise RevertError(
            f"{target} lacks columns that run {run.run_id} wrote: {', '.join(gone)}",
            detail="they were dropped or renamed since, or are computed now",
            hint="put them back, or take back only what does not need them: --only inserted",
        )
    stored = [name for name, *_ in pgsql.rows(cur, pgsql.load("list_recorded"), place)]
    old = {name: _cast('was."carsync before"', name, type_) for name, type_ in types.items()}
    # Cars deleted whole tell of columns that no UPDATE may write, too: identities GENERATED ALWAYS.
    which["actions"] = [action for action in actions if action in _STEPS["restore_rows"]]
    updated = pgsql.rows(cur, pgsql.load("list_change_columns"), which)
    written = [name for name, _ in updated if name != "id"]
    assignments = (
        pgsql.identifier(name)
        + pgsql.raw(' = CASE WHEN was."carsync before" ? ')
        + pgsql.literal(name)
        + pgsql.raw(" THEN ")
        + old[name]
        + pgsql.raw(" ELSE ")
        + pgsql.identifier("t", name)
        + pgsql.raw(" END")
        for name in written
    )
    return {
        **changes.recording(cur, target, by.run_id, written or ["is_active"], records=True),
        "target": pgsql.table(target),
        "reversal": pgsql.identifier("carsync", f"reversal_{by.run_id:d}"),
        "places": pgsql.identifier(f"reversal_{by.run_id:d}_places"),
        "ids": pgsql.identifier(f"reversal_{by.run_id:d}_ids"),
        "schema": pgsql.literal(target.schema),
        "table": pgsql.literal(target.table),
        "reverted": pgsql.literal(run.run_id),
        "actions": pgsql.literal(list(actions)) + pgsql.raw("::text[]"),
        "told": changes.texts_of("t", types),
        "row": changes.texts_of("t", stored),
        "assignments": pgsql.comma_separated(assignments),
        "columns": pgsql.identifiers(types),
        "values": pgsql.comma_separated(
            _cast("v.before", name, type_) for name, type_ in types.items()
        ),
    }


def _cast(before: str, name: str, type_: str | None) -> Composable:
    """Compose the old value of a column, read back from its text."""
    return (
        pgsql.raw(f"({before} ->> ")
        + pgsql.literal(name)
        + pgsql.raw(")::")
        + pgsql.expression(type_ or "text")
    )


def _refuse_referenced(cur: Cursor, target: Target, parts: dict[str, Composable]) -> None:
    place = {"schema": target.schema, "table": target.table}
    referrers = pgsql.rows(cur, pgsql.load("list_referrers"), place)
    for schema, table, columns, referred, is_readable, takes_along in referrers:
        words = f"{schema}.{table}"
        if not is_readable:  # where it takes nothing along, PostgreSQL itself refuses
            if takes_along:
                reason = f"may be referred to by {words}, which this role may not read"
                query = pgsql.load("refuse_inserted", **parts)
                pgsql.run(cur, query, {"reason": reason})
            continue
        pairs = [
            pgsql.identifier("r", column) + pgsql.raw(" = ") + pgsql.identifier("t", other)
            for column, other in zip(columns, referred, strict=True)
        ]
        query = pgsql.load(
            "refuse_referenced",
            **{
                **parts,
                "referrer": pgsql.identifier(schema, table),
                "words": pgsql.literal(words),
                "pairs": _all_of(pairs),
            },
        )
        pgsql.run(cur, query)


def _all_of(tests: Sequence[Composable]) -> Composable:
    whole: Composable = tests[0]
    for test in tests[1:]:
        whole = whole + pgsql.raw(" AND ") + test
    return whole


def _apply(cur: Cursor, step: str, parts: dict[str, Composable], rows: int) -> None:
    """Take back all rows, or all but those that the table itself refuses."""
    # Composed once: in small parts it takes longer than the server does.
    parts = {**parts, "step": pgsql.raw(pgsql.load(step, **parts).as_string(cur))}
    if not _try(cur, parts, 1, rows + 1):
        for name in ("index_places", "index_ids", "analyze_reversal", "set_piecemeal"):
            pgsql.run(cur, pgsql.load(name, **parts))
        _halve(cur, parts, 1, rows + 1)
        pgsql.run(cur, pgsql.load("set_merge"))


def _halve(cur: Cursor, parts: dict[str, Composable], first: int, end: int) -> None:
    """Take back what can be of the rows from place `first` up to `end`, which are refused
    together."""
    if end - first == 1:
        return
    middle = (first + end) // 2
    for start, stop in ((first, middle), (middle, end)):
        if not _try(cur, parts, start, stop):
            _halve(cur, parts, start, stop)


def _try(cur: Cursor, parts: dict[str, Composable], first: int, end: int) -> bool:
    """Take back the rows from place `first` up to `end`; False where the table refuses one.

    Where it is the only one, the refusal is noted.
    """
    try:
        with database.savepoint(cur):
            pgsql.run(cur, parts["step"], {"first": first, "end": end})
    except translation.REFUSED as exc:
        if end - first == 1:
            _, said = sqlstate.explain_refusal(exc)
            query = pgsql.load("refuse_change", **parts)
            pgsql.run(cur, query, {"place": first, "reason": f"PostgreSQL refused: {said}"})
        return False
    return True


def _outcome(cur: Cursor, parts: dict[str, Composable], before: int) -> Outcome:
    done: dict[str, int] = dict(pgsql.rows(cur, pgsql.load("sum_reversal", **parts)))
    refused = pgsql.rows(cur, pgsql.load("list_refused", **parts))
    misses = pgsql.rows(cur, pgsql.load("list_misses", **parts))
    counts = MergeCounts(
        inserted=done.get("deleted", 0),
        updated=done.get("updated", 0),
        reactivated=done.get("deactivated", 0),
        deactivated=done.get("reactivated", 0),
        deleted=done.get("inserted", 0),
    )
    return Outcome(
        counts,
        tuple(Refused(*line) for line in refused),
        before,
        tuple(name for name, _ in misses),
    )
