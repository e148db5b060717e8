"""Ids as the table's column writes them, and ids made of parts."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.mapping_sections import ColumnRule, MappingRules
from carsync.config.presets.loader import resolve
from carsync.config.sections import Config, Sync
from carsync.mapping.javascript import js_number
from carsync.mapping.mapper import Mapper
from tests.support.mappers import map_one, mapper_of, record, reject_of

SPELT = [
    ("bigint", "007", "7"),
    ("bigint", " 7\t", "7"),
    ("bigint", "+7", "7"),
    ("bigint", "-0", "0"),
    ("bigint", 7.0, "7"),
    ("bigint", 2**63 - 1, str(2**63 - 1)),
    ("integer", "-2147483648", "-2147483648"),
    ("uuid", "2F1E9A7C-0000-4000-8000-00000000ABCD", "2f1e9a7c-0000-4000-8000-00000000abcd"),
    ("uuid", "{2f1e9a7c00004000800000000000abcd}", "2f1e9a7c-0000-4000-8000-00000000abcd"),
    ("text", "007", "007"),
    ("text", " 7", " 7"),
]


def mapper_with_ids(id_type: Any, **rule: Any) -> Mapper:
    id_rule = {"path": "id", "required": True, "type": id_type, **rule}
    return mapper_of(id=id_rule, make={"path": "manufacturer.name"})


@pytest.mark.parametrize(("id_type", "given", "spelt"), SPELT)
def test_an_id_is_spelt_as_its_column_writes_it(id_type: str, given: object, spelt: str) -> None:
    """Two spellings of one id are one car, by which all of carsync knows it."""
    assert map_one(record(id=given), mapper_with_ids(id_type))["id"] == spelt


@pytest.mark.parametrize(
    ("id_type", "given"),
    [
        ("bigint", "7.5"),
        ("bigint", "7.0"),
        ("bigint", "0x7"),
        ("bigint", "1_000"),
        ("bigint", "٧"),
        ("bigint", "WAU1"),
        ("bigint", " "),
        ("bigint", 2**63),
        ("bigint", 1e30),
        ("integer", 2**31),
        ("smallint", 40000),
        ("uuid", "7"),
        ("uuid", "2f1e9a7c-0000-4000-8000-00000000abcg"),
    ],
)
def test_an_id_that_its_column_cannot_hold_rejects_the_record(id_type: str, given: object) -> None:
    """The reject keeps the id as the feed has it: no row of the table can be this car."""
    reject = reject_of(record(id=given), mapper_with_ids(id_type))
    assert reject.column == "id"
    assert reject.record_id == (given if isinstance(given, str) else js_number_or_int(given))
    assert id_type in reject.reason.lower()


def js_number_or_int(value: Any) -> str:
    return str(value) if isinstance(value, int) else js_number(value)


def test_a_rejected_record_is_known_by_its_id_as_the_table_has_it() -> None:
    """Else the car that it speaks of would be taken for absent."""
    mapper = mapper_of(
        id={"path": "id", "required": True, "type": "bigint"},
        make={"path": "make", "required": True},
    )
    assert reject_of({"id": "007"}, mapper).record_id == "7"


def test_the_type_of_ids_leaves_hashes_and_fingerprint_as_they_are() -> None:
    texts, numbers = mapper_with_ids("text"), mapper_with_ids("bigint")
    assert (texts.fingerprint, texts.hash_scheme) == (numbers.fingerprint, numbers.hash_scheme)
    value = record(id="7")
    assert map_one(value, texts) == map_one(value, numbers)
    assert [c.type for c in numbers.columns][:2] == ["bigint", "text"]


def test_an_id_is_made_of_parts_and_lacks_none() -> None:
    rules: dict[str, Any] = {
        "id": {"template": "{make}/{.lot}-{year}"},
        "make": {"path": "make"},
        "year": {"path": "year", "type": "integer"},
    }
    mapper = mapper_of(**rules)
    whole = {"make": "Kia", "lot": 0, "year": 2019}
    assert map_one(whole, mapper)["id"] == "Kia/0-2019"
    for part in whole:
        reject = reject_of({**whole, part: None}, mapper)
        assert (reject.record_id, reject.column) == (None, "id")
        assert reject.reason == f"{part} is missing, and the id needs it"
    long = reject_of({**whole, "make": "x" * 600}, mapper)
    assert long.reason == "the id is longer than 512 characters"
    assert reject_of({**whole, "lot": True}, mapper).reason == "true is not part of an id"


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("{.a}-{.b}", ("a-b", "c"), None),
        ("{.a}-{.b}", ("a", "b-c"), "a-b-c"),
        ("{.a}--{.b}", ("a-", "b"), None),
        ("{.a}--{.b}", ("a-b", "-c"), "a-b---c"),
        ("{make}-{.b}", ("x", "1"), None),
        ("{where}-{.a}/{.b}", ("a-b", "1/2"), "south-korea-a-b/1/2"),
        ("{.a}-{where}", ("a-b", ""), "a-b-south-korea"),
    ],
)
def test_no_two_cars_have_one_id_made_of_parts(
    template: str, values: tuple[str, str], expected: str | None
) -> None:
    mapper = mapper_of(
        id={"template": template}, make={"path": "make"}, where={"constant": "south-korea"}
    )
    given = {"a": values[0], "b": values[1], "make": "Mercedes-Benz"}
    if expected is None:
        assert "holds '-" in reject_of(given, mapper).reason
    else:
        assert map_one(given, mapper)["id"] == expected


def test_the_source_has_a_place_in_templates() -> None:
    columns: dict[str, Any] = {"id": {"template": "{source}-{.id}"}, "make": {"path": "make"}}
    rules = {name: ColumnRule(**rule) for name, rule in columns.items()}
    config = Config(
        mapping=resolve(MappingRules(preset=None, columns=dict(rules))), sync=Sync(source="north")
    )
    assert map_one({"id": 7}, Mapper.load(config))["id"] == "north-7"
