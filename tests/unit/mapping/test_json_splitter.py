"""Splitting: the parts of a text as they stand, whatever JSON readers make of them."""

from __future__ import annotations

import json

import pytest

from carsync.mapping.json_splitter import MalformedJsonError, Splitter


def test_split_parts_are_the_texts_as_they_stand() -> None:
    splitter = Splitter(json.JSONDecoder())
    deep = "[" * 50_000 + '"]"' + "]" * 50_000
    text = f'{{"a": {{"b": [ {deep} , {{"x": "\\"]"}},1 ]}} }}'
    elements, rest = splitter.split_array(text, ("a", "b"))
    assert elements == [deep, '{"x": "\\"]"}', "1"]
    assert json.loads(rest) == {"a": {"b": []}}
    with pytest.raises(MalformedJsonError):
        splitter.split_array(text.replace("]]", "]}", 1), ("a", "b"))


@pytest.mark.parametrize(
    ("text", "path", "elements"),
    [
        ("[]", (), []),
        (' [ 1 , "a,]" ,[2] ] ', (), ["1", '"a,]"', "[2]"]),
        ('{"a": 1, "a": [NaN]}', ("a",), ["NaN"]),  # of equal keys the last counts
        ('[[], {"b": [{"c": "\\\\"}]}]', ("1", "b"), ['{"c": "\\\\"}']),
    ],
)
def test_a_list_is_found_by_its_path(text: str, path: tuple[str, ...], elements: list[str]) -> None:
    assert Splitter(json.JSONDecoder()).split_array(text, path)[0] == elements


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ("{}", (), "there is no list at the top"),
        ('{"a": {}}', ("a",), "there is no list at a"),
        ('{"a": []}', ("b",), "there is no b"),
        ("[1 2]", (), "a comma or a closing bracket is missing at character 3"),
        ("[1,]", (), "at character 3"),
        ('{"a" []}', ("a",), "a colon is missing at character 5"),
        ("{a: []}", ("a",), "a key is missing at character 1"),
        ("[1", (), "at character 2"),
        ("[" + "[" * 50_000, (), "the text is cut short"),
        ("[" + "[" * 50_000 + "}", (), "brackets do not match"),
        ("[1, 2, 3]", (), "more records than 2"),
    ],
)
def test_what_is_no_such_list_is_refused_with_the_place(
    text: str, path: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(MalformedJsonError, match=problem):
        Splitter(json.JSONDecoder()).split_array(text, path, most=2)


def test_an_object_is_split_into_keys_and_texts() -> None:
    splitter = Splitter(json.JSONDecoder())
    assert splitter.split_object(' {"a": NaN, "\\u0062" : [1] } ') == [("a", "NaN"), ("b", "[1]")]
    with pytest.raises(MalformedJsonError):
        splitter.split_object("[1]")
