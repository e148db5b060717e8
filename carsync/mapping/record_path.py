"""By which values of a row its record is asked for: those in `api.record.path`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from carsync.config.api_sections import Record
from carsync.config.mapping_sections import ColumnRule
from carsync.errors import ConfigError
from carsync.mapping.choice import Choice
from carsync.mapping.converters import read_text
from carsync.mapping.fields import FieldPath, parse_path, walk
from carsync.mapping.rules import constant_value

_KEY = "api.record.path"
_NOT_ASKABLE = frozenset({"jsonb", "text[]", "timestamptz"})


class Place(Struct, frozen=True):
    """One place in the path: the value of a `column`, or of its field at `inner`, or a `constant`.

    A column with a field is a jsonb column that keeps the record itself.
    """

    column: str = ""
    inner: FieldPath = ()
    constant: str | None = None


BY_ID = (Place("id"),)
"""The one place of `/cars/{id}`."""


def find_places(record: Record | None, rules: Mapping[str, ColumnRule]) -> tuple[Place, ...]:
    """Return the places in a record's path; raise `ConfigError` for a value that no row holds.

    Raises it for a wrong path in `gone_when` too. Without a `record` there are no places.

    >>> find_places(Record(path="/lot/{lot_number}"), {"lot_number": ColumnRule(path="lot")})
    (Place(column='lot_number', inner=(), constant=None),)
    """
    if record is None:
        return ()
    for name in record.gone_when:
        parse_path(name.removeprefix("."))
    return tuple(
        _field_place(name[1:], rules) if name.startswith(".") else _column_place(name, rules)
        for name in record.places
    )


def read_places(places: tuple[Place, ...], row: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the values of a row's places, as they stand in the path; None where one is missing."""
    values = tuple(_read(place, row) for place in places)
    return tuple(filter(None, values)) if all(values) else None


def _read(place: Place, row: Mapping[str, Any]) -> str | None:
    if place.constant is not None:
        return place.constant
    value = row.get(place.column)
    if place.inner and value is not None:
        value = walk(msgspec.json.decode(value), place.inner)
    is_single = value is None or isinstance(value, str | int | float | bool)
    return read_text(value) if is_single else None


def _column_place(name: str, rules: Mapping[str, ColumnRule]) -> Place:
    rule = rules.get(name)
    if rule is None:
        raise ConfigError(
            f"{_KEY} names {{{name}}}, which is no mapped column",
            hint=f"a field of the record begins with a dot: {{.{name}}}",
        )
    if rule.type in _NOT_ASKABLE:
        raise ConfigError(
            f"{_KEY} names {{{name}}}, whose type is {rule.type}",
            hint="a column that is a text or a number can stand there",
        )
    if rule.constant is not None:
        return Place(constant=read_text(constant_value(rule, rule.constant)))
    return Place(name)


def _field_place(field: str, rules: Mapping[str, ColumnRule]) -> Place:
    """Find the column that holds a record's field as it came."""
    path = parse_path(field)
    for name, rule in rules.items():
        is_plain = rule == ColumnRule(path=rule.path, strip=rule.strip, required=rule.required)
        if is_plain and [parse_path(each) for each in rule.paths] == [path]:
            return Place(name)
    kept = next((name for name, rule in rules.items() if rule.path == ""), None)
    if kept is not None and not any(isinstance(part, Choice) for part in path):
        return Place(kept, path)
    raise ConfigError(
        f"{_KEY} names {{.{field}}}, which no column of the table holds",
        detail="a car that left the feed is asked for by what the table knows of it",
        hint=f"give the field a column of its own (mapping.columns), e.g. asked_by: "
        f'{{path: "{field}"}}',
    )
