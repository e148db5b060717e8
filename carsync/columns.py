"""The columns of a target table, and what carsync itself does with each. Pure."""

from __future__ import annotations

from carsync.model import Column


class TargetColumn(Column, frozen=True):
    """A documented column of the target.

    `managed` says why no mapping fills the column; it is empty where a mapping may.
    `constant` is the value that a mapping may fix all the same. The merge writes a row whose
    `is_compared` columns differ. An `is_bookkeeping` column says nothing of the car itself.
    An `is_clock` column moves with every write.
    """

    managed: str = ""
    constant: bool | None = None
    is_compared: bool = False
    is_bookkeeping: bool = False
    is_clock: bool = False


_COMPUTED = "it is computed from mapping.hash"
_MERGED = "the merge sets it"
_SOURCE = "its value is sync.source"


def _mapped(type_: str, names: str) -> tuple[TargetColumn, ...]:
    return tuple(TargetColumn(name, type_) for name in names.split())


TARGET_COLUMNS: tuple[TargetColumn, ...] = (
    *_mapped("text", "external_id make model"),
    *_mapped("integer", "year"),
    *_mapped("numeric", "price"),
    *_mapped("integer", "mileage"),
    *_mapped("text", "title vin color fuel transmission condition location lot_number"),
    *_mapped("numeric", "current_bid buy_now_price final_bid"),
    *_mapped("timestamptz", "sale_date"),
    *_mapped("text", "image_url"),
    *_mapped("jsonb", "images"),
    TargetColumn("source_api", "text", _SOURCE, is_compared=True),
    *_mapped("text", "domain_name status"),
    TargetColumn("is_active", "boolean", _MERGED, constant=True, is_compared=True),
    *_mapped("boolean", "is_live is_archived keys_available"),
    TargetColumn("data_hash", "text", _COMPUTED, is_compared=True, is_bookkeeping=True),
    TargetColumn("created_at", "timestamptz", _MERGED, is_bookkeeping=True),
    TargetColumn("updated_at", "timestamptz", _MERGED, is_bookkeeping=True, is_clock=True),
    TargetColumn("last_synced_at", "timestamptz", _MERGED, is_bookkeeping=True, is_clock=True),
)
"""The columns of a new table beside `id text PRIMARY KEY`, in their order."""

MANAGED = {column.name: column for column in TARGET_COLUMNS if column.managed}
"""The columns that carsync itself fills, by name."""

COMPARED = tuple(column.name for column in TARGET_COLUMNS if column.is_compared)
"""The columns by which the merge tells a row that it must write."""

BOOKKEEPING = frozenset(column.name for column in TARGET_COLUMNS if column.is_bookkeeping)
"""The columns that change with any other one and say nothing of the car."""

CLOCKS = frozenset(column.name for column in TARGET_COLUMNS if column.is_clock)
"""The columns that every write moves."""

DEACTIVATED = ("is_active", "updated_at")
"""The columns that a deactivation writes."""
