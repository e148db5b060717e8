"""The values of a column before they are read: chosen among paths, unwrapped, exchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from carsync.config.mapping_sections import ColumnRule
from carsync.mapping.converters import read_text
from carsync.mapping.fields import Misplaced
from carsync.mapping.javascript import WHITESPACE
from carsync.mapping.rejected import RejectedValueError

Preparation = Callable[[Sequence[list[Any]]], list[Any]]
"""Takes a column's values, one list for each of its paths."""

OTHERS = "_"
"""The key of `map` that stands for all values that it does not name."""
_EMPTY: tuple[Any, ...] = ([], {})


def compile_preparation(rule: ColumnRule) -> Preparation:
    """Return what makes one list of a column's values, as far as its rule says.

    >>> prepare = compile_preparation(ColumnRule(path=["a", "b"], unwrap="value", map={"1": "one"}))
    >>> prepare([[None, {"value": 1}, 2], [7, 8, 9]])
    [7, 'one', 2]
    """
    exchange = _exchange(rule) if rule.map else None

    def prepare(found: Sequence[list[Any]]) -> list[Any]:
        if rule.unwrap is not None:
            found = [_unwrap(values, rule.unwrap) for values in found]
        chosen = _choose(found)
        return chosen if exchange is None else list(map(exchange, chosen))

    return prepare


def _choose(found: Sequence[list[Any]]) -> list[Any]:
    """Choose one value for each record; a path that leads nowhere on this page costs nothing."""
    led = [values for values in found if values.count(None) < len(values)]
    if len(led) < 2:
        return led[0] if led else found[0]
    return list(map(_first_held, zip(*led, strict=True)))


def _first_held(values: Sequence[Any]) -> Any:
    """Return the first value that is one; else what stands at the first path that leads anywhere.

    Null, a blank text, an empty list, an empty object and what is out of place are no values.
    """
    for value in values:
        if _is_held(value):
            return value
    return next((value for value in values if value is not None), None)


def _is_held(value: Any) -> bool:
    if value.__class__ is str:
        return bool(value.strip(WHITESPACE))
    return value is not None and value not in _EMPTY and value.__class__ is not Misplaced


def _unwrap(values: list[Any], name: str) -> list[Any]:
    if dict not in set(map(type, values)):
        return values
    return [value[name] if value.__class__ is dict and name in value else value for value in values]


def _exchange(rule: ColumnRule) -> Callable[[Any], Any]:
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
