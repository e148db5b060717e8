"""A column read at once comes to the same as its values read one after the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.mapping_sections import ColumnRule
from carsync.mapping.column_converters import compile_uniform
from carsync.mapping.converters import compile_reader

RULES = [
    ColumnRule(),
    ColumnRule(strip=True),
    ColumnRule(type="integer"),
    ColumnRule(type="integer", min=1901, max=2100),
    ColumnRule(type="numeric", min=0),
    ColumnRule(type="numeric", number="prefix"),
    ColumnRule(type="boolean"),
    ColumnRule(equals="sale"),
]
TEXTS = st.one_of(
    st.text(max_size=5), st.sampled_from(["sale", " a ", "", "\0", "\ud800", "\u2028x", "12"])
)
INTEGERS = st.one_of(
    st.integers(-10, 3000), st.sampled_from([2**31, -(2**31), 2**31 - 1, 2**53, 2**53 + 1, 10**400])
)
COLUMNS = st.one_of(
    st.lists(TEXTS),
    st.lists(st.one_of(TEXTS, st.none())),
    st.lists(INTEGERS),
    st.lists(st.one_of(st.booleans(), st.none())),
    st.lists(st.one_of(TEXTS, INTEGERS, st.none(), st.booleans(), st.floats())),
)


@given(st.sampled_from(RULES), COLUMNS)
def test_a_uniform_column_is_read_as_its_values_are(rule: ColumnRule, column: list[Any]) -> None:
    read_uniform = compile_uniform(rule)
    assert read_uniform is not None
    found = read_uniform(column)
    if found is None:
        return  # left to the readers
    read = compile_reader(rule)
    assert found == [read(value) for value in column]
    assert [type(v) for v in found] == [type(read(value)) for value in column]


@pytest.mark.parametrize(
    ("rule", "column"),
    [
        (ColumnRule(), ["BMW", "Kia"]),
        (ColumnRule(), ["Škoda", None]),
        (ColumnRule(), [7000, 7001]),
        (ColumnRule(strip=True), [" a", None, ""]),
        (ColumnRule(type="integer", min=1901), [1999, 2024]),
        (ColumnRule(type="numeric"), [0, None, 25875]),
        (ColumnRule(type="boolean"), [True, None]),
        (ColumnRule(equals="sale"), ["sale", None]),
    ],
)
def test_plain_columns_are_taken_at_once(rule: ColumnRule, column: list[Any]) -> None:
    read_uniform = compile_uniform(rule)
    assert read_uniform is not None
    assert read_uniform(column) is not None


@pytest.mark.parametrize("poison", ["\0", "\ud800", {}, [], 1.5])
def test_a_poisoned_column_is_not(poison: Any) -> None:
    read_uniform = compile_uniform(ColumnRule())
    assert read_uniform is not None
    assert read_uniform(["a", poison]) is None


def test_a_text_that_is_too_long_is_left_to_its_reader() -> None:
    read_uniform = compile_uniform(ColumnRule(), longest=3)
    assert read_uniform is not None
    assert read_uniform(["abc"]) == ["abc"]
    assert read_uniform(["abcd"]) is None
