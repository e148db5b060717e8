"""The rules of a mapping, checked: every error names its key in the configuration."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from string import Formatter

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from carsync.columns import MANAGED
from carsync.config.api_sections import Removals
from carsync.config.mapping_sections import (
    ColumnRule,
    HashAlgorithm,
    HashRules,
    MappingRules,
    Scalar,
)
from carsync.errors import ConfigError
from carsync.mapping.converters import compile_reader, read_texts
from carsync.mapping.fields import FieldPath, parse_path
from carsync.mapping.ids import ID_TYPES, separators
from carsync.mapping.numbers import NUMBERS
from carsync.mapping.rejected import RejectedValueError
from carsync.mapping.times import compile_parse, find_zone
from carsync.model import MATCH, REMOVED_AT

_NAME_BYTES = 63
"""PostgreSQL cuts longer names short."""
_SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
SOURCE = "source"
"""In a template this name stands for `sync.source`, unless a column has it."""
_STAGING = frozenset({"page", "ordinal"})
"""Columns of the staging table beside the mapping's."""


class Rules(Struct, frozen=True):
    """The effective rules: `columns` in row order with `id` first, and the hashed fields sorted."""

    columns: dict[str, ColumnRule]
    hash_fields: tuple[str, ...]
    hash_algorithm: HashAlgorithm


def check_rules(mapping: MappingRules) -> Rules:
    """Check a mapping whose preset is resolved; raise `ConfigError` for the first wrong rule."""
    rules = {name: rule for name, rule in mapping.columns.items() if rule is not None}
    for name, rule in rules.items():
        _check_rule(f"mapping.columns.{name}", name, rule)
    _check_id(rules.get("id"))
    rules = {"id": rules.pop("id"), **rules}
    for name, rule in rules.items():
        _check_template(f"mapping.columns.{name}", rule, rules)
    _check_parts(rules)
    algorithm = mapping.hash_.algorithm or "xxh3_128"
    return Rules(rules, _hash_fields(mapping.hash_, rules), algorithm)


def check_tombstone_rules(removals: Removals, mapped: Mapping[str, ColumnRule]) -> Rules:
    """Check how tombstones are read; raise `ConfigError` for the first wrong rule.

    `mapped` are the rules of the feed's own columns. Tombstones have the columns `id`,
    `REMOVED_AT`, those of `removals.match` behind `MATCH`, and those of `removals.set_`.
    """
    key = "api.removals"
    id_rule = _as_rule(removals.id)
    id_rule = replace(id_rule, type=mapped["id"].type, required=id_rule.template is None)
    at_rule = replace(_as_rule(removals.at), type="timestamptz", required=True)
    _check_id(id_rule, f"{key}.id")
    for complaint in _complaints(at_rule):
        raise ConfigError(f"{key}.at: {complaint}", detail=f"the rule is {_show(at_rule)}")
    matched = {
        f"{MATCH}{name}": _matched(f"{key}.match.{name}", _as_rule(rule), mapped.get(name))
        for name, rule in removals.match.items()
    }
    columns = {"id": id_rule, REMOVED_AT: at_rule, **matched, **removals.set_}
    for name, rule in removals.set_.items():
        _check_rule(f"{key}.set.{name}", name, rule)
        _check_set(f"{key}.set.{name}", rule, mapped.get(name))
        _check_template(f"{key}.set.{name}", rule, columns)
        if name == "id" or name in MANAGED:
            raise ConfigError(f"{key}.set.{name}: a tombstone cannot set this column")
    _check_template(f"{key}.id", id_rule, columns)
    _check_parts(columns, f"{key}.id")
    return Rules(columns, (REMOVED_AT,), "xxh3_128")


def _as_rule(rule: str | ColumnRule) -> ColumnRule:
    return ColumnRule(path=rule) if isinstance(rule, str) else rule


def _matched(key: str, rule: ColumnRule, mapped: ColumnRule | None) -> ColumnRule:
    """Return the rule of a column to compare, which is read as the feed's own is."""
    if mapped is None:
        raise ConfigError(f"{key}: mapping.columns has no such column")
    if not rule.paths:
        raise ConfigError(f"{key} needs a path", hint="where the tombstone holds the same value")
    if rule == ColumnRule(path=rule.path):
        rule = replace(rule, type=mapped.type, strip=mapped.strip)
    for complaint in _complaints(rule):
        raise ConfigError(f"{key}: {complaint}", detail=f"the rule is {_show(rule)}")
    return rule


def _check_set(key: str, rule: ColumnRule, mapped: ColumnRule | None) -> None:
    """Refuse a rule whose column the feed's own mapping fills with another type."""
    if rule.list_ is not None:
        raise ConfigError(f"{key}.list: a tombstone is on no list of api.lists")
    if mapped is not None and (rule.type, rule.equals is None) != (
        mapped.type,
        mapped.equals is None,
    ):
        raise ConfigError(
            f"{key}: its type is {rule.type}, and that of mapping.columns is {mapped.type}",
            hint=f"set type: {mapped.type}",
        )


