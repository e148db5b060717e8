"""The columns of a target table: which are documented, and which carsync itself writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from carsync.config.sections import ColumnType
from carsync.errors import ConfigError
from carsync.model import Column

TARGET_COLUMNS: tuple[Column, ...] = tuple(
    Column(name, type_)
    for type_, names in (
        ("text", "external_id make model"),
        ("integer", "year"),
        ("numeric", "price"),
        ("integer", "mileage"),
        ("text", "title vin color fuel transmission condition location lot_number"),
        ("numeric", "current_bid buy_now_price final_bid"),
        ("timestamptz", "sale_date"),
        ("text", "image_url"),
        ("jsonb", "images"),
        ("text", "source_api domain_name status"),
        ("boolean", "is_active is_live is_archived keys_available"),
        ("text", "data_hash"),
        ("timestamptz", "created_at updated_at last_synced_at"),
    )
    for name in names.split()
)
"""The columns of a new table beside `id text PRIMARY KEY`, in their order."""


MANAGED_COLUMNS = ("source_api", "is_active", "created_at", "updated_at", "last_synced_at")
"""Columns that the merge itself writes; a mapping may fix `is_active` to true, no more."""


def wanted_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Give the target's columns: the documented ones, then any further ones of the mapping.

    Raises `ConfigError` where the mapping gives a documented column another type.
    """
    wanted = {column.name: column for column in TARGET_COLUMNS}
    for column in columns:
        if column.name == "id":
            continue
        known = wanted.setdefault(column.name, column)
        if column.type not in get_args(ColumnType):
            raise ConfigError(f"mapping.columns.{column.name}.type: {column.type} is not known")
        if known.type != column.type:
            raise ConfigError(
                f"mapping.columns.{column.name} must be of type {known.type}",
                detail=f"got {column.type}",
                hint="give a column of another type another name",
            )
    return tuple(wanted.values())
