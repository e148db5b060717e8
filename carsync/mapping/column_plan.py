"""How one column of a page is filled, and what is wrong with its values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any

from msgspec.structs import replace

from carsync.config.mapping_sections import ColumnRule, Scalar
from carsync.mapping.column_converters import compile_uniform
from carsync.mapping.converters import compile_reader, read_part
from carsync.mapping.fields import RecordType, parse_path
from carsync.mapping.ids import MAX_ID_CHARS, SpellId, compile_join, id_reader
from carsync.mapping.raw_values import compile_preparation
from carsync.mapping.rejected import Reader, RejectedValueError, UnreadableValueError
from carsync.mapping.rules import constant_value, template_parts
from carsync.model import Unread

_MISSING = "missing, and the column is required"

Listed = Mapping[str, str | int | float | bool]
"""The parameters of a list."""


class Faults:
    """What is wrong with the values of a page.

    `reasons` has the first reason why each rejected record is rejected, by ordinal.
    """

    def __init__(self) -> None:
        self.reasons: dict[int, tuple[str | None, str]] = {}
        self._unread: dict[str, dict[int, str]] = {}

    def add(self, ordinal: int, column: str | None, reason: str) -> None:
        """Note why a record is rejected, unless that is known already."""
        self.reasons.setdefault(ordinal, (column, reason))

    def count_unread(self, ids: Iterable[Any]) -> dict[str, Unread]:
        """Count by column the values that became the default, in records that are not rejected."""
        counted = {}
        for column, unread in self._unread.items():
            kept = [ordinal for ordinal in unread if ordinal not in self.reasons]
            if kept:
                record_id = next(islice(ids, kept[0], None))
                counted[column] = Unread(len(kept), record_id, unread[kept[0]])
        return counted

    def run(self, column: str, read: Reader, found: list[Any], default: Scalar) -> list[Any]:
        """Read the values `found`; a value that cannot be read becomes `default`, and is counted.

        Without a default, and where no row can hold the value, the record is rejected.
        """
        try:
            return list(map(read, found))
        except RejectedValueError:
            pass
        values = []
        for ordinal, value in enumerate(found):
            try:
                values.append(read(value))
            except RejectedValueError as exc:
                if default is not None and isinstance(exc, UnreadableValueError):
                    self._unread.setdefault(column, {})[ordinal] = str(exc)
                    values.append(default)
                else:
                    self.add(ordinal, column, str(exc))
                    values.append(None)
        return values

    def spell(self, spell: SpellId, ids: Iterable[str | None]) -> list[str | None]:
        """Write ids as the table's column does; one that it cannot hold stays, and is rejected."""
        spelt = list(ids)
        for ordinal, text in enumerate(spelt):
            if text is not None:
                try:
                    spelt[ordinal] = spell(text)
                except RejectedValueError as exc:
                    self.add(ordinal, "id", str(exc))
        return spelt


class ColumnPlan:
    """How one column of a page is filled."""

    def __init__(
        self, name: str, rule: ColumnRule, record_type: RecordType, fixed: Collection[str]
    ) -> None:
        self.name = name
        self.template = None if rule.template is None else template_parts(rule.template)
        is_made = name == "id" and self.template is not None
        self._join_id = compile_join(self.template or [], fixed) if is_made else None
        self._list = rule.list_
        self._required = rule.required
        self.slots = [record_type.slot(parse_path(p)) if p else 0 for p in rule.paths]
        self._prepare = compile_preparation(rule) if _is_prepared(rule) else None
        self._record_type = record_type
        reader = id_reader(rule) if name == "id" else compile_reader(rule)
        self._default = constant_value(rule, rule.default)
        self._demands_all = rule.required and self.template is None
        self._read = _complete(reader, self._default, self._demands_all)
        is_id = name == "id"
        text_rule = replace(rule, type="text") if is_id else rule
        self._read_uniform = compile_uniform(text_rule, MAX_ID_CHARS if is_id else None)

    def read(self, found: list[list[Any]], faults: Faults, listed: Listed) -> list[Any]:
        """Return the column's values, template aside."""
        if self._list is not None:
            same = [listed.get(self._list)] * len(found[0])
            return faults.run(self.name, self._read, same, self._default)
        if not self.slots:
            return [None] * len(found[0])
        raw = found[self.slots[0]]
        if self._prepare is not None:
            raw = self._prepare([found[slot] for slot in self.slots])
        values = self._read_uniform(raw) if self._read_uniform else None
        if values is None or (self._demands_all and None in values):
            default = None if self._demands_all else self._default
            return faults.run(self.name, self._read, raw, default)
        if self._default is not None and None in values:
            return [self._default if value is None else value for value in values]
        return values

    def fill(
        self, values: dict[str, Iterable[Any]], found: list[list[Any]], faults: Faults
    ) -> list[Any]:
        """Return the column's values; the template makes the missing ones."""
        assert self.template is not None
        filled = list(values[self.name])
        missing = [n for n, value in enumerate(filled) if value is None]
        template = self.template if missing else []
        parts = [(literal, self._source(name, values, found)) for literal, name in template]
        for n in missing:
            try:
                filled[n] = self._join([(literal, source[n]) for literal, source in parts])
            except RejectedValueError as exc:
                faults.add(n, self.name, str(exc))
                continue
            if filled[n] is None and self._required:
                faults.add(n, self.name, _MISSING)
        return filled

    def _join(self, parts: Iterable[tuple[str, Any]]) -> str | None:
        """Return the text that the parts make; an id lacks none of them."""
        if self._join_id is not None:
            return self._join_id([value for _, value in parts])
        return "".join([literal + read_part(value) for literal, value in parts]) or None

    def _source(
        self, name: str | None, values: dict[str, Iterable[Any]], found: list[list[Any]]
    ) -> list[Any]:
        if name is None:
            return [None] * len(found[0])
        if name.startswith("."):
            return found[self._record_type.slot(parse_path(name[1:]))]
        return [value for value, _ in zip(values[name], found[0], strict=False)]


def _is_prepared(rule: ColumnRule) -> bool:
    """Say whether the values at the one path are not simply the column's."""
    return len(rule.paths) > 1 or rule.unwrap is not None or bool(rule.map)


def _complete(reader: Reader, default: Scalar, required: bool) -> Reader:
    """Add to a reader what its rule says about missing values."""
    if default is None and not required:
        return reader

    def read_completed(value: Any) -> Any:
        read = reader(value)
        if read is None and required:
            raise RejectedValueError(_MISSING)
        return default if read is None else read

    return read_completed
