"""Mappers made without a configuration file, and what they make of one record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from carsync.config.api_sections import Api, Pagination
from carsync.config.mapping_sections import ColumnRule, MappingRules
from carsync.config.presets.loader import resolve
from carsync.config.sections import Config
from carsync.mapping.mapper import Mapper, PageContent
from carsync.model import Reject
from tests.support.records import page


def load_mapper(
    mapping: MappingRules | None = None,
    pagination: Pagination | None = None,
    paths: Sequence[str] = (),
) -> Mapper:
    """Compile `mapping`, by default the default preset's."""
    api = Api(pagination=pagination or Pagination())
    return Mapper.load(Config(mapping=resolve(mapping or MappingRules()), api=api), paths)


PRESET = load_mapper()


def record(**parts: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "manufacturer": {"name": "BMW"},
        "model": {"name": "320d"},
        "year": 2019,
        **parts,
    }


def mapper_of(**columns: Any) -> Mapper:
    """Compile a mapper of `id` and these columns, each a rule's keys."""
    rules = {"id": ColumnRule(path="id", required=True)}
    rules |= {name: ColumnRule(**rule) for name, rule in columns.items()}
    return load_mapper(MappingRules(preset=None, columns=dict(rules)))


def rows_of(mapper: Mapper, content: PageContent) -> list[dict[str, Any]]:
    names = [column.name for column in mapper.columns]
    constants = {column.name: value for column, value in mapper.constants}
    return [dict(zip(names, row[1:], strict=True)) | constants for row in content.rows]


def map_one(value: dict[str, Any], mapper: Mapper = PRESET) -> dict[str, Any]:
    content = mapper.map_page(page(json.dumps(value)))
    assert content.rejects == ()
    return rows_of(mapper, content)[0]


def reject_of(value: dict[str, Any] | str, mapper: Mapper = PRESET) -> Reject:
    text = value if isinstance(value, str) else json.dumps(value)
    content = mapper.map_page(page(text))
    assert content.rows == ()
    return content.rejects[0]
