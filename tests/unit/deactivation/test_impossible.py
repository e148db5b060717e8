"""The id of no car looks like those of cars, and is another one each time."""

from __future__ import annotations

import uuid

import pytest

from carsync.deactivation.impossible import impossible_id


def test_among_numbers_it_is_a_number() -> None:
    assert len(impossible_id(["7", "4711222333"])) == 18
    assert impossible_id(["7"]).isdecimal()


def test_among_small_numbers_it_is_one_that_an_integer_holds() -> None:
    assert 2 * 10**9 <= int(impossible_id(["7", "47112223"])) < 2**31


@pytest.mark.parametrize("others", [["7", "car-8"], ["\u0663"]])
def test_elsewhere_it_is_a_uuid(others: list[str]) -> None:
    assert str(uuid.UUID(impossible_id(others))) != impossible_id(others)
