"""May absent cars be deactivated? Every rule of the design, and none by accident."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.sections import Deactivate
from carsync.deactivation.policy import DeactivationPlan, decide

GOOD = DeactivationPlan(candidates=10, active=1000, seen=990, rejected_without_id=0, duplicates=0)
RULES = Deactivate()


def plan(**changes: int) -> DeactivationPlan:
    values = {name: getattr(GOOD, name) for name in DeactivationPlan.__slots__}
    return DeactivationPlan(**{**values, **changes})


def rules(**changes: object) -> Deactivate:
    return msgspec.structs.replace(RULES, **changes)


def test_everything_adds_up_deactivates_without_further_proof() -> None:
    assert decide(GOOD, 990, (), 0, RULES).action == "deactivate"


def test_failed_pages_leave_deactivation_to_another_run() -> None:
    decision = decide(GOOD, 990, (), 1, RULES)
    assert decision.action == "skip"
    assert "1 pages" in decision.reasons[0]


def test_disabled_never_deactivates() -> None:
    assert decide(GOOD, 990, (), 0, rules(enabled=False)).action == "skip"


def test_no_candidates_leave_nothing_to_decide() -> None:
    assert decide(plan(candidates=0), 990, (), 0, RULES).action == "skip"


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
    decision = decide(found, reported, drift, 0, RULES)
    assert decision.action == "prove"
    assert word in " ".join(decision.reasons)


def test_second_proof_none_accepts_doubts_and_still_names_them() -> None:
    decision = decide(GOOD, 991, (), 0, rules(second_proof="none"))
    assert decision.action == "deactivate"
    assert decision.reasons


@pytest.mark.parametrize(("seen", "action"), [(995, "prove"), (994, "hold")])
def test_too_little_seen_is_held(seen: int, action: str) -> None:
    assert decide(plan(seen=seen), 1000, (), 0, RULES).action == action


def test_too_little_seen_is_held_even_without_candidates() -> None:
    """A first load of half a feed is not a complete run, though nobody would vanish."""
    assert decide(plan(candidates=0, active=0, seen=500), 1000, (), 0, RULES).action == "hold"


@pytest.mark.parametrize(("candidates", "action"), [(100, "deactivate"), (101, "hold")])
def test_cap_on_the_share_of_active_cars(candidates: int, action: str) -> None:
    assert decide(plan(candidates=candidates), 990, (), 0, RULES).action == action


@pytest.mark.parametrize(("candidates", "action"), [(7, "deactivate"), (8, "hold")])
def test_cap_on_the_count(candidates: int, action: str) -> None:
    assert decide(plan(candidates=candidates), 990, (), 0, rules(max_count=7)).action == action


@given(st.integers(1, 100), st.integers(1, 50))
def test_exactly_the_share_passes_whatever_its_binary_fraction(percent: int, hundreds: int) -> None:
    """0.29 x 100 is less than 29 in floating point."""
    active, cap = 100 * hundreds, percent * hundreds
    share = rules(max_share=percent / 100, min_seen_share=percent / 100)
    at_cap = plan(active=active, candidates=cap, seen=cap)
    assert decide(at_cap, active, (), 0, share).action != "hold"
    over = plan(active=active, candidates=min(cap + 1, active), seen=cap)
    assert (decide(over, active, (), 0, share).action == "hold") is (percent < 100)
    if cap > 1:
        assert decide(plan(candidates=0, seen=cap - 1), active, (), 0, share).action == "hold"


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
    assert decide(found, 990, (), 0, rules(**changes)).action == action


def test_empty_answer_never_empties_a_table_that_has_no_cap() -> None:
    empty = plan(seen=0, candidates=3, active=3)
    for reported in (0, None):
        decision = decide(empty, reported, (), 0, rules(max_share=1))
        assert decision.action == "hold"
        assert "no record at all" in decision.reasons[0]


def test_records_without_an_id_are_in_doubt_even_where_no_second_proof_is_wanted() -> None:
    found = plan(seen=989, rejected_without_id=1)
    assert decide(found, 990, (), 0, rules(second_proof="none")).action == "prove"


def test_cap_holds_even_where_each_car_could_be_proven() -> None:
    assert decide(plan(candidates=500, duplicates=3), 990, (), 0, RULES).action == "hold"


def test_empty_feed_never_empties_the_table() -> None:
    empty = plan(seen=0, candidates=1000)
    assert decide(empty, 0, (), 0, RULES).action == "hold"
    assert decide(empty, None, (), 0, RULES).action == "hold"


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
    decision = decide(found, reported, drift, failed, given_rules)
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
    decision = decide(plan(candidates=500), 990, ("the total moved",), 0, RULES)
    assert decision.action == "hold"
    assert decision.reasons[-1] == "the total moved"
