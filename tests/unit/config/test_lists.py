"""What `api.lists` may hold."""

from __future__ import annotations

import pytest

from carsync.config.parser import parse
from tests.support.configs import refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{lists: {make: []}}", "api.lists.make has no value"),
        ("{lists: {make: [Kia, BMW, Kia]}}", "the same value twice: make=Kia"),
        ("{lists: {dealer: [1, '1']}}", "the same value twice: dealer=1"),
        ("{lists: {price: [{}]}}", "a value without parameters"),
        ("{lists: {make: [Kia]}, params: {make: BMW}}", "and so does api.params"),
        ("{lists: {page: [1, 2]}}", "and so does api.pagination"),
        ("{lists: {a: [{x: 1}], b: [{x: 2}]}}", "and so does another list"),
        ("{lists: {api_key: [a, b]}}", "looks like a key"),
        ("{lists: {make: [Kia]}, pagination: {max_pages: 1000000}}", "max_pages is too large"),
        ("{lists: {a: [%s], b: [%s]}}" % ((", ".join(map(str, range(50))),) * 2), "2,500"),
        ("{lists: {make: Kia}}", "api.lists.make"),
    ],
)
def test_lists_that_cannot_be_read_are_refused(text: str, words: str) -> None:
    error = refused(f"api: {text}")
    assert words in f"{error.problem} {error.detail}"


def test_a_column_may_take_a_parameter_of_its_list_and_no_other() -> None:
    text = "{api: {lists: {make: [Kia]}}, mapping: {columns: {make: {list: %s}}}}"
    rule = parse(text % "make", {}).mapping.columns["make"]
    assert rule is not None
    assert rule.list_ == "make"
    assert "which is no parameter" in refused(text % "dealer").problem
