"""Approval of held deactivations: which cars a run holds, and their deactivation.

A human approves what he saw. So the caller hands back the cars that it showed, and a car is
deactivated only where nobody wrote or saw it since. Only the newest merged run can be
approved, and only for a limited time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from carsync.columns import DEACTIVATED
from carsync.destination import change_log, conditions, privileges
from carsync.errors import ApprovalError
from carsync.model import Target
from carsync.postgres import connection, sql, sqlstate
from carsync.postgres.halving import by_halves
from carsync.postgres.sql import Composable, Cursor
from carsync.postgres.target import parts as target_parts
from carsync.postgres.wait import Connection
from carsync.state import changes, runs
from carsync.state.runs import Run

CHANGED = "was written or seen since"
KEPT = "is kept active by a trigger of the table"

_MERGED_AT = sql.identifier("r", "merged_at")
"""When the run that held the cars was merged, as the statements know it."""


class HeldCar(Struct, frozen=True):
    """A car whose deactivation a run held; `left_out` says why it stays, if it does."""

    id: str
    title: str | None
    left_out: str = ""


class Review(Struct, frozen=True):
    """The cars that a run holds now, by id.

    `approval` is the run's own, where it was approved before.
    """

    cars: tuple[HeldCar, ...] = ()
    approval: dict[str, Any] | None = None

    @property
    def to_approve(self) -> list[HeldCar]:
        """The cars that an approval deactivates."""
        return [car for car in self.cars if not car.left_out]

    @property
    def left_out(self) -> list[HeldCar]:
        """The cars that stay, each with its reason."""
        return [car for car in self.cars if car.left_out]


def review(conn: Connection, target: Target, source: str, run_id: int, within_h: float) -> Review:
    """List the cars that `run_id` holds; `conn` must hold the target's lock.

    Returns the cars, those that stay with their reasons.
    Raises `ApprovalError` where target and source have no such run, where it was not merged or
    held nothing, where a later run was merged, and where its merge is more than `within_h`
    hours ago.
    """
    run = _find(conn, target, source, run_id)
    if run.approval is not None:
        return Review(approval=run.approval)
    _refuse_outdated(conn, run, within_h)
    return Review(tuple(list_held(conn, run)))


def list_held(conn: Connection, run: Run, limit: int | None = None) -> list[HeldCar]:
    """List the cars that a run still holds by id, the first `limit` of them."""
    is_untouched = conditions.untouched_since(_MERGED_AT)
    key = {**run.target.key(run.source), "run_id": run.run_id, "limit": limit}
    with connection.transaction(conn, "listing held cars") as cur:
        parts = target_parts(cur, run.target)
        query = sql.load("deactivation/list_held", **parts, is_untouched=is_untouched)
        held = sql.rows(cur, query, key)
    return [HeldCar(record_id, title, reason or "") for record_id, title, reason in held]


def approve(
    conn: Connection,
    target: Target,
    source: str,
    run_id: int,
    within_h: float,
    record_ids: Collection[str],
    *,
    records: bool = True,
) -> Review:
    """Deactivate those of `record_ids` that may still go, and put the approval on record.

    `record_ids` are the cars that a `review` showed. `conn` must hold the target's lock.
    `records`: the changes are recorded with the run's other changes, if these are.
    Returns the cars shown: those deactivated are its `to_approve`.
    Raises what `review` raises; nothing is changed then.
    """
    now = review(conn, target, source, run_id, within_h)
    if now.approval is not None:
        return now
    asked = set(record_ids)
    shown = [car for car in now.cars if car.id in asked]
    with connection.transaction(conn, "approving held deactivations") as cur:
        privileges.check(target, privileges.describe(cur, target))
        records = records and change_log.origin(cur) == changes.origin_of(cur, run_id)
        query = sql.load(
            "deactivation/approve_held",
            **target_parts(cur, target),
            is_expected=conditions.expected(source, _MERGED_AT),
            **change_log.recording(cur, target, run_id, DEACTIVATED, records=records),
        )
        told = {car.id: car.left_out or CHANGED for car in shown}
        ids = [car.id for car in shown if not car.left_out]
        told |= _deactivate(cur, query, {**target.key(source), "run_id": run_id}, ids)
        gone = sum(not left_out for left_out in told.values())
        record(cur, run_id, gone, len(shown) - gone)
        which, counts = (run_id, target, source), {"deactivated": gone}
        change_log.end_batch(cur, *which, counts, records=records)
    return Review(tuple(replace(car, left_out=told[car.id]) for car in shown))


def _deactivate(
    cur: Cursor, query: Composable, key: dict[str, Any], ids: list[str]
) -> dict[str, str]:
    """Deactivate the cars, all but those that the table refuses; return why others stay.

    Of a car that is deactivated the text is empty. A car that was written since is not in it.
    """
    told: dict[str, str] = {}

    def attempt(places: range) -> None:
        some = {**key, "ids": ids[places.start : places.stop]}
        with connection.role_path(cur):
            written = sql.rows(cur, query, some)
        told.update((car, "" if is_gone else KEPT) for car, is_gone in written)

    def refuse(place: int, exc: Exception) -> None:
        told[ids[place]] = f"PostgreSQL refused it: {sqlstate.explain_refusal(exc)[1]}"

    sql.run(cur, "session/set_constraints")
    by_halves(cur, range(len(ids)), attempt, refuse)
    return told


def record(cur: Cursor, run_id: int, deactivated: int, left_out: int) -> None:
    """Put on record that the database's user approved the run, and what became of the cars."""
    counts = {"deactivated": deactivated, "left_out": left_out, "run_id": run_id}
    sql.run(cur, "deactivation/record_approval", counts)


def _find(conn: Connection, target: Target, source: str, run_id: int) -> Run:
    """Return the run; raise `ApprovalError` where it holds no cars of target and source."""
    run = runs.require_run(conn, target, source, run_id, ApprovalError)
    if run.counts is None:
        raise ApprovalError(
            f"run {run_id} was not merged, so there is nothing to approve",
            detail=_fate(run),
            hint="run `carsync sync` again",
        )
    if not run.counts.get("held"):
        problem = f"run {run_id} holds no cars, so there is nothing to approve"
        raise ApprovalError(problem, detail=_fate(run), hint=f"see `carsync runs show {run_id}`")
    return run


def _fate(run: Run) -> str:
    """Say how a run ended, in its own words where it has any."""
    told = run.summary or {}
    words = str(told.get("problem") or told.get("detail") or "")
    if run.state == "held" and words:
        return words
    return f"it is {run.state}: {words}" if words else f"it is {run.state}"


def _refuse_outdated(conn: Connection, run: Run, within_h: float) -> None:
    key = {"run_id": run.run_id}
    found = sql.fetch(conn, "looking for later runs", "deactivation/find_superseding_run", key)
    age_s, later_id, later_state = found[0]
    if later_id is not None:
        hint = f"look at the held cars of that run: `carsync approve {later_id}`"
        raise ApprovalError(
            f"run {run.run_id} can no longer be approved: run {later_id} has replaced it",
            detail=f"run {later_id} was merged after it and is {later_state}",
            hint=hint if later_state == "held" else "",
        )
    if age_s > within_h * 3600:
        raise ApprovalError(
            f"the held cars of run {run.run_id} can no longer be approved",
            detail=f"it was merged {age_s / 3600:,.1f} h ago; sync.deactivate.approve_within_h "
            f"is {within_h:g}",
            hint="run `carsync sync` again, then approve the held cars of that run",
        )
