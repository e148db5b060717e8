"""By-id answers that lie: no car that a page still lists is taken for gone, and none hangs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.deactivation import by_id
from carsync.deactivation.by_id import PORTION, Verification, controls_wanted, verify
from carsync.model import ProbeVerdict

GONE, ALIVE, NOTHING = ProbeVerdict.GONE, ProbeVerdict.ALIVE, ProbeVerdict.NOTHING
LISTED = {str(1000 + n): n // 20 + 1 for n in range(400)}
SLIPPED = [str(2000 + n) for n in range(30)]
"""Alive, and on no page that was read."""
SOLD = [str(3000 + n) for n in range(130)]
IMPOSSIBLE = "impossible"


def drawing(cars: Sequence[tuple[str, int]]) -> by_id.Draw:
    """Return what draws the first of these cars with ids of a shape."""
    return lambda shape, count: [car for car in cars if shape.matches(car[0])][:count]


class FakeApi:
    """Answers by id truthfully, unless `lie` has it otherwise; its pages list `listed`."""

    def __init__(
        self,
        lie: Callable[[str, int], ProbeVerdict | None] = lambda car, asked: None,
        listed: Mapping[str, int] = LISTED,
    ) -> None:
        self.asked: list[str] = []
        self._lie = lie
        self._listed = listed

    def ask(self, cars: Sequence[str], pages: Mapping[str, int]) -> dict[str, ProbeVerdict]:
        found = {}
        for car in cars:
            if car in pages:
                found[car] = ALIVE if self._listed.get(car) == pages[car] else GONE
                continue
            self.asked.append(car)
            truth = ALIVE if car in self._listed or car in SLIPPED else GONE
            found[car] = self._lie(car, len(self.asked)) or truth
        return found

    def hear(self, absent: Sequence[str] = (*SLIPPED, *SOLD), seed: int = 1) -> by_id.Verification:
        controls = list(LISTED.items())
        random.Random(seed).shuffle(controls)
        return verify(self.ask, absent, drawing(controls), IMPOSSIBLE)


def gone(heard: by_id.Verification) -> set[str]:
    return {car for car, verdict in heard.verdicts.items() if verdict is GONE}


def test_an_honest_api_is_believed() -> None:
    heard = FakeApi().hear()
    assert heard.objection == ""
    assert gone(heard) == set(SOLD)
    assert set(heard.verdicts) == {*SOLD, *SLIPPED}


def test_404_for_everything_is_an_api_without_such_a_path() -> None:
    api = FakeApi(lambda car, asked: GONE)
    heard = api.hear()
    assert not heard.has_path
    assert heard.verdicts == {}
    assert len(api.asked) <= 11, "it is found out before any absent car is asked for"


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("seed", range(20))
def test_404_for_cars_that_are_not_cached_voids_the_proof(share: float, seed: int) -> None:
    draw = random.Random(seed)
    missing = {car for car in (*LISTED, *SLIPPED) if draw.random() < share}
    heard = FakeApi(lambda car, asked: GONE if car in missing else None).hear(seed=seed)
    assert heard.verdicts == {}
    assert "but its page still lists" in heard.objection or not heard.has_path


@pytest.mark.parametrize("begin", range(12, 180, 8))
def test_404_for_everything_for_a_while_voids_the_proof(begin: int) -> None:
    """A deployment behind the endpoint's back, say: for a third of a portion of requests."""
    until = begin + PORTION // 3
    heard = FakeApi(lambda car, asked: GONE if begin <= asked < until else None).hear()
    assert not gone(heard) & set(SLIPPED)
    assert heard.objection


def test_404_for_everything_in_the_end_voids_the_proof() -> None:
    heard = FakeApi(lambda car, asked: GONE if asked >= 60 else None).hear()
    assert heard.verdicts == {}
    assert heard.objection


def test_200_for_everything_proves_nothing() -> None:
    heard = FakeApi(lambda car, asked: ALIVE).hear()
    assert heard.verdicts == {}
    assert "cannot exist" in heard.objection


@pytest.mark.parametrize("since", [1, 25, 100])
def test_an_endpoint_without_clear_answers_is_asked_no_further(since: int) -> None:
    api = FakeApi(lambda car, asked: NOTHING if asked >= since else None)
    heard = api.hear([*SLIPPED, *SOLD] * 20)
    assert not gone(heard) & set(SLIPPED)
    assert len(api.asked) < since + 4 * PORTION


