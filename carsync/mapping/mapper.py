"""Record → typed row, compiled once from the preset's rules and the configuration's.

A page is mapped column by column: one reader runs over the same column of all
records. Only where it raises is that column read record by record, to tell the
poisoned ones from the rest.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from carsync.config.api_sections import Pagination
from carsync.config.lists import combine
from carsync.config.mapping_sections import Scalar
from carsync.config.sections import Config
from carsync.mapping.column_plan import ColumnPlan, Faults, Listed
from carsync.mapping.decoder import DecodedPage, PageDecoder, common_fields
from carsync.mapping.fields import RecordType, describe, parse_path
from carsync.mapping.hashing import compile_hasher, scheme_of
from carsync.mapping.ids import compile_spelling
from carsync.mapping.record_path import BY_ID, Place, find_places
from carsync.mapping.rules import (
    SOURCE,
    Rules,
    check_rules,
    check_tombstone_rules,
    constant_value,
    fixed_names,
    raw_paths,
)
from carsync.model import (
    MAX_ORIGINAL_CHARS,
    Column,
    OriginalKind,
    PageNotes,
    Reject,
    Row,
    is_set,
)

MAX_TIMES_PAGE_SIZE = 100
"""A page of more than this many times the page size is taken for an attack."""

_MAPPING_VERSION = 4
"""Raised when the same rules give other rows, so that no run holds rows of both kinds."""

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
    `tombstones` maps those of `api.removals`; None where the API has none. `set_columns` are those
    that only a tombstone writes.
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
        self.tombstones: Mapper | None = None
        self.set_columns: tuple[Column, ...] = ()
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
        fixed = fixed_names(rules.columns)
        self._plans = [ColumnPlan(n, rule, self._record_type, fixed) for n, rule in varying.items()]
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
        if (tombstones := cls.load_tombstones(config, paths)) is not None:
            mapper.tombstones = tombstones
            columns = (*tombstones.columns, *(column for column, _ in tombstones.constants))
            own = {"data_hash", *rules.columns}
            mapper.set_columns = tuple(c for c in columns if is_set(c.name) and c.name not in own)
        return mapper

    @classmethod
    def load_tombstones(cls, config: Config, paths: Sequence[str] = ()) -> Mapper | None:
        """Compile the mapping of tombstones (`api.removals`); None where the API has none.

        Its columns are those of `check_tombstone_rules`. `paths` and what is raised are as for
        `load`.
        """
        removals = config.api.removals
        if removals.path is None:
            return None
        rules = check_tombstone_rules(removals, check_rules(config.mapping).columns)
        return cls(rules, config.api.pagination, paths, config.sync.source)

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
        faults = Faults()
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


def _original(text: str) -> tuple[str, OriginalKind]:
    """Return a record's text as PostgreSQL can hold it; bytes outside UTF-8 become `?`."""
    holdable = text[:MAX_ORIGINAL_CHARS].replace("\0", "\ufffd")
    holdable = holdable.encode("utf-8", "replace").decode()
    return holdable, "record" if holdable == text else "altered"


def target_columns(mapper: Mapper) -> tuple[Column, ...]:
    """Return the columns that a merge writes: the staged columns, constants, and of tombstones."""
    return (*mapper.columns, *(column for column, _ in mapper.constants), *mapper.set_columns)


def tombstone_columns(config: Config) -> tuple[Column, ...]:
    """Return the columns of staged tombstones, which have no hash; none where the API has none."""
    tombstones = Mapper.load_tombstones(config)
    return tombstones.columns[:-1] if tombstones else ()
