"""Mappers made without a configuration file."""

from __future__ import annotations

from collections.abc import Sequence

from carsync.config.presets.loader import resolve
from carsync.config.sections import Api, Config, MappingRules, Pagination
from carsync.mapping.mapper import Mapper


def load_mapper(
    mapping: MappingRules | None = None,
    pagination: Pagination | None = None,
    paths: Sequence[str] = (),
) -> Mapper:
    """Compile `mapping`, by default the default preset's."""
    api = Api(pagination=pagination or Pagination())
    return Mapper.load(Config(mapping=resolve(mapping or MappingRules()), api=api), paths)
