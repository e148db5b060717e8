"""Ids of one shape are those that a server treats alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.deactivation.id_shapes import MOST_SHAPES, group_by_shape

IDS = st.text(
    st.one_of(st.sampled_from("aZ09-_./% é車\n'\\]^"), st.characters(exclude_characters="\0")),
    max_size=20,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("123", "IAA/3"),
        ("IAA/3", "COP/3"),
        ("IAA-3", "IAA/3"),
        ("IAA 3", "IAA%3"),
        ("1000", "1.00"),
        ("straße", "strasse"),
        ("12", "1234567890"),
        ("abc", "123"),
        ("a" * 254, "a" * 256),
        ("WAUZZZ8K9BA123456", "12345678901234567"),
    ],
)
def test_ids_of_different_shapes_are_no_controls_for_each_other(one: str, other: str) -> None:
    assert len(group_by_shape([one, other])) == 2


@pytest.mark.parametrize(
    "ids",
    [
        ["1000000", "9999999", "4711", "7"],
        ["550e8400-e29b-41d4-a716-446655440000", "f47ac10b-58cc-4372-a567-0e02b2c3d479"],
        ["WAUZZZ8K9BA123456", "1HGCM82633A004352"],
        ["IAA/3", "IAA/4"],
        ["bmw-320d-silver-x1", "kia-k5-black-22-ab"],
    ],
)
def test_ids_that_one_feed_gives_have_one_shape(ids: list[str]) -> None:
    assert len(group_by_shape(ids)) == 1


@given(st.lists(IDS, max_size=8))
def test_a_shape_matches_its_own_ids_and_no_others(ids: list[str]) -> None:
    groups = group_by_shape(ids)
    assert sorted(i for group in groups.values() for i in group) == sorted(ids)
    for shape, group in groups.items():
        assert {i for i in ids if shape.matches(i)} == set(group)


def test_ids_of_very_many_shapes_are_told_apart_by_their_special_characters() -> None:
    ids = [f"{prefix}{n}" for n, prefix in enumerate("abcdefghijklmnopqrst")] + ["a/1"]
    assert len(ids) > MOST_SHAPES
    assert list(group_by_shape(ids).values()) == [ids[:-1], ["a/1"]]
