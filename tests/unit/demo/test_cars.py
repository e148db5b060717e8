"""The simulated cars: of the size and with the fields of the real ones."""

from __future__ import annotations

import json

from carsync.demo.cars import BID_STEP, build_car, seed_key


def test_a_record_has_the_size_and_the_fields_of_the_real_feed() -> None:
    records = [build_car(seed_key(0), car_id, 0) for car_id in range(7_000_000, 7_000_300)]
    sizes = [len(json.dumps(record, separators=(",", ":"))) for record in records]
    assert 3_000 < sum(sizes) / len(sizes) < 4_000
    for record in records:
        lot = record["lots"][0]
        assert record["manufacturer"]["name"]
        assert record["model"]["name"]
        assert len(record["vin"]) == 17
        assert len(lot["images"]["normal"]) == len(set(lot["images"]["normal"])) == 12
        assert {"lot", "bid", "buy_now", "odometer", "keys_available", "condition"} <= lot.keys()
    assert len({record["vin"] for record in records}) == 300
    # Optional fields are present in some records and null in others.
    for name in ("color", "fuel"):
        assert {record[name] is None for record in records} == {True, False}
    assert {"sale", "sold"} <= {record["lots"][0]["status"]["name"] for record in records}


def test_a_car_follows_from_seed_id_and_version_and_no_two_are_alike() -> None:
    car = build_car(seed_key(1), 7, 0)
    assert car == build_car(seed_key(1), 7, 0)
    others = [build_car(seed_key(2), 7, 0), build_car(seed_key(1), 8, 0)]
    assert all(car["vin"] != other["vin"] for other in others)


def test_a_new_version_changes_the_bid_and_its_moments_alone() -> None:
    old, new = (build_car(seed_key(1), 7, version) for version in (3, 4))
    lots = old.pop("lots")[0], new.pop("lots")[0]
    assert {name for name in old if old[name] != new[name]} == {"updated_at"}
    changed = {name for name in lots[0] if lots[0][name] != lots[1][name]}
    assert "bid" in changed
    assert lots[1]["bid"] - lots[0]["bid"] == BID_STEP
    assert not changed & {"lot", "images", "status", "odometer", "location"}
