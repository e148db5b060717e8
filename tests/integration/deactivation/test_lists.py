"""Cars by the lists that they were on: one merge remembers, the next decides by it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from carsync.config.lists import PAGES_EACH
from carsync.config.sections import Deactivate
from carsync.deactivation.by_list import ListEvidence, decide_by_lists, judge_lists
from carsync.deactivation.cars_by_list import CarsByList
from carsync.deactivation.policy import Evidence
from carsync.destination import merge
from carsync.model import MergeCounts
from carsync.postgres.wait import Connection
from tests.conftest import ask
from tests.support.merge_rig import Rig, cars, page

RULES = Deactivate(max_share=1.0, second_proof="none")
NAMES = ("make=Kia", "make=BMW")
KIA, BMW = range(20), range(20, 40)


@pytest.fixture
def rig(conn: Connection) -> Rig:
    """A table that was read by two lists, often enough: cars 0 to 19 and 20 to 39."""
    rig = Rig(conn)
    for _ in range(3):
        sync(rig, KIA, BMW)
    return rig


def sync(
    rig: Rig,
    *lists: Iterable[int] | None,
    names: tuple[str, ...] = NAMES,
    rules: Deactivate = RULES,
) -> MergeCounts:
    """Read each list, a page; None: its page could not be read."""
    rig.begin(names)
    read = {place: list(numbers) for place, numbers in enumerate(lists) if numbers is not None}
    pages = [range(at * PAGES_EACH + 1, at * PAGES_EACH + 2) for at in range(len(lists))]
    rig.stage(*(page(pages[at].start, cars(numbers)) for at, numbers in read.items()))
    known = CarsByList(rig.conn, rig.run, names, by_tombstones=True)
    evidence = [
        ListEvidence(
            name, Evidence(known.plan(at), len(read.get(at, ())), failed_pages=at not in read)
        )
        for at, name in enumerate(names)
    ]
    verdicts = judge_lists(evidence, rules, by_id=False, cars_move=known.move)
    counted = known.count_by_rank(verdicts.ranks)
    request = replace(
        rig.request(1),
        pages=pages,
        failed_pages=frozenset(pages[at].start for at in range(len(lists)) if at not in read),
        decision=decide_by_lists(verdicts, counted, known.active, rules),
        lists=names,
    )
    return merge.merge(rig.conn, request)


def inactive(rig: Rig) -> set[int]:
    found = ask(rig.conn, f"SELECT id FROM {rig.target} WHERE NOT is_active")
    return {int(car) for (car,) in found}


def on_lists(rig: Rig, car: int) -> list[str]:
    query = "SELECT name FROM carsync.car_lists JOIN carsync.lists USING (list_id) WHERE id = %s"
    return [name for (name,) in ask(rig.conn, query + " ORDER BY name", (str(car),))]


def test_cars_of_complete_lists_go_and_those_of_a_failed_one_stay(rig: Rig) -> None:
    counts = sync(rig, range(18), None)
    assert (counts.deactivated, counts.held) == (2, 0)
    assert inactive(rig) == {18, 19}
    assert on_lists(rig, 18) == []
    assert on_lists(rig, 25) == ["make=BMW"]
    sync(rig, range(18), range(20, 38))
    assert inactive(rig) == {18, 19, 38, 39}


def test_a_car_that_moved_is_listed_and_belongs_to_its_new_list(rig: Rig) -> None:
    counts = sync(rig, range(19), [19, *BMW])
    assert counts.deactivated == 0
    assert on_lists(rig, 19) == ["make=BMW"]
    sync(rig, range(19), None)
    assert inactive(rig) == set(), "its list could not be read"


def test_where_cars_move_those_of_a_complete_list_are_held_beside_a_failed_one(rig: Rig) -> None:
    sync(rig, range(19), [19, *BMW])
    counts = sync(rig, range(18), None)
    assert (counts.deactivated, counts.held) == (0, 1)
    assert inactive(rig) == set(), "car 18 may be on the list that failed"
    sync(rig, range(18), [19, *BMW])
    assert inactive(rig) == {18}


def test_that_cars_do_not_move_is_believed_after_three_merges(conn: Connection) -> None:
    rig = Rig(conn)
    sync(rig, KIA, BMW)
    for kia, known in ((19, False), (18, False), (17, True)):
        counts = sync(rig, range(kia), None)
        assert counts.deactivated == (3 if known else 0)
        assert counts.held == (0 if known else 20 - kia)


def test_a_car_on_two_lists_goes_when_both_are_complete(rig: Rig) -> None:
    counts = sync(rig, KIA, [0, *BMW])
    assert (counts.seen, counts.duplicate) == (40, 1)
    assert on_lists(rig, 0) == ["make=BMW", "make=Kia"]
    sync(rig, range(1, 20), None)
    assert inactive(rig) == set()
    sync(rig, range(1, 20), BMW)
    assert inactive(rig) == {0}


def test_cars_of_a_removed_list_are_held(rig: Rig) -> None:
    names = ("make=Kia",)
    counts = sync(rig, range(19), names=names)
    assert (counts.deactivated, counts.held) == (1, 20)
    known = CarsByList(rig.conn, rig.run, names, by_tombstones=True)
    assert known.removed == 20


def test_cars_of_an_unknown_list_go_when_all_lists_are_complete(conn: Connection) -> None:
    rig = Rig(conn)
    rig.sync(cars(range(41)))
    sync(rig, KIA, None)
    assert inactive(rig) == set()
    sync(rig, KIA, BMW)
    assert inactive(rig) == {40}


def test_a_feed_that_is_read_as_one_again_knows_no_lists(rig: Rig) -> None:
    rig.sync(cars(range(39)))
    assert inactive(rig) == {39}
    assert ask(rig.conn, "SELECT count(*) FROM carsync.car_lists") == [(0,)]


def test_an_unchanged_feed_writes_nothing_about_its_lists(rig: Rig) -> None:
    query = "SELECT (SELECT array_agg(c.xmin) FROM carsync.car_lists AS c), array_agg(l.xmin)"
    query += " FROM carsync.lists AS l"
    before = ask(rig.conn, query)
    sync(rig, KIA, BMW)
    assert ask(rig.conn, query) == before


def test_a_list_that_lost_most_of_its_cars_is_held_and_the_other_is_not(rig: Rig) -> None:
    rules = Deactivate(max_share=0.1, second_proof="none")
    counts = sync(rig, range(5), range(20, 39), rules=rules)
    assert (counts.deactivated, counts.held) == (1, 15)
    assert inactive(rig) == {39}