def constant_value(rule: ColumnRule, value: Scalar) -> Scalar:
    """Return `value`, a rule's constant or default, as its column holds it.

    For jsonb and text[] columns `value` is JSON text. Raises `RejectedValueError` where the column
    cannot hold the value.
    """
    if value is None:
        return None
    if rule.type in {"jsonb", "text[]"} and isinstance(value, str):
        try:
            decoded = msgspec.json.decode(value)
        except msgspec.DecodeError as exc:
            raise RejectedValueError(f"{value!r} is not JSON text: {exc}") from None
        return value if rule.type == "jsonb" else read_texts(decoded)
    plain = replace(rule, equals=None, min=None, max=None, strip=False, format=None)
    read: Scalar = compile_reader(plain)(value)
    return read


def template_parts(template: str) -> list[tuple[str, str | None]]:
    """Split a template into (literal, name or None) parts; raise `ValueError` for anything else.

    >>> template_parts("{make} {.year}!")
    [('', 'make'), (' ', '.year'), ('!', None)]
    """
    parts = []
    for literal, name, spec, conversion in Formatter().parse(template):
        if name == "" or spec or conversion:
            raise ValueError("only {column} and {.path} are known")
        parts.append((literal, name))
    return parts


def fixed_names(rules: Mapping[str, ColumnRule]) -> frozenset[str]:
    """Return the names in templates whose value is the same in every record.

    >>> sorted(fixed_names({"make": ColumnRule(path="make"), "site": ColumnRule(constant="x")}))
    ['site', 'source']
    """
    varying = {name for name, rule in rules.items() if rule.constant is None}
    return frozenset({SOURCE, *rules} - varying)


def raw_paths(rules: Iterable[ColumnRule]) -> list[FieldPath]:
    """Return the paths in the record that the templates of `rules` name."""
    names = [name for rule in rules for _, name in template_parts(rule.template or "")]
    return [parse_path(name[1:]) for name in names if name is not None and name.startswith(".")]


def _check_rule(key: str, name: str, rule: ColumnRule) -> None:
    if not name.isprintable() or not 0 < len(name.encode()) <= _NAME_BYTES:
        raise ConfigError(
            f"{key}: no column of PostgreSQL has this name",
            hint=f"printable characters, {_NAME_BYTES} bytes of them at most",
        )
    if name in _SYSTEM_COLUMNS or name.startswith("carsync "):
        raise ConfigError(f"{key}: this name is taken", hint="give the column another name")
    _check_own(key, name, rule)
    for complaint in _complaints(rule):
        raise ConfigError(f"{key}: {complaint}", detail=f"the rule is {_show(rule)}")
    for part in ("constant", "default"):
        try:
            constant_value(rule, getattr(rule, part))
        except RejectedValueError as exc:
            raise ConfigError(f"{key}.{part}: {exc}", hint=f"its type is {rule.type}") from None
    read = compile_reader(rule)
    for value, becomes in rule.map.items():
        try:
            read(becomes)
        except RejectedValueError as exc:
            hint = f"the column's type is {rule.type}"
            raise ConfigError(f"{key}.map.{value}: {exc}", hint=hint) from None


def _check_own(key: str, name: str, rule: ColumnRule) -> None:
    """Refuse a rule for a column that carsync itself fills."""
    hint = f"leave it out: mapping.columns: {{{name}: null}}"
    if name in _STAGING:
        raise ConfigError(f"{key}: this column is carsync's own", hint=hint)
    column = MANAGED.get(name)
    if column is None:
        return
    if column.constant is not None:
        if rule == ColumnRule(constant=column.constant, type="boolean"):
            return
        hint += f", or fix it: {name}: {{constant: true, type: boolean}}"
    raise ConfigError(f"{key}: this column cannot be mapped", detail=column.managed, hint=hint)


def _complaints(rule: ColumnRule) -> Iterator[str]:
    """Give what is wrong within a rule: keys that miss each other, or do not fit its type."""
    if rule.path is None and rule.constant is None and rule.template is None and not rule.list_:
        yield "needs path, constant, list or template"
    if rule.list_ is not None and rule.path is not None:
        yield "list and path exclude each other"
    if rule.path == []:
        yield "path is an empty list"
    fixed = ColumnRule(constant=rule.constant, type=rule.type)
    if rule.constant is not None and rule != fixed:
        yield "constant excludes every other key but type"
    yield from _complaints_of_paths(rule)
    yield from _complaints_of_times(rule)
    if rule.equals is not None and rule.type not in {"boolean", "text"}:
        yield "equals makes a boolean: type must be boolean"
    if rule.type not in NUMBERS:
        if rule.min is not None or rule.max is not None:
            yield "min and max are for numbers"
        if rule.number != "whole":
            yield "number is for numbers"
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        yield "min is greater than max"
    if rule.strip and rule.type != "text":
        yield "strip is for texts"
    if rule.template is not None and (rule.type != "text" or rule.equals is not None):
        yield "template is for texts"
    if rule.template is not None and rule.default is not None:
        yield "template and default exclude each other"
    if rule.required and rule.default is not None:
        yield "required and default exclude each other"


