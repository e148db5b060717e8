"""What a rule makes of the values of a record before they are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.mappers import map_one, mapper_of, reject_of
from tests.support.records import page

BOTH = ["images.downloaded.0", "images.normal.0"]
WORDS = {"sale": "active", "1": "one", "true": "yes", "gone": None}


@pytest.mark.parametrize(
    ("rule", "record", "value"),
    [
        ({"path": BOTH}, {"images": {"downloaded": ["d"], "normal": ["n"]}}, "d"),
        ({"path": BOTH}, {"images": {"downloaded": [], "normal": ["n"]}}, "n"),
        ({"path": BOTH}, {"images": {"downloaded": [" "], "normal": ["n"]}}, "n"),
        ({"path": BOTH}, {"images": {"downloaded": "x", "normal": ["n"]}}, "n"),
        ({"path": BOTH}, {"images": None}, None),
        ({"path": ["a", "b"], "type": "jsonb"}, {"a": [], "b": ["x"]}, '["x"]'),
        ({"path": ["a", "b"], "type": "jsonb"}, {"a": None, "b": []}, "[]"),
        ({"path": ["a", "b"], "type": "integer"}, {"a": 0, "b": 7}, 0),
        ({"path": ["a", "b"], "type": "boolean"}, {"a": False, "b": True}, False),
        ({"path": ["a", "b"], "default": "d"}, {}, "d"),
        ({"path": "a", "unwrap": "value", "type": "numeric"}, {"a": {"value": 8500}}, 8500),
        ({"path": "a", "unwrap": "value", "type": "numeric"}, {"a": 8500.1234}, 8500.1234),
        ({"path": "a", "unwrap": "value", "type": "numeric"}, {"a": {"value": None}}, None),
        ({"path": ["a", "b"], "unwrap": "value"}, {"a": {"value": ""}, "b": {"value": "x"}}, "x"),
        ({"path": "a", "map": {**WORDS, "_": "other"}}, {"a": "sale"}, "active"),
        ({"path": "a", "map": {**WORDS, "_": "other"}}, {"a": "sold"}, "other"),
        ({"path": "a", "map": {**WORDS, "_": "other"}}, {"a": None}, None),
        ({"path": "a", "map": {**WORDS, "_": "other"}}, {"a": ""}, None),
        ({"path": "a", "map": WORDS}, {"a": "sold"}, "sold"),
        ({"path": "a", "map": WORDS}, {"a": 1}, "one"),
        ({"path": "a", "map": WORDS}, {"a": 1.0}, "one"),
        ({"path": "a", "map": WORDS}, {"a": True}, "yes"),
        ({"path": "a", "map": WORDS, "default": "d"}, {"a": "gone"}, "d"),
        ({"path": "a", "map": WORDS}, {"a": " sale "}, " sale "),
        ({"path": "a", "map": WORDS, "strip": True}, {"a": " sale "}, "active"),
        ({"path": "a", "map": {"sale": True, "_": False}, "type": "boolean"}, {"a": "x"}, False),
        ({"path": "a.b.c"}, {"a": '{"b": "{\\"c\\": 5}"}'}, "5"),  # JSON in a text in JSON …
        ({"path": "a"}, {"a": '{"b": 1}'}, '{"b": 1}'),
    ],
)
def test_a_value_is_chosen_unwrapped_and_exchanged(
    rule: dict[str, Any], record: dict[str, Any], value: Any
) -> None:
    assert map_one({"id": 1, **record}, mapper_of(column=rule))["column"] == value


@pytest.mark.parametrize(
    ("rule", "record", "reason"),
    [
        ({"path": ["a.b", "c.d"]}, {"a": "x", "c": 7}, "a text instead of an object"),
        ({"path": "a", "unwrap": "value"}, {"a": {"amount": 1}}, "an object is not a text"),
        ({"path": "a", "map": {"1": "x", "_": "y"}}, {"a": [1]}, "a list is not a text"),
        ({"path": "a", "map": {"x": 1}, "type": "integer"}, {"a": "y"}, "'y' is not a number"),
        ({"path": "a.b"}, {"a": "{b"}, "a text instead of an object"),
    ],
)
def test_what_cannot_be_read_is_said_as_ever(
    rule: dict[str, Any], record: dict[str, Any], reason: str
) -> None:
    assert reject_of({"id": 1, **record}, mapper_of(column=rule)).reason == reason


RAW = mapper_of(raw={"path": "", "type": "jsonb"}, make={"path": "make"})


def test_a_record_is_kept_as_it_came_with_each_number_exactly() -> None:
    text = '{"id": 7, "price": 8500.10, "n": 12345678901234567890123, "big": 1e400, "é": "\\u00e9"}'
    row = RAW.map_page(page(text)).rows[0]
    kept = '{"id":7,"price":8500.10,"n":12345678901234567890123,"big":1e400,"é":"\\u00e9"}'
    assert row[2] == kept
    beside_poison = RAW.map_page(page('{"id": NaN}', text)).rows[0]
    assert beside_poison[1:] == row[1:]
    assert RAW.map_record(text.encode()).rows[0] == row


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("NaN", "no column can hold NaN"),
        ('"\\u0000"', "the JSON contains a text with NUL"),
        ('"\\ud800"', "the JSON contains a lone surrogate"),
    ],
)
def test_a_record_that_jsonb_cannot_hold_is_rejected(token: str, reason: str) -> None:
    texts = [f'{{"id": 1, "x": {token}}}', json.dumps({"id": 2})]
    content = RAW.map_page(page(*texts))
    assert [row[1] for row in content.rows] == ["2"]
    (reject,) = content.rejects
    assert (reject.record_id, reject.column) == ("1", "raw")
    assert reject.reason.startswith(reason)


def test_a_column_has_no_field_where_none_of_its_paths_leads_anywhere() -> None:
    mapper = mapper_of(a={"path": ["x", "y"]}, b={"path": ["x", "z"]})
    assert mapper.map_page(page('{"id": 1, "y": 7}')).notes.absent == ("b",)
    assert mapper.paths["a"] == "x or y"
