"""The lines of `carsync changes` for people. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from carsync import formatting
from carsync.columns import BOOKKEEPING
from carsync.state.change_feed import Change
from carsync.state.present_cars import PresentCar

_MOST_CHARS = 60


def render_change(change: Change | PresentCar) -> str:
    """Return one line: when, which run, which car, what was done, and the values that changed."""
    if isinstance(change, PresentCar):
        return f"{change.id}  present"
    before, after = _values(change.before), _values(change.after)
    moves = [
        f"{name} {_shown(before.get(name))} → {_shown(after.get(name))}"
        for name in after
        if name not in BOOKKEEPING
    ]
    when = formatting.moment(change.at)
    line = f"{when}  run {change.run_id}  {change.id}  {change.action}  {', '.join(moves)}"
    return line.rstrip()


def _values(raw: Raw | None) -> dict[str, Any]:
    return msgspec.json.decode(raw) if raw else {}


def _shown(value: object) -> str:
    if value is None:
        return "(empty)"
    return str(value)[:_MOST_CHARS]
