"""Paths into records: whatever stands in the way, and wherever they overlap."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from carsync.mapping.fields import Misplaced, RecordType, Unholdable, describe, walk
from tests.support.mappers import map_one, mapper_of, record


@pytest.mark.parametrize(
    ("path", "empty"),
    [("color", []), ("color", {}), ("lots", {}), ("lots", []), ("lots", [None]), ("lots", [[]])],
)
def test_an_empty_part_of_a_path_is_a_missing_value(path: str, empty: Any) -> None:
    assert map_one(record(**{path: empty})) == map_one(record())


def test_paths_may_overlap_and_name_several_positions() -> None:
    mapper = mapper_of(
        raw={"path": "", "type": "jsonb"},
        first={"path": "lots.0.bid", "type": "integer"},
        second={"path": "lots.1.bid", "type": "integer"},
        lots={"path": "lots", "type": "jsonb"},
        odd={"path": 'a "b\\'},
    )
    value = {"id": 1, "lots": [{"bid": 4}, {"bid": 5}], 'a "b\\': "c"}
    row = map_one(value, mapper)
    assert (row["first"], row["second"], row["odd"]) == (4, 5, "c")
    assert json.loads(row["raw"]) == value
    assert json.loads(row["lots"]) == value["lots"]
    several = mapper_of(first={"path": "l.0.a"}, second={"path": "l.1.a"}, third={"path": "l.1.b"})
    row = map_one({"id": 1, "l": [{"a": "x"}, {"a": "y", "b": "z"}]}, several)
    assert (row["first"], row["second"], row["third"]) == ("x", "y", "z")


PATHS = [("id",), ("lots", "0", "bid"), ("make", "name"), ("make",), ('odd "key',)]


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (
            {"id": 1, "lots": [{"bid": 5, "x": 1}, {}], "make": {"name": "Kia"}, 'odd "key': 2},
            [1, 5, "Kia", {"name": "Kia"}, 2],
        ),
        ({}, [None] * 5),
        ({"lots": [], "make": []}, [None, None, None, [], None]),
        ({"lots": {}, "make": None}, [None] * 5),
        ({"lots": [None], "make": {}}, [None, None, None, {}, None]),
    ],
)
def test_decoded_records_and_plain_json_give_the_same_values(record: Any, found: list[Any]) -> None:
    type_ = RecordType(PATHS)
    decoded = msgspec.json.decode(json.dumps(record), type=type_.type)
    for owners in ([decoded], [record], [record, decoded, record]):
        columns = type_.gather(owners)
        for path, value in zip(PATHS, found, strict=True):
            assert columns[type_.slot(path)] == [value] * len(owners)


@pytest.mark.parametrize(
    ("record", "path", "reason"),
    [
        ({"make": "Kia"}, ("make", "name"), "a text instead of an object"),
        ({"lots": {"a": 1}}, ("lots", "0", "bid"), "an object instead of a list"),
        ({"lots": [7]}, ("lots", "0", "bid"), "a number instead of an object"),
        (7, ("id",), "a number instead of an object"),
    ],
)
def test_what_stands_in_the_way_is_said(record: Any, path: tuple[str, ...], reason: str) -> None:
    type_ = RecordType([path])
    decoded = msgspec.json.decode(json.dumps(record), type=type_.type)
    for value in type_.gather([decoded, record])[type_.slot(path)]:
        assert isinstance(value, Misplaced)
        assert value.reason == reason


def test_a_value_wanted_whole_is_walked_through() -> None:
    value = {"a": [{"b": 5}, 7], "0": {"c": None}}
    found = [("a", "0", "b"), ("a", "2"), ("0", "c"), ("0", "c", "d"), ()]
    assert [walk(value, path) for path in found] == [5, None, None, None, value]
    for path in (("a", "b"), ("a", "1", "b")):
        assert isinstance(walk(value, path), Misplaced)


def test_a_marker_on_the_way_is_the_value() -> None:
    nan = Unholdable("NaN")
    assert walk({"make": nan}, ("make", "name")) is nan
    type_ = RecordType([("make", "name"), ("lots", "0")])
    found = type_.gather([{"make": nan, "lots": nan}])
    assert [found[type_.slot(path)] for path in (("make", "name"), ("lots", "0"))] == [[nan]] * 2


def test_every_kind_of_value_has_a_name() -> None:
    values: list[Any] = [None, True, 7, 0.5, "x", [], {}, Unholdable("1e400")]
    names = ["null", "true", "a number", "a number", "a text", "a list", "an object", "1e400"]
    assert [describe(value) for value in values] == names