def _complaints_of_paths(rule: ColumnRule) -> Iterator[str]:
    for path in rule.paths:
        try:
            if "" in parse_path(path):
                yield "path has an empty part"
        except ConfigError as exc:
            yield f"path: {exc.problem} ({exc.detail})"
    if "" in rule.paths and rule != ColumnRule(path="", type="jsonb", required=rule.required):
        yield 'path "" is the record itself: it needs type jsonb, and knows no other key'
    if not rule.paths and (rule.unwrap is not None or rule.map):
        yield "unwrap and map change the value at a path"


def _complaints_of_times(rule: ColumnRule) -> Iterator[str]:
    if rule.type != "timestamptz":
        if rule.format is not None or rule.zone is not None:
            yield "format and zone are for timestamptz"
        return
    if rule.zone is not None and (rule.format or "").startswith("epoch_"):
        yield "zone is for times that are written as a clock shows them"
    for part, check in (("zone", find_zone), ("format", compile_parse)):
        try:
            check(rule)
        except ValueError as exc:
            yield f"{part}: {exc}"
            return


def _show(rule: ColumnRule) -> str:
    usual = asdict(ColumnRule())
    shown = {name: value for name, value in asdict(rule).items() if value != usual[name]}
    return msgspec.json.encode(shown).decode()


def _check_id(rule: ColumnRule | None, key: str = "mapping.columns.id") -> None:
    if rule is None:
        raise ConfigError(
            f"{key} is missing",
            hint="every car needs its id: `id: {path: id, required: true}`",
        )
    is_made = rule.path is None and rule.template is not None
    if rule.type not in ID_TYPES or rule.equals is not None or rule.constant is not None:
        raise ConfigError(
            f"{key} must be of type {', '.join(ID_TYPES[:-1])} or {ID_TYPES[-1]}",
            detail=f"the rule is {_show(rule)}",
            hint="for example `id: {path: id, required: true}`",
        )
    if not (is_made or (rule.path is not None and rule.template is None and rule.required)):
        raise ConfigError(
            f"{key} must be required and have a path, or a template alone",
            detail=f"the rule is {_show(rule)}",
            hint="for example `id: {path: id, required: true}`, or, for numbers that collide, "
            '`id: {template: "{source}-{.id}"}`',
        )


def _check_template(key: str, rule: ColumnRule, rules: dict[str, ColumnRule]) -> None:
    if rule.template is None:
        return
    try:
        names = [name for _, name in template_parts(rule.template) if name is not None]
    except ValueError as exc:
        raise ConfigError(f"{key}.template: {exc}", detail=f"it is {rule.template!r}") from None
    for name in names:
        if name.startswith(".") and "" not in name[1:].split("."):
            continue
        if name == SOURCE and name not in rules:
            continue
        if name not in rules or rules[name].template is not None:
            raise ConfigError(
                f"{key}.template: there is no column {name} without a template of its own",
                detail=f"it is {rule.template!r}",
                hint=f"{{.{name.strip('.')}}} names the record's own value",
            )


def _check_parts(rules: dict[str, ColumnRule], key: str = "mapping.columns.id") -> None:
    """Refuse an id whose parts touch each other: 1 and 23 would be the car of 12 and 3."""
    template = rules["id"].template
    if template and "" in separators(template_parts(template), fixed_names(rules)).values():
        raise ConfigError(
            f"{key}.template: two parts have nothing between them",
            detail=f"it is {template!r}; 1 and 23 would be the same car as 12 and 3",
            hint='put a text between them that no part holds, as in "{.dealer}/{.number}"',
        )


def _hash_fields(hash_rules: HashRules, rules: dict[str, ColumnRule]) -> tuple[str, ...]:
    """Return the hashed fields: every column but the id where none are named."""
    fields = set(hash_rules.fields if hash_rules.fields is not None else rules.keys() - {"id"})
    for name in sorted(fields):
        if name not in rules:
            close = difflib.get_close_matches(name, rules, n=1)
            raise ConfigError(
                f"mapping.hash.fields: there is no column {name}",
                hint=f"did you mean {close[0]}?" if close else f"columns: {', '.join(rules)}",
            )
    if not fields:
        raise ConfigError(
            "mapping.hash.fields names no column",
            hint="without a field carsync would see no change",
        )
    return tuple(sorted(fields))
