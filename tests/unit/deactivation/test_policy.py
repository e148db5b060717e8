"""May absent cars be deactivated? Every rule of the design, and none by accident."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from carsync.config.sections import Deactivate
from carsync.deactivation.by_id import Verification
from carsync.deactivation.policy import (
    FORGOT_ALL,
    NO_PATH,
    TRUNCATED,
    ByIdAnswers,
    DeactivationPlan,
    Evidence,
    decide,
    probes_wanted,
)
from carsync.decision import Decision, Proof
from carsync.model import ProbeVerdict

GOOD = DeactivationPlan(candidates=10, active=1000, seen=990, rejected_without_id=0, duplicates=0)
RULES = Deactivate()


def plan(**changes: int) -> DeactivationPlan:
    return replace(GOOD, **changes)


def rules(**changes: object) -> Deactivate:
    return msgspec.structs.replace(RULES, **changes)


def judge(
    found: DeactivationPlan,
    reported: int | None,
    drift: Sequence[str],
    failed: int,
    given: Deactivate,
    **more: Any,
) -> Decision:
    return decide(Evidence(found, reported, tuple(drift), failed, **more), given)


def test_everything_adds_up_deactivates_without_further_proof() -> None:
    assert judge(GOOD, 990, (), 0, RULES).action == "deactivate"


def test_failed_pages_leave_deactivation_to_another_run() -> None:
    decision = judge(GOOD, 990, (), 1, RULES)
    assert decision.action == "skip"
    assert "1 page could not be read" in decision.reasons[0]


def test_disabled_never_deactivates() -> None:
    assert judge(GOOD, 990, (), 0, rules(enabled=False)).action == "skip"


def test_no_candidates_leave_nothing_to_judge() -> None:
    assert judge(plan(candidates=0), 990, (), 0, RULES).action == "skip"


@pytest.mark.parametrize(
    ("found", "reported", "drift", "word"),
    [
        (GOOD, 991, (), "the API reports 991"),
        (GOOD, 989, (), "the API reports 989"),
        (GOOD, None, (), "no total"),
        (GOOD, 990, ("the total moved from 990 to 991",), "moved"),
        (plan(duplicates=1), 990, (), "more than once"),
        (plan(rejected_without_id=1), 991, (), "no usable id"),
    ],
)
def test_any_doubt_asks_for_a_second_proof(
    found: DeactivationPlan, reported: int | None, drift: tuple[str, ...], word: str
) -> None:
    decision = judge(found, reported, drift, 0, RULES)
    assert decision.action == "prove"
    assert word in " ".join(decision.reasons)


def test_second_proof_none_accepts_doubts_and_still_names_them() -> None:
    decision = judge(GOOD, 991, (), 0, rules(second_proof="none"))
    assert decision.action == "deactivate"
    assert decision.reasons


@pytest.mark.parametrize(("seen", "action"), [(995, "prove"), (994, "hold")])
def test_too_little_seen_is_held(seen: int, action: str) -> None:
    assert judge(plan(seen=seen), 1000, (), 0, RULES).action == action


def test_too_little_seen_is_held_even_without_candidates() -> None:
    """A first load of half a feed is not a complete run, though nobody would vanish."""
    assert judge(plan(candidates=0, active=0, seen=500), 1000, (), 0, RULES).action == "hold"


@pytest.mark.parametrize(("candidates", "action"), [(100, "deactivate"), (101, "hold")])
def test_cap_on_the_share_of_active_cars(candidates: int, action: str) -> None:
    assert judge(plan(candidates=candidates), 990, (), 0, RULES).action == action


@pytest.mark.parametrize(("candidates", "action"), [(7, "deactivate"), (8, "hold")])
def test_cap_on_the_count(candidates: int, action: str) -> None:
    assert judge(plan(candidates=candidates), 990, (), 0, rules(max_count=7)).action == action


@given(st.integers(1, 100), st.integers(1, 50))
def test_exactly_the_share_passes_whatever_its_binary_fraction(percent: int, hundreds: int) -> None:
    """0.29 x 100 is less than 29 in floating point."""
    active, cap = 100 * hundreds, percent * hundreds
    share = rules(max_share=percent / 100, min_seen_share=percent / 100)
    at_cap = plan(active=active, candidates=cap, seen=cap)
    assert judge(at_cap, active, (), 0, share).action != "hold"
    over = plan(active=active, candidates=min(cap + 1, active), seen=cap)
    assert (judge(over, active, (), 0, share).action == "hold") is (percent < 100)
    if cap > 1:
        assert judge(plan(candidates=0, seen=cap - 1), active, (), 0, share).action == "hold"


@pytest.mark.parametrize(
    ("changes", "candidates", "active", "action"),
    [
        ({"max_count": 0}, 1, 1000, "hold"),
        ({"max_count": 0}, 0, 1000, "skip"),
        ({"max_share": 0}, 1, 1000, "hold"),
        ({"max_share": 0}, 0, 1000, "skip"),
        ({"max_share": 0}, 0, 0, "skip"),
        ({"max_share": 1}, 1000, 1000, "deactivate"),
        ({"max_share": 1, "max_count": 999}, 1000, 1000, "hold"),
        ({}, 0, 0, "skip"),
        ({}, 1, 3, "hold"),
        ({}, 1, 9, "hold"),
        ({}, 1, 10, "deactivate"),
        ({"max_share": 1, "max_count": 1}, 1, 3, "deactivate"),
        ({"max_share": 1, "max_count": 1}, 2, 3, "hold"),
    ],
)
def test_caps_at_their_ends_and_on_tiny_tables(
    changes: dict[str, float], candidates: int, active: int, action: str
) -> None:
    """A share is a share: of fewer than ten cars none may go unasked by the default."""
    found = plan(candidates=candidates, active=active)
    assert judge(found, 990, (), 0, rules(**changes)).action == action


def test_empty_answer_never_empties_a_table_that_has_no_cap() -> None:
    empty = plan(seen=0, candidates=3, active=3)
    for reported in (0, None):
        decision = judge(empty, reported, (), 0, rules(max_share=1))
        assert decision.action == "hold"
        assert "the feed lists no record" in decision.reasons[0]


def test_records_without_an_id_are_in_doubt_even_where_no_second_proof_is_wanted() -> None:
    found = plan(seen=989, rejected_without_id=1)
    assert judge(found, 990, (), 0, rules(second_proof="none")).action == "prove"


def test_cap_holds_even_where_each_car_could_be_proven() -> None:
    assert judge(plan(candidates=500, duplicates=3), 990, (), 0, RULES).action == "hold"


def test_empty_feed_never_empties_the_table() -> None:
    empty = plan(seen=0, candidates=1000)
    assert judge(empty, 0, (), 0, RULES).action == "hold"
    assert judge(empty, None, (), 0, RULES).action == "hold"


counts = st.integers(0, 2000)


@given(
    st.builds(DeactivationPlan, counts, counts, counts, counts, counts),
    st.none() | counts,
    st.lists(st.just("sign"), max_size=1),
    st.integers(0, 2),
    st.builds(rules, second_proof=st.sampled_from(["by_id", "next_run", "none"])),
)
def test_deactivation_without_proof_needs_all_the_evidence(
    found: DeactivationPlan,
    reported: int | None,
    drift: list[str],
    failed: int,
    given_rules: Deactivate,
) -> None:
    decision = judge(found, reported, drift, failed, given_rules)
    if decision.action == "deactivate":
        assert failed == 0
        assert 0 < found.candidates <= given_rules.max_share * found.active
        assert found.rejected_without_id == 0
        if given_rules.second_proof != "none":
            assert not drift
            assert found.duplicates == 0
            assert found.seen == reported
    if decision.action in {"prove", "hold"}:
        assert decision.reasons


def test_what_is_held_for_a_human_tells_the_signs_of_drift_too() -> None:
    """Some of the cars that he is asked to approve may just have slipped between pages."""
    decision = judge(plan(candidates=500), 990, ("the total moved",), 0, RULES)
    assert decision.action == "hold"
    assert decision.reasons[-1] == "the total moved"


# ── a feed whose end was not seen ────────────────────────────────────────────


@pytest.mark.parametrize("candidates", [0, 10, 500])
@pytest.mark.parametrize("reported", [990, 991, None])
def test_a_truncated_feed_is_held_whatever_it_adds_up_to(
    candidates: int, reported: int | None
) -> None:
    found = plan(candidates=candidates)
    decision = judge(found, reported, ("a sign",), 0, RULES, is_truncated=True)
    assert decision.action == "hold"
    assert decision.reasons[-1] == TRUNCATED
    assert set(judge(found, reported, ("a sign",), 0, RULES).reasons) < set(decision.reasons)


def test_a_truncated_feed_of_a_run_that_may_not_deactivate_is_skipped() -> None:
    assert judge(GOOD, 990, (), 1, RULES, is_truncated=True).action == "skip"
    assert judge(GOOD, 990, (), 0, rules(enabled=False), is_truncated=True).action == "skip"


# ── records without an id ────────────────────────────────────────────────────


def test_records_without_an_id_void_the_proof_by_a_second_run() -> None:
    """Any of them may be one of the candidates, this time as the last."""
    for second_proof in ("by_id", "next_run", "none"):
        nameless = plan(seen=989, rejected_without_id=1)
        decision = judge(nameless, 990, (), 0, rules(second_proof=second_proof))
        assert (decision.action, decision.proof.next_run) == ("prove", False)
    assert judge(GOOD, 991, (), 0, RULES).proof.next_run


# ── by id ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "reported", "has_path", "wanted"),
    [
        ({}, 990, True, 10_000),
        ({}, 991, True, 10_000),
        ({"max_probes": 7}, 990, True, 7),
        ({"max_probes": 0}, 990, True, 0),
        ({}, 990, False, 0),
        ({"second_proof": "next_run"}, 991, True, 0),
        ({"second_proof": "none"}, 991, True, 0),
        ({"max_count": 9}, 990, True, 10_000),
        ({"enabled": False}, 990, True, 0),
    ],
)
def test_candidates_are_asked_for_by_id_sign_or_no_sign(
    changes: dict[str, Any], reported: int, has_path: bool, wanted: int
) -> None:
    given = rules(**changes)
    decision = judge(GOOD, reported, (), 0, given)
    assert probes_wanted(decision, given, has_path=has_path) == wanted


def answers(
    verdicts: dict[str, ProbeVerdict], asked: int = 10, **more: Any
) -> dict[str, ByIdAnswers]:
    return {"answers": ByIdAnswers(Verification(verdicts, **more), asked)}


GONE = {str(n): ProbeVerdict.GONE for n in range(10)}


def test_only_cars_that_the_api_calls_gone_are_proven() -> None:
    verdicts = {"1": ProbeVerdict.GONE, "2": ProbeVerdict.ALIVE, "3": ProbeVerdict.GONE}
    decision = judge(GOOD, 990, (), 0, RULES, **answers(verdicts))
    assert decision.action == "prove"
    assert decision.proof == Proof(gone=["1", "3"], alive=["2"], next_run=False)
    assert decision.reasons == (
        "the API was asked by id for 10 cars that no page lists: 1 still in the feed, "
        "7 without a clear answer",
    )


def test_a_clear_answer_for_each_leaves_no_doubt() -> None:
    decision = judge(GOOD, 990, (), 0, RULES, **answers(GONE))
    assert (decision.action, decision.reasons) == ("prove", ())
    assert set(decision.proof.gone) == set(GONE)


def test_cars_that_were_not_asked_for_wait() -> None:
    decision = judge(plan(candidates=12), 990, (), 0, RULES, **answers(GONE))
    assert "was not asked by id for 2 more cars, which must wait" in decision.reasons[-1]
    assert "max_probes is 10" in decision.reasons[-1]


def test_answers_that_are_not_believed_prove_nothing_and_say_why() -> None:
    decision = judge(GOOD, 990, (), 0, RULES, **answers({}, objection="it lies"))
    assert (decision.action, decision.reasons) == ("prove", ("it lies",))
    assert decision.proof == Proof(gone=[], alive=[], next_run=False)


def test_an_api_without_by_id_requests_leaves_it_at_the_signs() -> None:
    no_path = answers({}, has_path=False)
    assert judge(GOOD, 990, (), 0, RULES, **no_path) == judge(GOOD, 990, (), 0, RULES)
    doubtful = judge(GOOD, 990, ("a sign",), 0, RULES, **no_path)
    assert (doubtful.action, doubtful.reasons) == ("prove", ("a sign", NO_PATH))
    assert doubtful.proof == Proof(next_run=True)
    nameless = plan(seen=989, rejected_without_id=1)
    assert not judge(nameless, 990, (), 0, RULES, **no_path).proof.next_run


def test_an_api_that_knew_cars_before_is_not_one_without_by_id_requests() -> None:
    forgot = ByIdAnswers(Verification(has_path=False), 10, answered_before=True)
    decision = judge(GOOD, 990, (), 0, RULES, answers=forgot)
    assert (decision.action, decision.reasons) == ("prove", (FORGOT_ALL,))
    assert decision.proof == Proof(gone=[], alive=[], next_run=False)


def test_answers_release_nothing_that_is_skipped() -> None:
    given = rules(enabled=False)
    assert judge(GOOD, 990, (), 0, given, **answers(GONE)) == judge(GOOD, 990, (), 0, given)


@pytest.mark.parametrize("alive", [0, 1, 10])
def test_cars_over_the_cap_that_are_alive_are_not_held_with_the_others(alive: int) -> None:
    """The run is held all the same: a feed that does not list them was read incompletely."""
    verdicts = GONE | dict.fromkeys(list(GONE)[:alive], ProbeVerdict.ALIVE)
    decision = judge(GOOD, 990, (), 0, rules(max_count=8), **answers(verdicts))
    assert decision.action == "hold"
    assert len(decision.proof.alive) == alive


@pytest.mark.parametrize(
    ("duplicates", "gone", "action"), [(6, 10, "prove"), (5, 10, "hold"), (6, 9, "hold")]
)
def test_records_listed_twice_are_no_shortfall_where_each_missing_car_is_gone(
    duplicates: int, gone: int, action: str
) -> None:
    verdicts = dict(list(GONE.items())[:gone])
    found = plan(seen=994, duplicates=duplicates)
    assert judge(found, 1000, (), 0, RULES, **answers(verdicts)).action == action


def test_a_total_one_too_high_is_no_shortfall_unless_all_must_be_seen() -> None:
    small = plan(candidates=1, active=11, seen=10)
    assert judge(small, 11, (), 0, RULES).action == "prove"
    assert judge(small, 12, (), 0, RULES).action == "hold"
    assert judge(small, 11, (), 0, rules(min_seen_share=1)).action == "hold"


@pytest.mark.parametrize("second_proof", ["by_id", "next_run", "none"])
def test_a_feed_that_may_be_cut_needs_a_proof_that_the_next_run_cannot_give(
    second_proof: str,
) -> None:
    decision = judge(GOOD, 990, (), 0, rules(second_proof=second_proof), cut="a cut")
    assert (decision.action, decision.proof.next_run) == ("prove", False)
    assert "a cut" in decision.reasons


# ── the cap that the merge holds again ───────────────────────────────────────


@given(st.integers(0, 2000), st.integers(0, 100), st.none() | st.integers(0, 200))
@example(100, 29, None)
def test_the_merge_may_deactivate_as_many_as_would_have_passed(
    active: int, percent: int, count: int | None
) -> None:
    given_rules = rules(max_share=percent / 100, max_count=count, second_proof="none")
    found = plan(active=active, candidates=min(1, active), seen=990)
    decision = judge(found, 990, (), 0, given_rules)
    if decision.action != "deactivate":
        return
    most = decision.max_deactivations
    assert 1 <= most <= active
    at_cap = judge(replace(found, candidates=most), 990, (), 0, given_rules)
    assert at_cap.action == "deactivate"
    if most < active:
        assert judge(replace(found, candidates=most + 1), 990, (), 0, given_rules).action == "hold"


def test_proofs_keep_the_cap() -> None:
    assert judge(GOOD, 990, (), 0, RULES).max_deactivations == 100
    assert judge(GOOD, 990, (), 0, RULES, **answers(GONE)).max_deactivations == 100
    assert judge(GOOD, 991, (), 0, rules(max_count=12)).max_deactivations == 12
    assert judge(GOOD, 990, (), 0, rules(max_count=9)).max_deactivations == 0, "held"


def test_an_empty_page_between_full_ones_holds_even_where_nobody_is_absent() -> None:
    complete = DeactivationPlan(0, 100, 100, 0, 0)
    decision = decide(Evidence(complete, None, holes=1), Deactivate())
    assert decision.action == "hold"
    assert decision.reasons == ("1 page is empty, and later ones are not",)


def test_an_open_end_holds_even_where_nobody_is_absent() -> None:
    complete = DeactivationPlan(0, 100, 100, 0, 0)
    decision = decide(Evidence(complete, 0, open_end="page 2 may hold more"), Deactivate())
    assert decision.action == "hold"
