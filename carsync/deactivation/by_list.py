"""Which cars may go where the feed is read list by list? Pure; each list is judged on its own.

A list that could not be read says nothing of its cars. What the others do not hold any more may
have moved to it, so that their word alone is a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.sections import Deactivate
from carsync.deactivation.policy import Evidence, cap_objections, decide, most_deactivations
from carsync.decision import Decision, ListRank, ListRanks, Proof

MANY_CARS = 10
"""A list may lose as many cars at once, however few it has."""
MOST_OF_A_LIST = 0.5
"""A list that loses a larger share of its cars is held, whatever `max_share` allows."""
SHOWN_LISTS = 3
SHOWN_REASONS = 10


class ListEvidence(Struct, frozen=True):
    """What is known of one list that has nothing left to fetch."""

    name: str
    evidence: Evidence


class ListVerdicts(Struct, frozen=True):
    """The ranks of all lists, and why, in words for the operator."""

    ranks: ListRanks
    reasons: tuple[str, ...] = ()


def judge_lists(
    lists: Sequence[ListEvidence], rules: Deactivate, *, by_id: bool, cars_move: bool
) -> ListVerdicts:
    """Judge each list on its own.

    `by_id`: each candidate was asked for by id, wherever the list ends. `cars_move`: cars were
    found on another list than before, or may be, so that a car that is absent may be on a list
    that was not read whole.
    """
    each = [(known.name, *_judge(known.evidence, rules, by_id=by_id)) for known in lists]
    unread = [name for name, *_, is_whole in each if not is_whole]
    reasons: dict[str, list[str]] = {}
    ranks = []
    for known, (name, rank, why, is_whole) in zip(lists, each, strict=True):
        others = [other for other in unread if other != name]
        if others and is_whole:
            rank = max(rank, _rank_of_doubt(rules, by_id=by_id, cars_move=cars_move))
        ranks.append(max(rank, ListRank.PROVE) if by_id else rank)
        cut = () if is_whole or by_id else (known.evidence.cut,)  # a doubt for other lists' cars
        for reason in filter(None, dict.fromkeys((*why, *cut))):
            reasons.setdefault(reason, []).append(name)
    words = [f"{reason} ({shown(names)})" for reason, names in reasons.items()]
    if len(words) > SHOWN_REASONS:
        words[SHOWN_REASONS:] = [
            f"… and {formatting.plural(len(words) - SHOWN_REASONS, 'more reason')}"
        ]
    if unread and len(unread) < len(each):
        words.append(
            "a car that another list does not hold any more may have moved to one that was not "
            f"read whole ({shown(unread)})"
        )
    is_held = any(rank is ListRank.HELD and not is_whole for _, rank, _, is_whole in each)
    names = tuple(known.name for known in lists)
    found = ListRanks(names, tuple(ranks), max(ranks), is_held=is_held)
    return ListVerdicts(found, tuple(words))


def _judge(
    evidence: Evidence, rules: Deactivate, *, by_id: bool
) -> tuple[ListRank, tuple[str, ...], bool]:
    """Return a list's rank, why, and whether it was read whole as far as is known."""
    if evidence.failed_pages:
        return ListRank.UNREAD, (), False
    plan = evidence.plan
    may_lose = plan.candidates <= MANY_CARS and plan.seen > 0
    if by_id and not plan.seen and 0 < plan.candidates <= MANY_CARS:
        return ListRank.PROVE, ("the list is empty",), True
    share = 1.0 if may_lose else max(rules.max_share, MOST_OF_A_LIST)
    is_cut = bool(evidence.cut)
    if by_id:
        evidence = replace(evidence, cut="")
    decision = decide(evidence, replace(rules, max_share=share, max_count=None))
    match decision.action:
        case "hold":
            return ListRank.HELD, decision.reasons, False
        case "prove" if by_id or decision.proof.next_run:
            return ListRank.PROVE, decision.reasons, not is_cut
        case "prove":
            return ListRank.HELD, decision.reasons, not is_cut
        case _:
            return ListRank.SURE, decision.reasons if plan.candidates else (), not is_cut


def _rank_of_doubt(rules: Deactivate, *, by_id: bool, cars_move: bool) -> ListRank:
    """Return what becomes of cars that may be on another list, which was not read whole."""
    if by_id:
        return ListRank.PROVE
    if cars_move:
        return ListRank.HELD
    return ListRank.SURE if rules.second_proof == "none" else ListRank.PROVE


def decide_by_lists(
    verdicts: ListVerdicts,
    candidates: Mapping[int, int],
    active: int,
    rules: Deactivate,
    removed: int = 0,
) -> Decision:
    """Decide over the candidates, which are counted by rank, of all `active` cars.

    `removed` go by tombstones besides.
    """
    going = candidates.get(ListRank.SURE, 0) + candidates.get(ListRank.PROVE, 0)
    ranks, reasons = verdicts.ranks, verdicts.reasons
    if going and (against := cap_objections(going + removed, active, rules)):
        return Decision("hold", (*against, *reasons), lists=ranks)
    needs_proof = candidates.get(ListRank.PROVE, 0) > 0
    return Decision(
        "prove" if needs_proof else "deactivate",
        reasons,
        Proof(next_run=True),
        most_deactivations(active, rules) - removed,
        lists=ranks,
    )


def shown(names: Sequence[str]) -> str:
    """Name lists, briefly.

    >>> shown(["make=Kia", "make=BMW"]), shown(list("abcde"))
    ('make=Kia; make=BMW', 'a; b; c and 2 more lists')
    """
    named = "; ".join(names[:SHOWN_LISTS])
    more = len(names) - SHOWN_LISTS
    return named + (f" and {formatting.plural(more, 'more list')}" if more > 0 else "")
