"""Columns of numbers: doubles as JavaScript reads them, whole numbers within their type."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from carsync.config.mapping_sections import ColumnRule
from carsync.mapping.fields import Unholdable
from carsync.mapping.javascript import (
    MAX_SAFE_INTEGER,
    WHITESPACE,
    js_number,
    read_prefix,
    read_whole,
)
from carsync.mapping.rejected import Reader, UnreadableValueError, check_text, unreadable

INTEGER_RANGES = {
    "smallint": range(-(2**15), 2**15),
    "integer": range(-(2**31), 2**31),
    "bigint": range(-(2**63), 2**63),
}
"""The whole numbers that a column of each type holds."""
NUMBERS = frozenset({*INTEGER_RANGES, "numeric", "double precision"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")


def number_reader(rule: ColumnRule) -> Reader:
    """Return the reader of a column of numbers; numbers are doubles, integers truncated.

    Whole numbers are exact for a bigint column.

    >>> number_reader(ColumnRule(type="numeric", number="prefix"))("12.50abc")
    12.5
    """
    parse = read_prefix if rule.number == "prefix" else read_whole
    within = INTEGER_RANGES.get(rule.type)
    is_exact = rule.type == "bigint"
    lowest = float("-inf") if rule.min is None else rule.min
    highest = float("inf") if rule.max is None else rule.max

    def read_number(value: Any) -> int | float | None:
        if value.__class__ is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            number: int | float = value
        elif value is None:
            return None
        elif is_exact and (value.__class__ is int or _is_whole(value)):
            number = int(value)
        else:
            read = _read_double(value, parse)
            if read is None:
                return None
            number = int(read) if within else _shorten(read)
        if not lowest <= number <= highest:
            raise UnreadableValueError(f"{number} is outside {rule.min}..{rule.max}")
        if within and number not in within:
            raise UnreadableValueError(
                f"{js_number(number)} is outside the range of {_articles[rule.type]} column"
            )
        return number

    return read_number


def _is_whole(value: Any) -> bool:
    return value.__class__ is str and _WHOLE.fullmatch(value.strip(WHITESPACE)) is not None


_articles = {"smallint": "a smallint", "integer": "an integer", "bigint": "a bigint"}


def _shorten(number: float) -> int | float:
    """Return a whole double as the integer that JavaScript writes for it, up to 21 digits."""
    return int(js_number(number)) if number.is_integer() and abs(number) < 1e21 else number


def _read_double(value: Any, parse: Callable[[str], float | None]) -> float | None:
    """Read a number as a double; raise for anything else and for what is not finite."""
    kind = value.__class__
    if kind is str:
        check_text(value)
        if not value.strip(WHITESPACE) and parse is read_prefix:
            return None
        number = parse(value)
        if number is None:
            raise unreadable(value, "a number")
    elif kind is int or kind is float:
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
    elif kind is Unholdable and value.token.rstrip("…")[-1:].isdigit():  # a number such as 1e400
        number = float("inf")
    else:
        raise unreadable(value, "a number")
    if number - number != 0:  # infinite, or NaN
        raise UnreadableValueError("the number is beyond the range of a double")
    return number
