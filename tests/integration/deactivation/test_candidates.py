"""Candidates: the cars that a run should have seen and did not, counted and listed."""

from __future__ import annotations

import time
from typing import Any

from carsync.deactivation import candidates
from carsync.deactivation.addresses import Addresses
from carsync.deactivation.id_shapes import Shape, group_by_shape
from carsync.destination import merge
from carsync.mapping.record_path import BY_ID, Place
from tests.conftest import ask
from tests.support.merge_rig import SOURCE, Rig, car, cars, page, reject

IDS = Addresses(BY_ID, {})


def test_rejected_record_counts_as_seen(rig: Rig) -> None:
    rig.sync(cars(range(3)))
    rig.begin()
    rig.stage(page(1, cars(range(2)), [reject(2, "2"), reject(3, None)]))
    plan = candidates.plan_deactivation(rig.conn, rig.run, by_tombstones=True)
    assert (plan.candidates, plan.seen, plan.rejected_without_id) == (0, 3, 1)
    counts = merge.merge(rig.conn, rig.request(1))
    assert (counts.deactivated, counts.rejected, counts.seen) == (0, 2, 3)
    assert set(rig.active()) == {"0", "1", "2"}


def test_plan_counts_what_the_merge_would_deactivate(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    rig.begin()
    rig.stage(page(1, cars([0, 1, 2])), page(2, cars([2, 3])))
    plan = candidates.plan_deactivation(rig.conn, rig.run, by_tombstones=True)
    assert (plan.active, plan.candidates, plan.seen, plan.duplicates) == (10, 6, 4, 1)
    listed = candidates.list_candidates(rig.conn, rig.run, 100, by_tombstones=True)
    assert sorted(listed) == ["4", "5", "6", "7", "8", "9"]
    assert len(candidates.list_candidates(rig.conn, rig.run, 2, by_tombstones=True)) == 2
    assert len(candidates.list_seen(rig.conn, rig.run.run_id, IDS, Shape(""), 1)) == 1
    seen = candidates.list_seen(rig.conn, rig.run.run_id, IDS, Shape(""), 100)
    assert {i: page_number for i, page_number in seen if i != "2"} == {"0": 1, "1": 1, "3": 2}
    assert len(seen) == 4, "each car once"
    assert merge.merge(rig.conn, rig.request(2)).deactivated == 6


def test_id_staged_and_rejected_on_another_page_is_a_duplicate_seen_once(rig: Rig) -> None:
    rig.begin()
    rig.stage(page(1, cars([1])), page(2, [], [reject(0, "1")]))
    plan = candidates.plan_deactivation(rig.conn, rig.run, by_tombstones=True)
    assert (plan.seen, plan.duplicates) == (1, 1)


def test_car_that_appeared_during_the_run_is_not_absent(rig: Rig) -> None:
    rig.sync(cars(range(10)))
    rig.begin()
    rig.stage(page(1, cars(range(10))))
    ask(
        rig.conn,
        "INSERT INTO cars (id, is_active, source_api, created_at)"
        " VALUES ('new', true, %s, clock_timestamp())",
        SOURCE,
    )
    assert candidates.plan_deactivation(rig.conn, rig.run, by_tombstones=True).candidates == 0
    assert merge.merge(rig.conn, rig.request(1)).deactivated == 0
    assert "new" in rig.active()


def test_the_longest_unseen_are_listed_first(rig: Rig) -> None:
    rig.sync(cars(range(6)))
    for seen in (range(5), range(3), range(1)):
        rig.sync(cars(seen), action="hold")
    rig.begin()
    rig.stage(page(1, cars([0])))
    listed = candidates.list_candidates(rig.conn, rig.run, 4, by_tombstones=True)
    assert listed[:1] == ["5"]
    assert set(listed[1:3]) == {"3", "4"}
    assert listed[3] in {"1", "2"}


def test_only_active_cars_of_the_source_are_candidates(rig: Rig) -> None:
    rig.sync(cars(range(3)))
    ask(
        rig.conn,
        "INSERT INTO cars (id, is_active, source_api) VALUES ('other', true, 'dealer'),"
        " ('nobody', true, NULL), ('gone', false, 'external'), ('unknown', NULL, 'external')",
    )
    rig.begin()
    rig.stage(page(1, cars([0])))
    plan = candidates.plan_deactivation(rig.conn, rig.run, by_tombstones=True)
    assert (plan.active, plan.candidates) == (3, 2)
    listed = candidates.list_candidates(rig.conn, rig.run, 9, by_tombstones=True)
    assert sorted(listed) == ["1", "2"]


def test_postgresql_reads_the_shapes_of_ids_as_python_does(rig: Rig) -> None:
    ids: list[Any] = ["7", "12345678", "IAA/3", "COP-4", "a.b", "a%2Fb", "é1", "x\ny", "1\\2"]
    ids += ["]^-", "a" * 300, "a" * 600, "é" * 40, "WAUZZZ8K9BA123456"]
    rig.begin()
    rig.stage(page(1, cars(ids)))
    for shape, group in group_by_shape(ids).items():
        seen = candidates.list_seen(rig.conn, rig.run.run_id, IDS, shape, 100)
        assert [i for i, _ in seen] == group


def test_a_shape_of_long_ids_costs_microseconds_an_id(rig: Rig) -> None:
    """PostgreSQL takes half a millisecond where an expression counts to 255."""
    ids: list[Any] = [f"{n:-<40}" + "f47ac10b-58cc-4372-a567-0e02b2c3d479" * 3 for n in range(5000)]
    rig.begin()
    rig.stage(page(1, cars(ids)))
    (shape,) = group_by_shape(ids)
    started_s = time.monotonic()
    assert len(candidates.list_seen(rig.conn, rig.run.run_id, IDS, shape, 10)) == 10
    assert time.monotonic() - started_s < 0.5


def test_values_by_which_cars_are_asked_for_come_from_the_table(rig: Rig) -> None:
    by_raw = (Place("make"), Place(constant="iaai"), Place("images", ("0",)))
    known: dict[str, tuple[str, ...]] = {}
    addresses = Addresses(by_raw, known)
    rig.sync([car("1", make="Kia"), car("2", make=None), car("3", make="Kia"), car("4")])
    key = (rig.conn, rig.target, rig.source)
    ids = candidates.find_addresses(*key, addresses, ["3", "2", "1", "9"])
    assert ids == ["3", "1"]
    assert known == dict.fromkeys(ids, ("Kia", "iaai", "1.jpg"))


def test_controls_have_the_same_value_beside_the_main_one(rig: Rig) -> None:
    """A row of before the mapping said how an auction is named: no listed car has its value."""
    rig.sync([car("1", make="old"), car("2", make="iaai"), car("3", make="iaai")])
    rig.begin()
    rig.stage(page(1, [car("2", make="iaai"), car("3", make="iaai"), car("4", make=None)]))
    addresses = Addresses((Place("make"), Place("id")), {})
    key = (rig.conn, rig.target, rig.source)
    expected: dict[str, set[str]] = {"1": set(), "2": {"2", "3"}}
    for absent, controls in expected.items():
        candidates.find_addresses(*key, addresses, [absent])
        candidates.list_seen(rig.conn, rig.run.run_id, addresses, Shape(""), 9)
        addresses.choose_main()
        assert addresses.value == (Place("id"),)
        shape = next(iter(group_by_shape([absent], addresses.keys([absent]))))
        seen = candidates.list_seen(rig.conn, rig.run.run_id, addresses, shape, 9)
        assert {i for i, _ in seen} == controls
        listed = candidates.list_listed(*key, addresses, shape, 9)
        assert set(listed) == (controls or {"1"})
