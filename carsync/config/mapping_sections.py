"""Typed configuration: the sections below `mapping`, their keys and their defaults."""

from __future__ import annotations

from typing import Literal

from carsync.config.section_base import Section

ColumnType = Literal[
    "text",
    "integer",
    "numeric",
    "boolean",
    "timestamptz",
    "jsonb",
    "smallint",
    "bigint",
    "double precision",
    "date",
    "uuid",
    "text[]",
]
IdType = Literal["text", "smallint", "integer", "bigint", "uuid"]
"""The types of a column of ids, as its table or `mapping.columns.id` has it."""
Scalar = str | int | float | bool | None


class ColumnRule(Section, frozen=True, rename={"list_": "list"}):
    """How one column gets its value.

    `path` is the place in the record (`lots.0.bid`, `lots[status.name=sale].bid`), or a list of
    places: the first one that holds a value counts. `""` is the record itself, as it came, for a
    jsonb column. `unwrap` names the field of an object that is the value: with `unwrap: value`
    `{"value": 8500}` is 8500, and a plain 8500 stays. `map` puts a value in the place of another
    one: `{sale: active, _: other}`; `_` stands for all that are not named, and without it these
    stay. `format` says how a time is written: `epoch_s`, `epoch_ms`, or as for Python's
    `strptime`; without it a time is ISO 8601. `zone` is the IANA zone of times without an offset.
    `constant` is a fixed value. `list` is a parameter of `api.lists`, whose value for the record's
    list is taken. `template` makes a text if the value is missing: `"{make} {.year}"` uses the
    column `make` and the record's own `year`; `{source}` is `sync.source`. A value that JavaScript
    takes for false (0, -0, NaN, false, null, the empty text) leaves its place empty. An id may
    have a template alone: there a missing part rejects the record, and 0 is a value. `default`
    replaces a value that is missing, that cannot be read as `type`, or that lies outside
    `min`..`max`. Without a default, a missing value is NULL, and an unreadable value rejects the
    record. `number: whole` reads the whole text like JavaScript's `Number`; `prefix` reads the
    number at its start like `parseFloat`. `equals` makes a boolean: true if the value equals it.
    """

    path: str | list[str] | None = None
    unwrap: str | None = None
    map: dict[str, Scalar] = {}
    type: ColumnType = "text"
    format: str | None = None
    zone: str | None = None
    default: Scalar = None
    constant: Scalar = None
    list_: str | None = None
    template: str | None = None
    min: float | None = None
    max: float | None = None
    strip: bool = False
    required: bool = False
    number: Literal["whole", "prefix"] = "whole"
    equals: Scalar = None

    @property
    def paths(self) -> tuple[str, ...]:
        """All places of the value, the first choice first."""
        if self.path is None:
            return ()
        return (self.path,) if isinstance(self.path, str) else tuple(self.path)


HashAlgorithm = Literal["xxh3_128", "md5"]


class HashRules(Section, frozen=True):
    """Which columns make a row's `data_hash`, and by which algorithm."""

    algorithm: HashAlgorithm | None = None
    fields: list[str] | None = None


class MappingRules(Section, frozen=True, rename={"hash_": "hash"}):
    """The preset's rules; `columns` replaces or adds rules. Null leaves a column out."""

    preset: str | None = "auctionsapi"
    columns: dict[str, ColumnRule | None] = {}
    hash_: HashRules = HashRules()
