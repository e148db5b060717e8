"""Which fields of a record say that its car is gone: by rule, and by their looks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from carsync.mapping.gone_rule import GoneRule, find_signs
from tests.support.mappers import load_mapper

MAPPER = load_mapper()
CAR = {"id": 7, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}, "year": 2019}


@pytest.mark.parametrize(
    ("rule", "record", "gone"),
    [
        ({".archived": True}, {"archived": True}, True),
        ({".archived": True}, {"archived": False}, False),
        ({".archived": True}, {"archived": 1}, False),  # a number is no truth value
        ({".archived": True}, {}, False),
        ({".lots.0.archived": True}, {"lots": [{"archived": True}]}, True),
        ({".lots.0.archived": True}, {"lots": []}, False),
        ({".state": ["sold", "ended"]}, {"state": "ended"}, True),
        ({".state": ["sold", "ended"]}, {"state": "live"}, False),
        ({".a": 1, ".b": 1}, {"b": 1}, True),  # one entry is enough
        ({"year": 2019}, {}, True),
        ({"year": 2018}, {}, False),
        ({"make": "Kia"}, {}, True),
        ({"make": "Kia"}, {"manufacturer": None}, False),  # the mapping rejects it
        ({}, {"archived": True}, False),
    ],
)
def test_an_entry_holds_for_a_field_or_a_mapped_column(
    rule: dict[str, Any], record: dict[str, Any], gone: bool
) -> None:
    assert GoneRule(rule, MAPPER).matches(json.dumps({**CAR, **record}).encode()) is gone


@pytest.mark.parametrize(
    ("record", "signs"),
    [
        ({"is_sold": True, "sold_at": "2026-01-01"}, [".is_sold: true"]),
        ({"active": False, "is_live": True}, [".active: false"]),
        ({"status": "SOLD"}, [".status: SOLD"]),
        ({"status": "for sale", "archived": None, "deleted": False}, []),
        ({"lots": [{"status": {"state": "sold"}}]}, [".lots.0.status.state: sold"]),
        ({"a": {"b": {"c": {"d": {"archived": True}}}}}, []),  # too deep to be the record's own
    ],
)
def test_fields_that_look_as_if_the_car_were_gone(record: dict[str, Any], signs: list[str]) -> None:
    assert find_signs(json.dumps(record).encode()) == signs
