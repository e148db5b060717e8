"""`carsync approve`, `revert` and `rejects` as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from carsync.deactivation.approval import HeldCar, Review
from carsync.destination.plausibility import ColumnForecast, Example
from carsync.destination.undo import Refused, UndoCounts
from carsync.errors import CarsyncError
from carsync.model import MergeCounts, RunState
from carsync.reporting.answers.encoding import Failure
from carsync.run.edits.ask_again import AskedAgain
from carsync.run.edits.refresh import Refreshed
from carsync.run.edits.refreshed_car import RefreshedCar
from carsync.run.edits.replay import Replayed
from carsync.run.edits.revert import NEXT_SYNC
from carsync.run.held_run import HeldRun
from carsync.state.rejects import ReasonCount, StoredReject


class Car(Struct, frozen=True):
    """A car that an approval deactivates."""

    id: str
    title: str | None


class LeftOut(Struct, frozen=True):
    """A car that stays active, and why."""

    id: str
    reason: str


class ByIdAnswers(Struct, frozen=True):
    """What the API, asked by id, said of the held cars; in numbers of cars."""

    alive: int
    gone: int
    unclear: int
    objection: str


class ApproveAnswer(Struct, frozen=True, kw_only=True):
    """The held deactivations of a run, and what an approval did."""

    run_id: int
    held: int
    cars: list[Car]
    left_out: list[LeftOut]
    deactivated: int
    approval: dict[str, Any] | None
    already_approved: dict[str, Any] | None
    by_id: ByIdAnswers | None


class ColumnChange(ColumnForecast, frozen=True):
    """What the merge of a held run would do to one column."""

    examples: Sequence[Example] = ()


class HeldForecast(Struct, frozen=True, kw_only=True):
    """What the merge of a held run would change, in numbers of cars."""

    ids: int
    known: int
    changed: int
    active: int
    absent: int
    columns: list[ColumnChange]


class ApproveRunAnswer(Struct, frozen=True, kw_only=True):
    """A run that was held whole, and what its approval merged."""

    run_id: int
    forecast: HeldForecast
    counts: MergeCounts | None
    merged: MergeCounts | None


class RevertAnswer(Struct, frozen=True, kw_only=True):
    """What taking a run back means, or did."""

    run_id: int
    dry_run: bool
    revert_run_id: int | None
    reverted_by: int | None
    counts: MergeCounts
    refused: Sequence[Refused]
    taken_back_before: int
    rewritten_by_triggers: Sequence[str]
    hint: str
    error: Failure | UnsetType = UNSET


class RejectsAnswer(Struct, frozen=True, kw_only=True):
    """The open rejects."""

    open_rejects: int
    open: int
    reject_reasons: Sequence[ReasonCount]
    reasons: Sequence[ReasonCount]
    rejects: Sequence[StoredReject]


class NotReplayed(Struct, frozen=True):
    """Why rejects cannot be replayed, and how many."""

    reason: str
    count: int


class ReplayAnswer(Struct, frozen=True, kw_only=True):
    """What a replay of rejects found, and did."""

    run_id: int
    open_rejects: int
    rejects: int
    mapped: int
    rejected: int
    left_out: list[NotReplayed]
    replay_run_id: int | None
    refused: int
    counts: MergeCounts | None


class RefreshAnswer(Struct, frozen=True, kw_only=True):
    """What the API said of single cars, and what became of them."""

    run_id: int | None = None
    state: RunState = "complete"
    exit_code: int = 0
    dry_run: bool = False
    refreshed: Sequence[RefreshedCar] = ()
    counts: MergeCounts | None = None
    attempts: int = 0
    duration_s: float = 0.0
    notes: Sequence[str] = ()
    problem: str = ""
    detail: str = ""
    hint: str = ""


def tell_approval(
    run_id: int, found: Review, done: Review | None, asked: AskedAgain | None
) -> ApproveAnswer:
    """Return what a run held and what became of it; `done` is None where nothing was done."""
    left_out: list[HeldCar] = [*found.left_out, *(done.left_out if done else [])]
    approval = found.approval or (done.approval if done else None)
    by_id = None
    if asked is not None:
        by_id = ByIdAnswers(len(asked.alive), asked.gone, asked.unclear, asked.objection)
    return ApproveAnswer(
        run_id=run_id,
        held=len(found.cars),
        cars=[Car(car.id, car.title) for car in found.to_approve],
        left_out=[LeftOut(car.id, car.left_out) for car in left_out],
        deactivated=len(done.to_approve) if done else 0,
        approval=approval,
        already_approved=approval,
        by_id=by_id,
    )


def tell_held_run(held: HeldRun, counts: MergeCounts | None) -> ApproveRunAnswer:
    """Return what a run that was held whole would change; `counts` of the merge, if it was."""
    columns = [
        ColumnChange(**asdict(column), examples=held.examples[column.name])
        for column in held.forecast.columns
        if column.name in held.examples
    ]
    told = asdict(held.forecast) | {"columns": columns}
    forecast = HeldForecast(**{name: told[name] for name in HeldForecast.__struct_fields__})
    run_id = held.run.run_id
    return ApproveRunAnswer(run_id=run_id, forecast=forecast, counts=counts, merged=counts)


def tell_revert(
    run_id: int, by: int | None, found: UndoCounts, dry_run: bool, error: CarsyncError | None
) -> RevertAnswer:
    """Return what was taken back, by the run `by`; `error` says why nothing was."""
    return RevertAnswer(
        run_id=run_id,
        dry_run=dry_run,
        revert_run_id=by,
        reverted_by=by,
        counts=found.counts,
        refused=found.refused,
        taken_back_before=found.before,
        rewritten_by_triggers=found.rewritten,
        hint=NEXT_SYNC if by is not None else "",
        error=_failure(error) if error else UNSET,
    )


def tell_rejects(reasons: Sequence[ReasonCount], found: Sequence[StoredReject]) -> RejectsAnswer:
    """Return the open rejects that were `found`; the `reasons` count all of them."""
    total = sum(reason.count for reason in reasons)
    return RejectsAnswer(
        open_rejects=total, open=total, reject_reasons=reasons, reasons=reasons, rejects=found
    )


def tell_replay(done: Replayed) -> ReplayAnswer:
    """Return what a replay found, and did."""
    outlook = done.outlook
    return ReplayAnswer(
        run_id=outlook.run_id,
        open_rejects=outlook.rejects,
        rejects=outlook.rejects,
        mapped=outlook.mapped,
        rejected=outlook.rejected,
        left_out=[NotReplayed(why, number) for why, number in outlook.left_out],
        replay_run_id=done.replay_run_id,
        refused=done.refused,
        counts=done.counts,
    )


def tell_refresh(done: Refreshed) -> RefreshAnswer:
    """Return what became of the cars of a refresh."""
    report = done.report
    names = ("run_id", "state", "exit_code", "dry_run", "counts", "duration_s", "notes")
    words = {name: getattr(report, name) for name in (*names, "problem", "detail", "hint")}
    return RefreshAnswer(**words, refreshed=done.cars, attempts=report.figures.attempts)


def _failure(exc: CarsyncError) -> Failure:
    return Failure(exc.problem, exc.detail, exc.hint, int(exc.exit_code))
