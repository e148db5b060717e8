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
