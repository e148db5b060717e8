"""Looks at the first page of the API as a run would read it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from carsync.config.mapping_sections import ColumnRule
from carsync.config.sections import Config
from carsync.doctor.feed_checks import FirstPage
from carsync.doctor.paging_guesses import guess_paging
from carsync.doctor.paging_trial import read_answer
from carsync.errors import PageError
from carsync.mapping.discovery import records_at
from carsync.mapping.fields import parse_path, walk
from carsync.mapping.guessing import list_absent, list_unused
from carsync.mapping.mapper import Mapper
from carsync.mapping.record_match import ids_of
from carsync.mapping.record_path import read_places
from carsync.mapping.rules import check_rules, raw_paths
from carsync.mapping.times import is_naive
from carsync.model import Row
from carsync.redaction import redact
from carsync.source.pagination.base import load_paginator
from carsync.source.request import Answer
from carsync.source.retry_after import parse_date


def look_at(config: Config, mapper: Mapper | None, answer: Answer) -> FirstPage:
    """Decode and map the first page; `mapper` None: the mapping cannot be compiled."""
    date_s = parse_date(answer.date) if answer.date else None
    # The header tells the second in which the answer was made, which lies before now.
    skew_s = None if date_s is None else date_s + 0.5 + answer.latency_s / 2 - time.time()
    seen = read_answer(answer.body, answer.headers)
    page = FirstPage(answer.latency_s, answer.wire_bytes, skew_s, seen.layout if seen else None)
    if seen is not None:
        likeliest = guess_paging(seen.signs)[0]
        page = replace(page, paging=likeliest.pagination if likeliest.is_shown else None)
    if mapper is None:
        return page
    paginator = load_paginator(config.api)
    try:
        content = mapper.map_page(answer.body)
        info = paginator.read(content.values, answer.headers)
    except PageError as exc:
        return replace(page, fault=exc)
    secret = config.api.auth.key.reveal() if config.api.auth.key else ""
    reasons = Counter(
        f"{reject.column}: {reject.reason}" if reject.column else reject.reason
        for reject in content.rejects
    )
    rules = check_rules(config.mapping).columns
    decoded = seen.answer if seen is not None else json.loads(answer.body)
    records = records_at(decoded, config.api.pagination.records)
    absent, unread = _compare_fields(rules, records)
    return replace(
        page,
        records=content.records,
        pages=info.total_pages,
        total=info.total_records,
        mapped=len(content.rows),
        reasons=tuple((redact(reason, secret), n) for reason, n in reasons.most_common(5)),
        absent=absent,
        unread=tuple(redact(name, secret) for name in unread),
        naive=_naive_columns(rules, records),
        ids=tuple(i for i in ids_of(content) if i is not None),
        has_more=info.has_more,
        next_token=info.next_token,
        by_id=first_by_id(mapper, content.rows),
        objection=paginator.find_fault(paginator.first, content.records, info, None),
    )


def first_by_id(mapper: Mapper, rows: Sequence[Row]) -> tuple[str, tuple[str, ...]] | None:
    """Return the id of the first row that has all values of `api.record.path`, and these."""
    names = [column.name for column in mapper.columns]
    for row in rows:
        values = read_places(mapper.places, dict(zip(names, row[1:], strict=True)))
        if values is not None:
            return str(row[1]), values
    return None


def _compare_fields(
    rules: Mapping[str, ColumnRule], records: list[dict[str, Any]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns whose paths no record has, and the fields that no column reads."""
    mapped = [path for rule in rules.values() for path in rule.paths]
    absent = set(list_absent(records, mapped))
    read = [*mapped, *(".".join(path) for path in raw_paths(rules.values()))]
    columns = tuple(
        f"{name} ({' or '.join(rule.paths)})"
        for name, rule in rules.items()
        if rule.paths and absent.issuperset(rule.paths)
    )
    return columns, tuple(list_unused(records, read))


def _naive_columns(
    rules: Mapping[str, ColumnRule], records: list[dict[str, Any]]
) -> tuple[tuple[str, str], ...]:
    """Return the columns with times that tell no offset, each with the zone that they are given."""
    found = []
    for name, rule in rules.items():
        paths = [parse_path(path) for path in rule.paths] if rule.type == "timestamptz" else []
        if any(is_naive(rule, walk(each, path)) for each in records for path in paths):
            found.append((name, rule.zone or "UTC"))
    return tuple(found)
