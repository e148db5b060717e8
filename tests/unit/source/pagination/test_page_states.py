"""The states of pages, whatever is reported, and in whatever order."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.source.pagination.page_states import PageStates, parse_ranges


def states_of(first: int = 1, known: range = range(10**6)) -> PageStates:
    return PageStates(first, known.__contains__)


def test_a_page_is_leased_once_unless_it_is_given_back() -> None:
    states = states_of()
    assert [states.lease_next(2) for _ in range(3)] == [1, 2, None]
    states.give_back(1)
    assert [states.lease_next(2), states.lease_next(2)] == [1, None]
    assert states.stage(1)
    assert not states.stage(1)
    states.give_back(1)
    states.fail(1, "HTTP 500")
    assert (states.staged_count, states.failed, states.lease_next(2)) == (1, {}, None)


def test_a_page_that_fails_takes_those_with_it_that_only_its_answer_could_name() -> None:
    states = states_of(known=range(1, 3))
    for page in (1, 5):
        states.stage(page)
    assert states.lease_next(9) == 2
    states.fail(2, "HTTP 500")
    assert states.failed[2] == "HTTP 500"
    assert sorted(states.failed) == [2, 3, 4]
    states.revive(2)
    assert (states.lease_next(9), sorted(states.failed)) == (2, [3, 4])


def test_failed_pages_behind_the_end_are_forgotten() -> None:
    states = states_of()
    while (page := states.lease_next(4)) is not None:
        (states.stage if page < 3 else states.fail)(page, *["HTTP 404"] * (page > 2))
    assert states.leave_out_failed(2) == [3, 4]
    assert (len(states), states.failed, states.leave_out_failed(2)) == (2, {}, [])


def test_leased_pages_are_counted_whatever_becomes_of_them() -> None:
    states = states_of()
    for _ in range(6):
        states.lease_next(9)
    counts = [states.leased_count]
    states.stage(1)
    states.fail(4, "HTTP 500")
    states.give_back(2)
    counts.append(states.leased_count)
    assert states.leave_out_failed(3) == [4]
    counts.append(states.leased_count)
    assert counts == [6, 3, 1]


def test_a_page_before_the_first_is_a_bug() -> None:
    with pytest.raises(ValueError, match="page 0"):
        states_of().stage(0)


def test_many_pages_are_cheap() -> None:
    states = states_of()
    for page in range(1, 200_001):
        states.stage(page)
    assert states.ranges() == "1-200000"
    assert sys.getsizeof(states._states) < 300_000


@given(st.sets(st.integers(1, 300)), st.sampled_from([0, 1, 7]))
def test_ranges_round_trip(pages: set[int], first: int) -> None:
    states = states_of(first)
    staged = {first + page for page in pages}
    for page in staged:
        states.stage(page)
    read = [page for pages in parse_ranges(states.ranges()) for page in pages]
    assert read == sorted(staged)


def test_ranges_are_as_short_as_they_can_be() -> None:
    states = states_of()
    assert states.ranges() == ""
    for page in [*range(1, 501), 502]:
        states.stage(page)
    assert states.ranges() == "1-500,502"


@pytest.mark.parametrize("text", ["a", "1-", "-", "5-1", "1,,2", "1-2-3", ","])
def test_no_other_text_is_a_list_of_ranges(text: str) -> None:
    with pytest.raises(ValueError):
        parse_ranges(text)
