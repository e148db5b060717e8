"""JSON values become column values, or say why not: by a mapper, and by the readers alone."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.mapping_sections import ColumnRule
from carsync.mapping.converters import compile_reader, read_json, read_part, read_text
from carsync.mapping.fields import Misplaced, Unholdable
from carsync.mapping.rejected import RejectedValueError, UnreadableValueError
from carsync.model import Column
from tests.support.mappers import map_one, mapper_of, reject_of


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00+00:00"),
        ("2024-05-01 12:00:00", "2024-05-01T12:00:00+00:00"),
        ("2024-05-01T12:00:00.123456789+09:00", "2024-05-01T03:00:00.123456+00:00"),
        ("2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("", None),
        (None, None),
    ],
)
def test_times_are_written_in_utc(text: str | None, moment: str | None) -> None:
    mapper = mapper_of(sale_date={"path": "at", "type": "timestamptz"})
    assert map_one({"id": 1, "at": text}, mapper)["sale_date"] == moment


@pytest.mark.parametrize(
    "text",
    ["2024-02-30", "0000-00-00 00:00:00", "tomorrow", "0001-01-01T00:00:00+09:00", 20240501, {},
     "2024-05-01T25:00:00", "99999-01-01", "2024\u000005-01"],
)  # fmt: skip
def test_times_that_do_not_exist_reject_the_record(text: Any) -> None:
    mapper = mapper_of(sale_date={"path": "at", "type": "timestamptz"})
    assert reject_of({"id": 1, "at": text}, mapper).column == "sale_date"


@pytest.mark.parametrize(
    ("value", "read"),
    [(True, True), (0, False), (1.0, True), ("1", True), (" False ", False), ("", None)],
)
def test_booleans_are_read_from_numbers_and_words(value: Any, read: bool | None) -> None:
    mapper = mapper_of(sold={"path": "sold", "type": "boolean"})
    assert map_one({"id": 1, "sold": value}, mapper)["sold"] is read


@pytest.mark.parametrize("value", [2, "yes", [], {"a": 1}, "\u0000"])
def test_what_is_no_boolean_rejects_the_record_without_a_default(value: Any) -> None:
    mapper = mapper_of(sold={"path": "sold", "type": "boolean"})
    assert reject_of({"id": 1, "sold": value}, mapper).column == "sold"


@pytest.mark.parametrize(
    ("wanted", "value", "equal"),
    [("sale", "sale", True), ("sale", "Sale", False), (1, True, False), (1, 1.0, True),
     (True, 1, False), (True, True, True), ("sale", None, False)],
)  # fmt: skip
def test_equals_compares_value_and_kind(wanted: Any, value: Any, equal: bool) -> None:
    mapper = mapper_of(live={"path": "s", "equals": wanted})
    assert map_one({"id": 1, "s": value}, mapper)["live"] is equal
    assert Column("live", "boolean") in mapper.columns


def test_a_value_without_default_is_null_when_missing_and_rejects_when_unreadable() -> None:
    mapper = mapper_of(bid={"path": "bid", "type": "numeric", "min": 0})
    assert map_one({"id": 1}, mapper)["bid"] is None
    assert "abc" in reject_of({"id": 1, "bid": "abc"}, mapper).reason
    assert "outside" in reject_of({"id": 1, "bid": -1}, mapper).reason


def test_only_what_javascript_trims_is_stripped() -> None:
    mapper = mapper_of(make={"path": "make", "strip": True})
    assert map_one({"id": 1, "make": "\ufeff\u2028 BMW\u00a0"}, mapper)["make"] == "BMW"
    assert map_one({"id": 1, "make": "\x1cBMW\x85"}, mapper)["make"] == "\x1cBMW\x85"


@pytest.mark.parametrize(
    ("rule", "value", "read"),
    [
        ({}, "BMW", "BMW"),
        ({}, 2**70, str(2**70)),
        ({}, -0.0, "0"),
        ({}, False, "false"),
        ({"strip": True}, "\u2028 ", None),
        ({"type": "integer"}, 2019.9, 2019),
        ({"type": "integer"}, " 12 ", 12),
        ({"type": "integer", "number": "prefix"}, "12.9abc", 12),
        ({"type": "integer", "number": "prefix"}, " ", None),
        ({"type": "integer"}, " ", 0),  # Number("") is 0
        ({"type": "numeric"}, 15000.0, 15000),
        ({"type": "numeric"}, 1e21, 1e21),
        ({"type": "numeric"}, 2**60 + 1, 1152921504606847000),
        ({"type": "jsonb"}, {"a": [2**70, "é"]}, '{"a":[1180591620717411303424,"é"]}'),
        ({"equals": 1}, 1.0, True),
        ({"equals": 1}, None, False),
    ],
)
def test_a_reader_gives_the_value_of_its_column(
    rule: dict[str, Any], value: Any, read: Any
) -> None:
    found = compile_reader(ColumnRule(path="x", **rule))(value)
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("rule", "value", "reason"),
    [
        ({"type": "integer", "min": 1901}, 1900, "1900 is outside 1901..None"),
        ({"type": "integer"}, "x", "'x' is not a number"),
        ({"type": "integer"}, 2**31, "outside the range of an integer column"),
        ({"type": "numeric"}, "1e400", "beyond the range of a double"),
        ({"type": "numeric"}, 10**400, "beyond the range of a double"),
        ({"type": "numeric"}, Unholdable("1e400"), "beyond the range of a double"),
        ({"type": "numeric"}, True, "true is not a number"),
        ({"type": "boolean"}, 2, "a number is not a boolean"),
        ({"type": "timestamptz"}, "now", "'now' is not an ISO 8601 time"),
        ({}, Misplaced("a text instead of an object"), "a text instead of"),
        ({"equals": "x"}, [], "a list is not a single value"),
    ],
)
def test_a_value_of_another_type_is_unreadable_so_that_a_default_replaces_it(
    rule: dict[str, Any], value: Any, reason: str
) -> None:
    with pytest.raises(UnreadableValueError, match=reason):
        compile_reader(ColumnRule(path="x", **rule))(value)


@pytest.mark.parametrize(
    ("rule", "value", "reason"),
    [
        ({}, "a\0b", "contains NUL"),
        ({}, "\ud800", "lone surrogate"),
        ({"strip": True}, "a\0", "contains NUL"),
        ({"type": "numeric"}, Unholdable("NaN"), "no column can hold NaN"),
        ({"type": "jsonb"}, ["\0"], "a text with NUL"),
        ({"type": "jsonb"}, [Unholdable("1e400")], "no column can hold 1e400"),
        ({"equals": "x"}, "\0", "contains NUL"),
    ],
)
def test_a_value_that_no_row_can_hold_is_rejected_default_or_not(
    rule: dict[str, Any], value: Any, reason: str
) -> None:
    with pytest.raises(RejectedValueError, match=reason) as caught:
        compile_reader(ColumnRule(path="x", **rule))(value)
    assert not isinstance(caught.value, UnreadableValueError)


def test_a_quoted_value_is_short_and_printable() -> None:
    with pytest.raises(UnreadableValueError) as caught:
        compile_reader(ColumnRule(path="x", type="boolean"))("\x1b[2J" + "x" * 100)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 100


def test_an_escaped_nul_is_told_from_an_escaped_backslash() -> None:
    assert read_json("\\u0000") == '"\\\\u0000"'
    with pytest.raises(RejectedValueError):
        read_json("\\\0")


def test_a_part_of_a_template_is_a_text_or_rejects() -> None:
    parts = [2019, 7.0, "0", " ", True, 0, -0.0, False, None, "", Unholdable("NaN")]
    assert [read_part(part) for part in parts] == ["2019", "7", "0", " ", "true"] + [""] * 6
    refused: tuple[Any, ...] = (Unholdable("Infinity"), [], {}, "\0")
    for part in refused:
        with pytest.raises(RejectedValueError):
            read_part(part)
    assert [read_text(value) for value in (0, False, "", None)] == ["0", "false", None, None]
