"""A merge deactivates, or holds, the cars that the run did not see or that have a tombstone."""

from __future__ import annotations

from msgspec.structs import replace

from carsync.columns import DEACTIVATED
from carsync.destination.merge_work import MergeWork
from carsync.destination.refused_rows import RefusedRows
from carsync.model import MergeCounts
from carsync.postgres import sql


def settle_absent(
    work: MergeWork, planned: dict[str, int], counts: MergeCounts, refusals: RefusedRows
) -> MergeCounts:
    """Deactivate, or hold and remember, the cars that were not seen or have a tombstone.

    All are held where more are absent than were decided over: somebody else's rows, say.
    `planned` counts the cars of the delta by action.
    Returns `counts` with these cars.
    """
    removed = told = 0
    if work.tombstones is not None and (planned.get("removed") or planned.get("told")):
        own = (refusals, work.parts, work.recording)
        removed, told = work.tombstones.write(*own, has_triggers=work.has_triggers)
    decision = work.request.decision
    action, absent = decision.action, planned.get("absent", 0) + planned.get("sure", 0)
    if action in {"deactivate", "prove"} and absent > decision.max_deactivations:
        action = "hold"
        work.parameters["needs_proof"] = False
    if absent and action in {"deactivate", "prove"}:
        _deactivate(work, refusals)
    found = work.count() if absent or removed or planned.get("removed") else {}
    if decision.lists is not None and found.get("gone"):
        work.run("lists/forget_gone")
    is_of_all = work.request.is_of_all
    work.run("deactivation/forget_absences" if is_of_all else "deactivation/forget_seen")
    held = 0
    misses = is_of_all and action in {"prove", "hold"}
    if misses or planned.get("held"):
        work.parameters["recorded"] = ["absent", "sure", "held"] if misses else ["held"]
        held = work.run("deactivation/record_absences")
    return replace(
        counts,
        updated=counts.updated + told,
        deactivated=found.get("gone", 0),
        removed=removed,
        held=held,
        kept=counts.kept + found.get("kept", 0),
    )


def _deactivate(work: MergeWork, refusals: RefusedRows) -> None:
    """Deactivate the absent cars that may go.

    The table refuses some, or a trigger takes it back: these are kept.
    """
    is_going = sql.load("deactivation/going", is_expected=work.is_expected())
    parts = {**work.recording(DEACTIVATED), "is_going": is_going}
    refusals.write(
        lambda chosen: work.load("deactivation/deactivate_absent", **parts, is_chosen=chosen),
        work.parameters,
        refusals.keep,
    )
    if work.has_triggers:
        work.run("deactivation/keep_active", is_going=is_going)
