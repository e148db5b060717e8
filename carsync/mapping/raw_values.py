"""The values of a column before they are read: chosen among paths, unwrapped, exchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from carsync.config.mapping_sections import ColumnRule
from carsync.mapping.converters import RejectedValueError, read_text
from carsync.mapping.fields import Misplaced
from carsync.mapping.javascript import WHITESPACE

Preparation = Callable[[Sequence[list[Any]]], list[Any]]
"""Takes a column's values, one list for each of its paths."""

OTHERS = "_"
"""The key of `map` that stands for all values that it does not name."""
_Change = Callable[[Any], Any]
_EMPTY: tuple[Any, ...] = ([], {})


def compile_preparation(rule: ColumnRule) -> Preparation:
    """Return what makes one list of a column's values, as far as its rule says.

    >>> prepare = compile_preparation(ColumnRule(path=["a", "b"], unwrap="value", map={"1": "one"}))
    >>> prepare([[None, {"value": 1}, 2], [7, 8, 9]])
    [7, 'one', 2]
    """
    changes: list[_Change] = []
    if rule.unwrap is not None:
        changes.append(_unwrapping(rule.unwrap))
    exchange = _exchange(rule) if rule.map else None
    is_single = len(rule.paths) < 2

    def prepare(found: Sequence[list[Any]]) -> list[Any]:
        for change in changes:
            found = [list(map(change, values)) for values in found]
        chosen = found[0] if is_single else list(map(_first_held, zip(*found, strict=True)))
        return chosen if exchange is None else list(map(exchange, chosen))

    return prepare


def _first_held(values: Sequence[Any]) -> Any:
    """Return the first value that is one; else what stands at the first path that leads anywhere.

    Null, a blank text, an empty list, an empty object and what is out of place are no values.
    """
    held = next(filter(_is_held, values), None)
    return held if held is not None else next((v for v in values if v is not None), None)


def _is_held(value: Any) -> bool:
    if value.__class__ is str:
        return bool(value.strip(WHITESPACE))
    return value is not None and value not in _EMPTY and value.__class__ is not Misplaced


def _unwrapping(name: str) -> _Change:
    def unwrap(value: Any) -> Any:
        return value[name] if value.__class__ is dict and name in value else value

    return unwrap


def _exchange(rule: ColumnRule) -> _Change:
    known = dict(rule.map)
    has_others = OTHERS in known
    others = known.pop(OTHERS, None)

    def exchange(value: Any) -> Any:
        if value is None or isinstance(value, dict | list):
            return value
        try:
            text = read_text(value)
        except RejectedValueError:
            return value
        if text is not None and rule.strip:
            text = text.strip(WHITESPACE)
        if not text:
            return value
        return known.get(text, others) if has_others or text in known else value

    return exchange
