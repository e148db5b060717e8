"""Whole columns at once: JSON values → column values, without a look at each value.

Nearly every column of nearly every page holds texts alone, or whole numbers alone. A few
passes in C find that out. Any other column is left to the readers of `converters.py`,
which read one value after the other and say what is wrong with it. The results are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any

from carsync.config.mapping_sections import ColumnRule
from carsync.mapping.javascript import MAX_SAFE_INTEGER, WHITESPACE, are_safe_integers
from carsync.mapping.numbers import INTEGER_RANGES, NUMBERS

ColumnReader = Callable[[list[Any]], list[Any] | None]

_TEXTS = frozenset({str, NoneType})
_BOOLEANS = frozenset({bool, NoneType})


def compile_uniform(rule: ColumnRule, longest: int | None = None) -> ColumnReader | None:
    """Return the reader of a whole column for a rule; None where its type has no such reader.

    The reader returns the values, with None for a missing one. For a column that is not
    uniform it returns None instead of the list. `longest` bounds the length of texts.
    """
    if rule.equals is not None:
        return _equality(rule.equals) if isinstance(rule.equals, str) else None
    if rule.type == "text":
        return _texts(longest, strip=rule.strip)
    if rule.type in NUMBERS:
        return _integers(rule)
    return _booleans if rule.type == "boolean" else None


def are_plain_texts(values: list[Any]) -> bool:
    """Say whether all are texts or None, with neither NUL nor lone surrogate in them."""
    if not _TEXTS.issuperset(map(type, values)):
        return False
    joined = "".join(filter(None, values))
    if "\0" in joined:
        return False
    if not joined.isascii():
        try:
            joined.encode()
        except UnicodeEncodeError:
            return False
    return True


def _texts(longest: int | None, *, strip: bool) -> ColumnReader:
    def read(values: list[Any]) -> list[Any] | None:
        if are_safe_integers(values):
            return list(map(str, values))
        if not are_plain_texts(values):
            return None
        if strip:
            values = [value.strip(WHITESPACE) if value else None for value in values]
        if longest is not None and any(len(value) > longest for value in values if value):
            return None
        return values if all(values) else [value or None for value in values]

    return read


def _integers(rule: ColumnRule) -> ColumnReader:
    lowest = -MAX_SAFE_INTEGER if rule.min is None else rule.min
    highest = MAX_SAFE_INTEGER if rule.max is None else rule.max
    if within := INTEGER_RANGES.get(rule.type):
        lowest, highest = max(lowest, within[0]), min(highest, within[-1])

    def read(values: list[Any]) -> list[Any] | None:
        present = [v for v in values if v is not None] if None in values else values
        if not are_safe_integers(present):
            return None
        smallest, greatest = min(present, default=lowest), max(present, default=lowest)
        return values if lowest <= smallest and greatest <= highest else None

    return read


def _booleans(values: list[Any]) -> list[Any] | None:
    return values if _BOOLEANS.issuperset(map(type, values)) else None


def _equality(wanted: str) -> ColumnReader:
    def read(values: list[Any]) -> list[Any] | None:
        return [value == wanted for value in values] if are_plain_texts(values) else None

    return read
