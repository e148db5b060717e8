"""Each list is judged on its own; what one of them leaves in doubt binds the others' cars."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from carsync.config.sections import Deactivate
from carsync.deactivation.by_list import ListEvidence, ListVerdicts, decide_by_lists, judge_lists
from carsync.deactivation.policy import DeactivationPlan, Evidence
from carsync.decision import ListRank

SURE, PROVE, HELD, UNREAD = ListRank
Proof = Literal["by_id", "next_run", "none"]


def known(name: str, candidates: int = 1, seen: int = 99, **more: Any) -> ListEvidence:
    """Give a list of a hundred cars, of which one is absent, and which adds up."""
    plan = DeactivationPlan(candidates, candidates + seen, seen, 0, 0)
    return ListEvidence(name, Evidence(plan, more.pop("reported", seen), **more))


def judge(
    *lists: ListEvidence, proof: Proof = "next_run", by_id: bool = False, cars_move: bool = False
) -> ListVerdicts:
    return judge_lists(lists, Deactivate(second_proof=proof), by_id=by_id, cars_move=cars_move)


def test_lists_that_add_up_are_sure_of_their_cars() -> None:
    found = judge(known("a"), known("b"))
    assert found.ranks.ranks == (SURE, SURE)
    assert found.ranks.unknown is SURE
    assert found.reasons == ()


@pytest.mark.parametrize(
    ("proof", "by_id", "cars_move", "rank"),
    [
        ("next_run", False, False, PROVE),
        ("next_run", False, True, HELD),
        ("none", False, False, SURE),
        ("none", False, True, HELD),
        ("by_id", True, True, PROVE),
    ],
)
def test_beside_a_list_that_failed_the_others_are_in_doubt(
    proof: Proof, by_id: bool, cars_move: bool, rank: ListRank
) -> None:
    lists = known("a"), known("b", failed_pages=1)
    found = judge(*lists, proof=proof, by_id=by_id, cars_move=cars_move)
    assert found.ranks.ranks == (rank, UNREAD)
    assert found.ranks.unknown is UNREAD
    assert found.ranks.read == (("a",) if rank <= PROVE else ())
    assert "may have moved to one that was not read whole (b)" in found.reasons[-1]


def test_a_list_with_a_depth_cap_is_named_and_alone_is_held() -> None:
    cap = "the reported total is a round 2,000: the feed may be cut there"
    found = judge(known("make=Kia", cut=cap), known("make=BMW"))
    assert found.ranks.ranks == (HELD, PROVE)
    assert f"{cap} (make=Kia)" in found.reasons
    by_id = judge(known("make=Kia", cut=cap), known("make=BMW"), by_id=True)
    assert by_id.ranks.ranks == (PROVE, PROVE)
    assert judge(known("a", 0, cut=cap), known("b")).reasons[0] == f"{cap} (a)", "b's cars wait"


def test_a_truncated_list_holds_the_run_even_where_no_car_is_absent() -> None:
    found = judge(known("a", 0, is_truncated=True), known("b"))
    assert found.ranks.is_held
    assert found.ranks.ranks == (HELD, PROVE)
    assert decide_by_lists(found, {}, 200, Deactivate()).is_held


@pytest.mark.parametrize(
    ("absent", "seen", "by_id", "rank"),
    [
        (10, 2, False, SURE),
        (11, 2, False, HELD),
        (60, 40, True, HELD),
        (3, 0, False, HELD),
        (3, 0, True, PROVE),
        (11, 0, True, HELD),
    ],
)
def test_a_short_list_may_lose_some_cars_and_no_list_most_of_many(
    absent: int, seen: int, by_id: bool, rank: ListRank
) -> None:
    assert judge(known("a", absent, seen), by_id=by_id).ranks.ranks == (rank,)


def test_the_caps_are_of_the_cars_that_may_go_among_all() -> None:
    ranks = judge(known("a"), known("b")).ranks
    verdicts = ListVerdicts(ranks)
    rules = Deactivate(max_share=0.1)
    assert decide_by_lists(verdicts, {SURE: 10, HELD: 50, UNREAD: 50}, 100, rules).action == (
        "deactivate"
    )
    assert decide_by_lists(verdicts, {SURE: 5, PROVE: 5}, 100, rules).action == "prove"
    assert decide_by_lists(verdicts, {SURE: 6, PROVE: 5}, 100, rules).action == "hold"


def test_a_reason_of_many_lists_is_told_once() -> None:
    lists = [known(f"dealer={n}", reported=None) for n in range(200)]
    (reason,) = judge(*lists).reasons
    assert reason == ("the API reports no total (dealer=0; dealer=1; dealer=2 and 197 more lists)")