def test_controls_without_an_answer_leave_their_portion_unproven() -> None:
    heard = FakeApi(lambda car, asked: NOTHING if car in LISTED and asked > 20 else None).hear()
    assert heard.verdicts == {}


def test_a_control_is_asked_for_again() -> None:
    turn = random.Random(1)
    heard = FakeApi(lambda car, asked: NOTHING if turn.random() < 0.3 else None).hear()
    assert heard.objection == ""
    assert gone(heard) < set(SOLD)
    assert len(gone(heard)) > len(SOLD) / 2


def test_cars_that_left_their_pages_since_void_nothing() -> None:
    """On a live feed a car just seen may be sold by now; its page says so too."""
    left = set(list(LISTED)[::40])
    heard = FakeApi(listed={c: p for c, p in LISTED.items() if c not in left}).hear()
    assert gone(heard) == set(SOLD)


def test_too_many_cars_that_left_void_the_proof() -> None:
    moved = {car: page + 1 for car, page in LISTED.items()}
    heard = FakeApi(lambda car, asked: GONE if car[-1] in "13579" else None, moved).hear()
    assert heard.verdicts == {}
    assert "that it listed in this run" in heard.objection


def test_where_no_car_is_absent_nothing_is_asked_and_nothing_is_known() -> None:
    heard = verify(FakeApi().ask, [], drawing(list(LISTED.items())), IMPOSSIBLE)
    assert heard == Verification(has_path=False)


def test_without_controls_nothing_is_believed() -> None:
    heard = verify(FakeApi().ask, SOLD, drawing([]), IMPOSSIBLE)
    assert heard.verdicts == {}
    assert heard.objection


@given(st.lists(st.sampled_from([None, GONE, ALIVE, NOTHING])), st.integers(0, 9))
def test_any_sequence_of_answers_ends_within_a_bounded_number_of_requests(
    answers: list[ProbeVerdict | None], seed: int
) -> None:
    api = FakeApi(lambda car, asked: answers[asked % len(answers)] if answers else None)
    heard = api.hear(seed=seed)
    assert set(heard.verdicts) <= {*SOLD, *SLIPPED}
    assert len(api.asked) < 160 + 4 * controls_wanted(160) + 1


@pytest.mark.parametrize("begin", range(1010, 1070, 7))
def test_404_for_everything_the_pages_too_voids_the_proof(begin: int) -> None:
    """An API that is taken down says 404 for a car and for the page that listed it."""
    sold = [str(3000 + n) for n in range(900)]
    api = FakeApi()

    def ask(cars: Sequence[str], pages: Mapping[str, int]) -> dict[str, ProbeVerdict]:
        is_down = len(api.asked) >= begin
        return {
            i: NOTHING if i in pages and is_down else v for i, v in api.ask(cars, pages).items()
        }

    api._lie = lambda car, asked: GONE if asked >= begin else None
    heard = verify(ask, [*sold, *SLIPPED], drawing(list(LISTED.items())), IMPOSSIBLE)
    assert not gone(heard) & set(SLIPPED)


def test_cars_that_are_never_answered_clearly_do_not_keep_the_others_waiting() -> None:
    """The longest unseen are asked first: a portion of them that always fails is no silence."""
    broken = SOLD[: PORTION + 10]
    heard = FakeApi(lambda car, asked: NOTHING if car in broken else None).hear(SOLD)
    assert gone(heard) == set(SOLD) - set(broken)


@pytest.mark.parametrize("finds_them", [True, False])
def test_a_404_counts_only_where_a_listed_car_with_such_an_id_is_known(finds_them: bool) -> None:
    """A server that cannot find ids with a slash says of numbers what is true all the same."""
    listed = {**LISTED, **{f"IAA/{n}": 1 for n in range(5)}}

    def lie(car: str, asked: int) -> ProbeVerdict | None:
        return GONE if "/" in car and not finds_them else None

    api = FakeApi(lie, listed)
    absent = ["IAA/8", *SLIPPED, *SOLD, "COP/1"]
    heard = verify(api.ask, absent, drawing(list(listed.items())), IMPOSSIBLE)
    assert gone(heard) == {*SOLD, "IAA/8"} if finds_them else gone(heard) == set(SOLD)
    assert "for ids like 'COP/1', the run saw no such car" in heard.objection
    assert ("for ids like 'IAA/8', the API says by id that" in heard.objection) != finds_them
