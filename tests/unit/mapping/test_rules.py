"""The rules of a mapping: what is wrong with them is named with its key."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from carsync.config.api_sections import Removals
from carsync.config.mapping_sections import ColumnRule, HashRules, MappingRules
from carsync.config.presets.loader import resolve
from carsync.errors import ConfigError
from carsync.mapping.rules import (
    check_rules,
    check_tombstone_rules,
    constant_value,
    raw_paths,
)
from carsync.model import REMOVED_AT
from tests.support.mappers import load_mapper, mapper_of


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"a": {}}, "mapping.columns.a: needs path, constant, list or template"),
        ({"a": {"path": "a..b"}}, "mapping.columns.a: path has an empty part"),
        ({"a": {"path": ["a", "b..c"]}}, "mapping.columns.a: path has an empty part"),
        ({"a": {"path": []}}, "mapping.columns.a: path is an empty list"),
        ({"a": {"path": "lots[sale]"}}, "lots[sale] is not the path of a value"),
        ({"a": {"template": "{.lots[sale]}"}}, "lots[sale] is not the path of a value"),
        ({"a": {"path": ""}}, 'path "" is the record itself'),
        ({"a": {"path": ["a", ""], "type": "jsonb"}}, 'path "" is the record itself'),
        ({"a": {"template": "{id}", "map": {"a": "b"}}}, "unwrap and map change the value"),
        ({"a": {"path": "a", "type": "integer", "map": {"b": "c"}}}, "mapping.columns.a.map.b: 'c"),
        ({"a": {"path": "a", "format": "epoch_s"}}, "format and zone are for timestamptz"),
        ({"a": {"path": "a", "type": "timestamptz", "format": "%Y %Y"}}, "redefinition of group"),
        ({"a": {"path": "a", "type": "timestamptz", "format": "%H"}}, "format: it has no year"),
        (
            {"a": {"path": "a", "type": "timestamptz", "format": "%Y %Q"}},
            "columns.a: format",
        ),
        ({"a": {"path": "a", "type": "timestamptz", "format": "%Y %Z"}}, "%Z reads no offset"),
        ({"a": {"path": "a", "type": "timestamptz", "zone": "Mars"}}, "there is no zone 'Mars'"),
        (
            {"a": {"path": "a", "type": "timestamptz", "format": "epoch_s", "zone": "UTC"}},
            "clock",
        ),
        ({"a": {"constant": 1, "path": "a", "type": "integer"}}, "mapping.columns.a: constant"),
        ({"a": {"path": "a", "equals": "x", "type": "integer"}}, "type must be boolean"),
        ({"a": {"path": "a", "min": 1}}, "min and max are for numbers"),
        ({"a": {"path": "a", "type": "integer", "min": 2, "max": 1}}, "greater than max"),
        ({"a": {"path": "a", "number": "prefix"}}, "number is for numbers"),
        ({"a": {"path": "a", "type": "integer", "strip": True}}, "strip is for texts"),
        ({"a": {"path": "a", "type": "integer", "template": "{b}"}}, "template is for texts"),
        ({"a": {"path": "a", "template": "{b}", "default": "c"}}, "exclude each other"),
        ({"a": {"path": "a", "required": True, "default": "c"}}, "exclude each other"),
        ({"a": {"template": "{nowhere}"}}, "mapping.columns.a.template: there is no column"),
        ({"a": {"template": "{b"}}, "mapping.columns.a.template"),
        ({"id": {"template": "{.a}{.b}"}}, "two parts have nothing between them"),
        ({"a": {"template": "{id!r}"}}, "mapping.columns.a.template"),
        ({"a": {"path": "a", "type": "integer", "default": "x"}}, "mapping.columns.a.default"),
        ({"a": {"constant": "[", "type": "jsonb"}}, "mapping.columns.a.constant"),
        ({"a": {"constant": "2024-02-30", "type": "timestamptz"}}, "mapping.columns.a.constant"),
        ({"a": {"constant": 2**40, "type": "integer"}}, "mapping.columns.a.constant"),
        ({"a\nb": {"path": "a"}}, "no column of PostgreSQL has this name"),
        ({"ä" * 32: {"path": "a"}}, "no column of PostgreSQL has this name"),
        ({"xmin": {"path": "a"}}, "mapping.columns.xmin: this name is taken"),
        ({"data_hash": {"path": "a"}}, "mapping.columns.data_hash"),
        ({"source_api": {"constant": "a"}}, "mapping.columns.source_api"),
        ({"id": {"path": "id"}}, "mapping.columns.id must be required"),
        ({"id": {"path": "id", "required": True, "type": "numeric"}}, "mapping.columns.id"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)
def test_a_wrong_rule_is_named(columns: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        mapper_of(**columns)
    assert complaint in str(caught.value)


def test_a_mapping_without_id_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mapping\.columns\.id is missing"):
        load_mapper(MappingRules(columns={"id": None}))


def test_a_hashed_field_has_to_be_a_column() -> None:
    mapping = MappingRules(hash_=HashRules(fields=["make", "modle"]))
    with pytest.raises(ConfigError, match=r"mapping\.hash\.fields: there is no column modle") as e:
        load_mapper(mapping)
    assert e.value.hint == "did you mean model?"
    with pytest.raises(ConfigError, match="names no column"):
        load_mapper(MappingRules(hash_=HashRules(fields=[])))


def test_the_first_complaint_names_key_and_rule() -> None:
    with pytest.raises(ConfigError) as caught:
        mapper_of(vin={"path": "v..n", "strip": True, "number": "prefix"})
    assert caught.value.problem == "mapping.columns.vin: path has an empty part"
    assert caught.value.detail == 'the rule is {"path":"v..n","strip":true,"number":"prefix"}'


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"type": "integer"}, "7"),
        ({"type": "jsonb"}, '{"a": 1}'),
        ({"type": "boolean"}, "true"),
        ({"type": "timestamptz"}, "2024-05-01"),
        ({"strip": True}, " a "),
        ({"type": "numeric", "min": 1}, 0),
    ],
)
def test_a_constant_is_held_as_its_column_holds_it(rule: dict[str, Any], value: Any) -> None:
    held = [7, '{"a": 1}', True, "2024-05-01T00:00:00+00:00", " a ", 0]
    assert constant_value(ColumnRule(**rule), value) in held
    assert constant_value(ColumnRule(**rule), None) is None


def test_rules_come_with_the_id_first_and_the_hashed_fields_sorted() -> None:
    columns = {"make": ColumnRule(path="m"), "id": ColumnRule(path="id", required=True)}
    rules = check_rules(MappingRules(preset=None, columns=dict(columns)))
    assert list(rules.columns) == ["id", "make"]
    assert (rules.hash_fields, rules.hash_algorithm) == (("make",), "xxh3_128")


def test_the_paths_of_templates_are_those_of_the_record() -> None:
    templates = [ColumnRule(template="{make} {.year} {.lots.0.bid}{{}}"), ColumnRule(path="x")]
    assert raw_paths(templates) == [("year",), ("lots", "0", "bid")]


SOLD = Removals(path="/sold", id="car_id", at="sold_at")


def test_tombstones_have_the_feed_s_ids_and_what_they_set() -> None:
    mapped = check_rules(resolve(MappingRules())).columns
    rule = ColumnRule(path="lot", strip=True)
    known = {**mapped, "id": replace(mapped["id"], type="bigint"), "lot_number": rule}
    told = replace(SOLD, match={"lot_number": "lot"}, set_={"status": ColumnRule(constant="sold")})
    columns = check_tombstone_rules(told, known).columns
    assert list(columns) == ["id", REMOVED_AT, "= lot_number", "status"]
    assert (columns["id"].type, columns["id"].required) == ("bigint", True)
    assert (columns[REMOVED_AT].type, columns[REMOVED_AT].required) == ("timestamptz", True)
    assert columns["= lot_number"].strip


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"id": ColumnRule(template="{.a}{.b}")}, "api.removals.id.template: two parts"),
        ({"id": ColumnRule(constant=7)}, "api.removals.id must"),
        ({"at": ColumnRule(path="x", zone="Mars/Base")}, "api.removals.at: zone"),
        ({"at": "x..y"}, "api.removals.at: path"),
        ({"set_": {"price": ColumnRule(path="p")}}, "its type is text, and that of mapping"),
        ({"set_": {"is_active": ColumnRule(constant=True, type="boolean")}}, "cannot set"),
        ({"set_": {"updated_at": ColumnRule(path="p", type="timestamptz")}}, "cannot be mapped"),
        ({"set_": {"make": ColumnRule(list_="make")}}, "on no list"),
        ({"set_": {"odd": ColumnRule(path="p", type="date", strip=True)}}, "strip is for texts"),
        ({"match": {"lot": "lot"}}, "mapping.columns has no such column"),
        ({"match": {"make": ColumnRule(constant="Kia")}}, "needs a path"),
    ],
)
def test_a_wrong_rule_of_a_tombstone_is_named(told: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        check_tombstone_rules(replace(SOLD, **told), check_rules(resolve(MappingRules())).columns)
