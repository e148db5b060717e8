"""By which values cars are asked for: the value in which they differ, and those beside it."""

from __future__ import annotations

from carsync.deactivation.addresses import BETWEEN, Addresses
from carsync.deactivation.id_shapes import group_by_shape
from carsync.mapping.record_path import BY_ID, Place

LOT, DOMAIN, YEAR = Place("lot_number"), Place("domain_name"), Place("year")


def test_cars_asked_for_by_id_need_no_values() -> None:
    addresses = Addresses(BY_ID, {})
    assert addresses.is_by_id
    assert addresses.keys(["7"]) == {}
    assert addresses.add_stranger(["7"]).isdecimal()


def test_a_car_without_a_value_has_no_address() -> None:
    known: dict[str, tuple[str, ...]] = {}
    found: list[tuple[str, list[str | None]]] = [("1", ["4", "iaai"]), ("2", [None, "iaai"])]
    assert Addresses((LOT, DOMAIN), known).learn(found) == ["1"]
    assert known == {"1": ("4", "iaai")}


def test_the_main_value_is_the_one_in_which_the_cars_differ_most() -> None:
    known: dict[str, tuple[str, ...]] = {}
    addresses = Addresses((DOMAIN, LOT, YEAR), known)
    ids = addresses.learn([("a", ["iaai", "40", "2019"]), ("b", ["copart", "50", "2019"])])
    ids += addresses.learn([("c", ["iaai", "60", "2019"])])
    addresses.choose_main()
    assert (addresses.value, addresses.beside) == ((LOT,), (DOMAIN, YEAR))
    assert addresses.keys(ids)["b"] == ("50", f"copart{BETWEEN}2019")
    shapes = group_by_shape(ids, addresses.keys(ids))
    assert list(shapes.values()) == [["a", "c"], ["b"]], "what is beside is the same in a group"
    stranger = known[addresses.add_stranger(ids)]
    assert (stranger[0], stranger[2]) == ("iaai", "2019")
    assert stranger[1] not in {"40", "50", "60"}
    assert stranger[1].isdecimal()
