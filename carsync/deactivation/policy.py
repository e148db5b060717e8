"""May the cars that the feed no longer lists be deactivated? Pure; the rules are the design's.

A run that read every page is evidence of absence only as far as what it saw adds up
to what the API says it has. Anything less is held, or needs a second proof per car.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.sections import Deactivate
from carsync.deactivation.by_id import Verification
from carsync.decision import Decision, Proof
from carsync.model import ProbeVerdict

FORGOT_ALL = "the API answers 404 by id for every car, but knew cars by id in earlier runs"
NO_PATH = "the API does not answer by-id requests (if it has no such path, set api.record: null)"
TRUNCATED = "the feed has more pages than api.pagination.max_pages: its end was not read"


class DeactivationPlan(Struct, frozen=True):
    """What the staged pages would deactivate, in rows.

    `active` are the source's active rows in the table, `candidates` those of them that
    were not seen. `seen` counts distinct ids, rejected ones included. `duplicates` are
    staged rows beyond the first of an id. `removed` are active rows that go by tombstones besides.
    `counted` are the staged rows and the distinct ids among them.
    """

    candidates: int
    active: int
    seen: int
    rejected_without_id: int
    duplicates: int
    removed: int = 0
    counted: tuple[int, int] | None = None


class ByIdAnswers(Struct, frozen=True):
    """What the API said by id of the `asked` candidates.

    `answered_before`: it knew cars by id in an earlier run. `limited_by` says why it was not asked
    for more; empty: because of `sync.deactivate.max_probes`.
    """

    verification: Verification
    asked: int
    answered_before: bool = False
    limited_by: str = ""


class Evidence(Struct, frozen=True):
    """What is known of a run that has nothing left to fetch.

    `reported_records` is the total that the API reported last; None: it reports none.
    `drift_signs` say in words how records moved between pages. `failed_pages` counts pages
    that were given up. `is_truncated`: the feed went on where reading had to stop. `cut` says
    in words why the same tail may be missing every night; empty where it may not. `open_end`
    says why the feed may go on behind its last page; empty where it may not. `holes` counts
    empty pages between full ones. `answers` is None before the candidates are asked for by id.
    """

    plan: DeactivationPlan
    reported_records: int | None
    drift_signs: tuple[str, ...] = ()
    failed_pages: int = 0
    is_truncated: bool = False
    cut: str = ""
    holes: int = 0
    open_end: str = ""
    answers: ByIdAnswers | None = None


def decide(evidence: Evidence, rules: Deactivate) -> Decision:
    """Decide over the candidates of a run.

    `skip`: there is nothing to decide, or this run may not. `hold`: the evidence is too thin
    or the cap is exceeded, so an operator must look. `prove`: each car needs a second proof.
    Where records have no id `second_proof: none` needs one too, for any of these records may
    be a candidate's. `deactivate`: all candidates may go.

    >>> decide(Evidence(DeactivationPlan(3, 1000, 997, 0, 0), 997), Deactivate()).action
    'deactivate'
    >>> decide(Evidence(DeactivationPlan(3, 1000, 997, 0, 0), 998), Deactivate()).action
    'prove'
    >>> decide(Evidence(DeactivationPlan(500, 1000, 500, 0, 0), 1000), Deactivate()).action
    'hold'
    """
    if not rules.enabled:
        return Decision("skip", ("sync.deactivate.enabled is false",))
    if evidence.failed_pages:
        failed = formatting.plural(evidence.failed_pages, "page")
        return Decision("skip", (f"{failed} could not be read",))
    if evidence.answers is not None and evidence.answers.verification.has_path:
        evidence = replace(evidence, cut="")  # each car was asked for, wherever the feed ends
    decision = replace(_decide_by_counts(evidence, rules), expected=_expected(evidence))
    if evidence.answers is None or decision.action == "skip":
        return decision
    return decide_by_answers(decision, evidence.plan.candidates, evidence.answers)


def _expected(evidence: Evidence) -> int:
    """Return how many cars the feed has, as far as is known."""
    plan = evidence.plan
    alive = _count(evidence, ProbeVerdict.ALIVE)
    return max(evidence.reported_records or 0, plan.seen + plan.rejected_without_id + alive)


def probes_wanted(decision: Decision, rules: Deactivate, *, has_path: bool) -> int:
    """Return how many candidates may be asked for by id; `has_path`: the API may answer.

    No sign of drift is needed: where as many cars come as go while the pages are read, cars
    slip between pages and all totals add up.
    """
    asks = rules.second_proof == "by_id" and has_path and decision.action != "skip"
    return rules.max_probes if asks else 0


def _decide_by_counts(evidence: Evidence, rules: Deactivate) -> Decision:
    plan = evidence.plan
    doubts = _doubts(evidence)
    against = _objections(evidence, rules)
    if against or evidence.is_truncated:
        # Who may approve must know that some of the cars may just have slipped.
        reasons = (*against, *evidence.drift_signs) if against else doubts
        return Decision("hold", (*reasons, TRUNCATED) if evidence.is_truncated else reasons)
    if not plan.candidates:
        return Decision("skip", doubts)
    is_blind = plan.rejected_without_id or evidence.cut
    needs_proof = doubts and (rules.second_proof != "none" or is_blind)
    return Decision(
        "prove" if needs_proof else "deactivate",
        doubts,
        Proof(next_run=not is_blind),
        most_deactivations(plan.active, rules) - plan.removed,
    )


def _objections(evidence: Evidence, rules: Deactivate) -> tuple[str, ...]:
    """Say why no candidate may go: too little was seen, or too many would go.

    Cars that the API, asked by id, called alive count too: a feed that does not list so many of
    them was read incompletely.
    """
    plan, reported = evidence.plan, evidence.reported_records
    seen = plan.seen + plan.rejected_without_id
    candidates = plan.candidates
    found = []
    if plan.candidates and not seen:
        found.append("the feed lists no record")
    if evidence.holes:
        pages = formatting.plural(evidence.holes, "page", "is", "are")
        found.append(f"{pages} empty, and later ones are not")
    if evidence.open_end:
        found.append(evidence.open_end)
    if reported and _too_little_seen(evidence, seen, reported, rules.min_seen_share):
        share, least = formatting.shares(seen / reported, rules.min_seen_share)
        found.append(
            f"the API reports {formatting.plural(reported, 'record')}, and {seen:,} of them were "
            f"seen ({share}), less than sync.deactivate.min_seen_share ({least})"
        )
    if not candidates:
        return tuple(found)
    return (*found, *cap_objections(candidates + plan.removed, plan.active, rules))


def cap_objections(candidates: int, active: int, rules: Deactivate) -> tuple[str, ...]:
    """Say why so many of the active cars may not go at once; empty where they may."""
    found = []
    if _is_over_the_share(candidates, active, rules):
        share, most = formatting.shares(candidates / max(1, active), rules.max_share)
        found.append(
            f"{formatting.part(candidates, active, 'active car')} would be deactivated "
            f"({share}), more than sync.deactivate.max_share ({most})"
        )
    if rules.max_count is not None and candidates > rules.max_count:
        found.append(
            f"{formatting.plural(candidates, 'car')} would be deactivated, more than "
            f"sync.deactivate.max_count ({rules.max_count:,})"
        )
    return tuple(found)


def _too_little_seen(evidence: Evidence, seen: int, reported: int, least: float) -> bool:
    # Dividing rounds to the very number that the configuration holds; multiplying may not.
    if seen / reported >= least or (seen + 1 == reported and least < 1):
        return False  # a single record is no share
    plan = evidence.plan
    all_read = seen + plan.duplicates >= reported
    # Some were listed twice, and each car that was not is gone.
    return not (all_read and plan.candidates == _count(evidence, ProbeVerdict.GONE) > 0)


def _count(evidence: Evidence, verdict: ProbeVerdict) -> int:
    """Count the candidates that got this verdict by id."""
    if evidence.answers is None:
        return 0
    return sum(found is verdict for found in evidence.answers.verification.verdicts.values())


def _is_over_the_share(candidates: int, active: int, rules: Deactivate) -> bool:
    return candidates / max(1, active) > rules.max_share


def most_deactivations(active: int, rules: Deactivate) -> int:
    """Return how many of the active cars may go at once."""
    most = min(active, int(active * rules.max_share) + 1)
    while _is_over_the_share(most, active, rules):
        most -= 1
    return most if rules.max_count is None else min(most, rules.max_count)


def _doubts(evidence: Evidence) -> tuple[str, ...]:
    """Say why a car that was not seen may be in the feed, having slipped between pages."""
    plan, reported = evidence.plan, evidence.reported_records
    seen = plan.seen + plan.rejected_without_id
    doubts = list(evidence.drift_signs)
    if evidence.cut and plan.candidates:
        doubts.append(evidence.cut)
    if plan.duplicates:
        repeated = formatting.plural(plan.duplicates, "record", "was", "were")
        doubts.append(f"{repeated} listed more than once")
    if plan.rejected_without_id:
        blind = formatting.plural(plan.rejected_without_id, "record", "has", "have")
        doubts.append(f"{blind} no usable id")
    if reported is None:
        doubts.append("the API reports no total")
    elif seen != reported:
        found = formatting.plural(seen, "record", "was", "were")
        doubts.append(f"{found} seen, but the API reports {reported:,}")
    return tuple(doubts)


def decide_by_answers(decision: Decision, candidates: int, answers: ByIdAnswers) -> Decision:
    """Let the API's own verdict on each car decide, unless the API has no by-id requests.

    An API that answers 404 for every control sample has none, or is not to be believed: where
    it knew cars in an earlier run.
    """
    verification = answers.verification
    if not verification.has_path:
        if not answers.answered_before:
            if decision.action != "prove":
                return decision
            return replace(decision, reasons=(*decision.reasons, NO_PATH))
        verification = Verification(objection=FORGOT_ALL)
    found = verification.verdicts.items()
    gone = [i for i, verdict in found if verdict is ProbeVerdict.GONE]
    alive = [i for i, verdict in found if verdict is ProbeVerdict.ALIVE]
    proof = Proof(gone=gone, alive=alive, next_run=False)
    reasons = (
        *decision.reasons,
        *_doubts_by_id(replace(answers, verification=verification), candidates),
    )
    action = "hold" if decision.action == "hold" else "prove"
    return replace(decision, action=action, reasons=reasons, proof=proof)


def _doubts_by_id(answers: ByIdAnswers, candidates: int) -> list[str]:
    """Say what by-id requests leave in doubt; nothing where each candidate is gone."""
    verification, asked = answers.verification, answers.asked
    doubts = [verification.objection] if verification.objection else []
    alive = sum(found is ProbeVerdict.ALIVE for found in verification.verdicts.values())
    silent = asked - len(verification.verdicts)
    if not doubts and (alive or silent):
        doubts.append(
            f"the API was asked by id for {formatting.plural(asked, 'car')} that no page lists: "
            f"{alive:,} still in the feed, {silent:,} without a clear answer"
        )
    if candidates > asked:
        waiting = formatting.plural(candidates - asked, "more car")
        doubts.append(
            f"the API was not asked by id for {waiting}, which must wait for the next run; "
            f"{answers.limited_by or f'sync.deactivate.max_probes is {asked:,}'}"
        )
    return doubts
