"""May the cars that the feed no longer lists be deactivated? Pure; the rules are the design's.

A run that read every page is evidence of absence only as far as what it saw adds up
to what the API says it has. Anything less is held, or needs a second proof per car.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carsync.config.sections import Deactivate
from carsync.model import Decision


@dataclass(frozen=True, slots=True)
class DeactivationPlan:
    """What the staged pages would deactivate, in rows.

    `active` are the source's active rows in the table, `candidates` those of them that
    were not seen; `seen` counts distinct ids, rejected ones included; `duplicates` are
    staged rows beyond the first of an id.
    """

    candidates: int
    active: int
    seen: int
    rejected_without_id: int
    duplicates: int


def decide(
    plan: DeactivationPlan,
    reported_records: int | None,
    drift_signs: Sequence[str],
    failed_pages: int,
    rules: Deactivate,
) -> Decision:
    """Decide over the candidates of a run that has nothing left to fetch.

    `reported_records` is the total the API reported last (None: it reports none).
    `skip`: nothing to decide, or not this run's to decide; `hold`: the evidence is too
    thin or the cap is exceeded, an operator must look; `prove`: each car needs a second
    proof, with `second_proof: none` too where records have no id, for any of these may be
    one of the candidates; `deactivate`: go on.

    >>> decide(DeactivationPlan(3, 1000, 997, 0, 0), 997, (), 0, Deactivate()).action
    'deactivate'
    >>> decide(DeactivationPlan(3, 1000, 997, 0, 0), 998, (), 0, Deactivate()).action
    'prove'
    >>> decide(DeactivationPlan(500, 1000, 500, 0, 0), 1000, (), 0, Deactivate()).action
    'hold'
    """
    if not rules.enabled:
        return Decision("skip", ("sync.deactivate.enabled is false",))
    if failed_pages:
        return Decision("skip", (f"{failed_pages:,} pages could not be read",))
    against = (
        *_nothing_seen(plan),
        *_too_little_seen(plan, reported_records, rules),
        *_over_the_cap(plan, rules),
    )
    if against:
        # Who may approve must know that some of the cars may just have slipped.
        return Decision("hold", (*against, *drift_signs))
    doubts = _doubts(plan, reported_records, drift_signs)
    if not plan.candidates:
        return Decision("skip", doubts)
    if doubts and (rules.second_proof != "none" or plan.rejected_without_id):
        return Decision("prove", doubts)
    return Decision("deactivate", doubts)


def _nothing_seen(plan: DeactivationPlan) -> tuple[str, ...]:
    if plan.candidates and not plan.seen + plan.rejected_without_id:
        return ("the feed lists no record at all",)
    return ()


def _too_little_seen(
    plan: DeactivationPlan, reported_records: int | None, rules: Deactivate
) -> tuple[str, ...]:
    if not reported_records:
        return ()
    seen = plan.seen + plan.rejected_without_id
    # Dividing rounds to the very number that the configuration holds; multiplying may not.
    if seen / reported_records >= rules.min_seen_share:
        return ()
    return (
        f"only {seen:,} of the {reported_records:,} records that the API reports were seen "
        f"({seen / reported_records:.1%}; sync.deactivate.min_seen_share is "
        f"{rules.min_seen_share:.1%})",
    )


def _over_the_cap(plan: DeactivationPlan, rules: Deactivate) -> tuple[str, ...]:
    found = []
    if plan.candidates and plan.candidates / max(1, plan.active) > rules.max_share:
        found.append(
            f"{plan.candidates:,} of {plan.active:,} active cars would go; "
            f"sync.deactivate.max_share is {rules.max_share:.1%}"
        )
    if rules.max_count is not None and plan.candidates > rules.max_count:
        found.append(
            f"{plan.candidates:,} cars would go; sync.deactivate.max_count is {rules.max_count:,}"
        )
    return tuple(found)


def _doubts(
    plan: DeactivationPlan, reported_records: int | None, drift_signs: Sequence[str]
) -> tuple[str, ...]:
    """Say why a car that was not seen may be in the feed, having slipped between pages."""
    doubts = list(drift_signs)
    if plan.duplicates:
        doubts.append(f"{plan.duplicates:,} records were listed more than once")
    if plan.rejected_without_id:
        doubts.append(f"{plan.rejected_without_id:,} records have no usable id")
    if reported_records is None:
        doubts.append("the API reports no total")
    elif plan.seen + plan.rejected_without_id != reported_records:
        doubts.append(
            f"{plan.seen + plan.rejected_without_id:,} records were seen, "
            f"the API reports {reported_records:,}"
        )
    return tuple(doubts)
