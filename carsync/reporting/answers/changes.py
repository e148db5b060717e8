"""`carsync changes` as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from carsync.formatting import JSON_VERSION
from carsync.model import RowAction
from carsync.state.change_feed import Change
from carsync.state.present_cars import PresentCar


class HeadAnswer(Struct, frozen=True):
    """With `--head`: where the feed of changes ends."""

    cursor: str


class ChangeAnswer(Struct, frozen=True, kw_only=True):
    """One change of a car, on a line of its own."""

    cursor: str
    run: int
    source: str
    time: datetime
    id: str
    action: RowAction
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class ChangeWithRowAnswer(ChangeAnswer, frozen=True, kw_only=True):
    """With `--rows`: one change of a car, and the car as it is now."""

    row: dict[str, Any] | None


class PresentCarAnswer(Struct, frozen=True):
    """With `--since table`: a car as it is now, before the changes that follow."""

    cursor: str
    id: str
    action: Literal["present"]
    row: dict[str, Any]


def encode_changes(changes: Iterable[Change | PresentCar], *, with_rows: bool) -> bytes:
    """Return a line of JSON for each change, the last one without its end.

    Values come as PostgreSQL wrote their JSON: no number passes through a double.
    """
    return b"\n".join(_encode(change, with_rows) for change in changes)


def _encode(change: Change | PresentCar, with_rows: bool) -> bytes:
    if isinstance(change, PresentCar):
        return msgspec.json.encode(
            {
                "json_version": JSON_VERSION,
                "cursor": str(change.cursor),
                "id": change.id,
                "action": "present",
                "row": change.row,
            }
        )
    line = {
        "json_version": JSON_VERSION,
        "cursor": str(change.cursor),
        "run": change.run_id,
        "source": change.source,
        "time": change.at,
        "id": change.id,
        "action": change.action,
        "before": change.before,
        "after": change.after,
    }
    return msgspec.json.encode({**line, "row": change.row} if with_rows else line)
