"""Record → typed row, compiled once from the preset's rules and the configuration's.

A page is mapped column by column: one reader runs over the same column of all
records. Only where it raises is that column read record by record, to tell the
poisoned ones from the rest.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice, repeat
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from carsync.config.api_sections import Pagination
from carsync.config.lists import combine
from carsync.config.mapping_sections import ColumnRule, Scalar
from carsync.config.sections import Config
from carsync.mapping.column_converters import compile_uniform
from carsync.mapping.converters import (
    Reader,
    RejectedValueError,
    UnreadableValueError,
    compile_reader,
    read_part,
)
from carsync.mapping.decoder import DecodedPage, PageDecoder, common_fields
from carsync.mapping.fields import RecordType, describe, parse_path
from carsync.mapping.hashing import compile_hasher, scheme_of
from carsync.mapping.ids import (
    MAX_ID_CHARS,
    SpellId,
    compile_join,
    compile_spelling,
    id_reader,
)
from carsync.mapping.raw_values import compile_preparation
from carsync.mapping.record_path import BY_ID, Place, find_places
from carsync.mapping.rules import (
    SOURCE,
    Rules,
    check_rules,
    constant_value,
    raw_paths,
    template_parts,
)
from carsync.model import (
    MAX_ORIGINAL_CHARS,
    Column,
    OriginalKind,
    PageNotes,
    Reject,
    Row,
    Unread,
)

MAX_TIMES_PAGE_SIZE = 100
"""A page of more than this many times the page size is taken for an attack."""

_MAPPING_VERSION = 4
"""Raised when the same rules give other rows, so that no run holds rows of both kinds."""

_MISSING = "missing, and the column is required"


Listed = Mapping[str, str | int | float | bool]
"""The parameters of a list."""
NO_LIST: Listed = {}


class PageContent(Struct, frozen=True):
    """The content of a page: a row (`(ordinal, *columns)`) for each good record, else a reject.

    Ordinals count the records of the page from 0. `records` is the number of all records.
    `values` stand at the mapper's `paths` beside the records; None where nothing does.
    """

    rows: tuple[Row, ...]
    rejects: tuple[Reject, ...]
    records: int
    values: tuple[Any, ...] = ()
    notes: PageNotes = PageNotes()


class Mapper:
    """Maps the pages of one feed; made by `Mapper.load`.

    `columns` are the staged columns in row order, `id` first and `data_hash` last.
    `constants` are the columns with the same value in every row; no row carries them.
    `defaults` are the mapped columns with their defaults, `id` and constants aside. `paths`
    are the columns that are read from records, each with its path.
    `places` are those in `api.record.path`. `hash_scheme` names the rules of the hashes,
    `fingerprint` is a digest of all rules.
    """

    def __init__(
        self,
        rules: Rules,
        pagination: Pagination,
        paths: Sequence[str] = (),
        source: str = "",
        listed: Listed = NO_LIST,
    ) -> None:
        self._listed = listed
        self.needs_list = any(rule.list_ is not None for rule in rules.columns.values())
        """Whether a record alone does not tell all of its row."""
        varying = {n: r for n, r in rules.columns.items() if r.constant is None}
        self.columns = (
            *(Column(n, r.type if r.equals is None else "boolean") for n, r in varying.items()),
            Column("data_hash", "text"),
        )
        self.constants: tuple[tuple[Column, Scalar], ...] = tuple(
            (Column(name, rule.type), constant_value(rule, rule.constant))
            for name, rule in rules.columns.items()
            if rule.constant is not None
        )
        self.defaults: dict[str, Scalar] = {
            name: constant_value(rule, rule.default)
            for name, rule in varying.items()
            if name not in {"id", "external_id"}
        }
        self.paths = {n: " or ".join(r.paths) for n, r in varying.items() if r.paths}
        self.places: tuple[Place, ...] = BY_ID
        self.hash_scheme = scheme_of(rules.hash_fields, rules.hash_algorithm)
        # The table says how ids are written: before it is seen, a run must know its own.
        columns = {**rules.columns, "id": replace(rules.columns["id"], type="text")}
        hashed = (_MAPPING_VERSION, columns, rules.hash_fields, rules.hash_algorithm)
        digest = hashlib.blake2b(msgspec.json.encode(hashed), digest_size=16)
        self.fingerprint = digest.hexdigest()
        mapped = [parse_path(path) for rule in varying.values() for path in rule.paths if path]
        self._keeps_records = any("" in rule.paths for rule in varying.values())
        self._record_type = RecordType([*mapped, *raw_paths(varying.values())])
        has_size = pagination.type != "none"
        most = MAX_TIMES_PAGE_SIZE * max(pagination.page_size, 100) if has_size else math.inf
        self._page_decoder = PageDecoder(pagination.records, paths, self._record_type, most)
        self._list_decoder = PageDecoder("", (), self._record_type)
        self._spell_id = compile_spelling(rules.columns["id"].type)
        self._constants = {SOURCE: source, **{c.name: value for c, value in self.constants}}
        fixed = self._constants.keys() - varying.keys()
        self._plans = [_Plan(n, rule, self._record_type, fixed) for n, rule in varying.items()]
        self._hash_fields = rules.hash_fields
        self._hash = compile_hasher(rules.hash_fields, rules.hash_algorithm)

    @classmethod
    def load(cls, config: Config, paths: Sequence[str] = ()) -> Mapper:
        """Compile the configuration's mapping; raise `ConfigError` naming the key that is wrong.

        `paths` are dotted paths in an answer, whose values come with each page.
        """
        rules, source = check_rules(config.mapping), config.sync.source
        listed = combine(config.api.lists)[0]
        mapper = cls(rules, config.api.pagination, paths, source, listed)
        mapper.places = find_places(config.api.record, rules.columns)
        return mapper

    def map_page(
        self, body: bytes, *, list_fields: bool = False, listed: Listed | None = None
    ) -> PageContent:
        """Map the body of an answer; raise `PageError` (`BAD_PAGE`) for what is no feed page.

        `list_fields`: the notes list the fields that most records have, which takes a while.
        `listed` are the parameters of the page's list, by default those of the first one.
        """
        return self._map(self._page_decoder.decode(body), listed, list_fields=list_fields)

    def peek(self, body: bytes) -> tuple[Any, ...] | None:
        """Return what stands beside the records of an answer, in no time; None where it fails."""
        return self._page_decoder.peek(body)

    def map_array(self, body: bytes) -> PageContent:
        """Map a bare JSON array of records; raise `PageError` for anything else."""
        return self._map(self._list_decoder.decode(body))

    def map_record(self, body: bytes, *, listed: Listed | None = None) -> PageContent:
        """Map one record alone; raise `PageError` where the text is not JSON.

        `listed` is as in `map_page`.
        """
        return self._map(self._list_decoder.decode_record(body), listed)

    def _map(
        self, page: DecodedPage, listed: Listed | None = None, *, list_fields: bool = False
    ) -> PageContent:
        faults = _Faults()
        listed = self._listed if listed is None else listed
        for ordinal, record in enumerate(page.records):
            if record.__class__ is not dict and not isinstance(record, msgspec.Struct):
                faults.add(ordinal, None, f"the record is {describe(record)}, not an object")
        found = self._record_type.gather(page.records)
        if self._keeps_records:
            found[0] = page.texts()
        values: dict[str, Iterable[Any]] = {n: repeat(v) for n, v in self._constants.items()}
        for plan in self._plans:
            values[plan.name] = plan.read(found, faults, listed)
        for plan in self._plans:
            if plan.template is not None:
                values[plan.name] = plan.fill(values, found, faults)
        if self._spell_id is not None:
            values["id"] = faults.spell(self._spell_id, values["id"])
        columns = [values[plan.name] for plan in self._plans]
        count = len(page.records)
        hashes = self._hash([list(islice(values[name], count)) for name in self._hash_fields])
        rows: tuple[Row, ...] = tuple(zip(range(count), *columns, hashes, strict=True))
        rejects: tuple[Reject, ...] = ()
        if faults.reasons:
            texts = page.texts()
            rejects = tuple(
                Reject(n, rows[n][1], *faults.reasons[n], *_original(texts[n]))
                for n in sorted(faults.reasons)
            )
            rows = tuple(row for row in rows if row[0] not in faults.reasons)
        absent = tuple(
            plan.name
            for plan in self._plans
            if plan.slots and all(_is_empty(found[slot]) for slot in plan.slots)
        )
        fields = common_fields(page.texts()) if list_fields else ()
        notes = PageNotes(faults.count_unread(values["id"]), absent, fields)
        return PageContent(rows, rejects, count, page.values, notes)


def _is_empty(values: list[Any]) -> bool:
    """Say whether all values are missing; nearly always the first one tells."""
    return bool(values) and values[0] is None and values.count(None) == len(values)


class _Faults:
    """What is wrong with the values of a page.

    `reasons` has the first reason why each rejected record is rejected, by ordinal.
    """

    def __init__(self) -> None:
        self.reasons: dict[int, tuple[str | None, str]] = {}
        self._unread: dict[str, dict[int, str]] = {}

    def add(self, ordinal: int, column: str | None, reason: str) -> None:
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


class _Plan:
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

    def read(self, found: list[list[Any]], faults: _Faults, listed: Listed) -> list[Any]:
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
        self, values: dict[str, Iterable[Any]], found: list[list[Any]], faults: _Faults
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


def _original(text: str) -> tuple[str, OriginalKind]:
    """Return a record's text as PostgreSQL can hold it; bytes outside UTF-8 become `?`."""
    holdable = text[:MAX_ORIGINAL_CHARS].replace("\0", "\ufffd")
    holdable = holdable.encode("utf-8", "replace").decode()
    return holdable, "record" if holdable == text else "altered"


def target_columns(mapper: Mapper) -> tuple[Column, ...]:
    """Return the columns that a merge writes: the staged columns and the constants."""
    return (*mapper.columns, *(column for column, _ in mapper.constants))
