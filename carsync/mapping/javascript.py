"""Numbers and texts as JavaScript reads and writes them (ECMA-262, 15th edition).

The deployed mapping ran in Node: rows and hashes equal its own only where numbers
are written as `String(x)` does and texts are read as `Number` and `parseFloat` do.
"""

from __future__ import annotations

import re
from typing import Any

MAX_SAFE_INTEGER = 2**53
"""Up to here a double holds every integer (Number.MAX_SAFE_INTEGER is one less)."""

WHITESPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What `String.prototype.trim` removes: WhiteSpace and LineTerminator (sections 12.2, 12.3)."""

_DECIMAL = r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
_WHOLE = re.compile(_DECIMAL)
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")


def js_number(value: int | float) -> str:
    """Return `value` as Number::toString writes it (section 6.1.6.1.20); integers become doubles.

    Raises `OverflowError` for an integer beyond the range of a double.

    >>> js_number(1e-7), js_number(1e21), js_number(12500.0), js_number(2**60)
    ('1e-7', '1e+21', '12500', '1152921504606847000')
    """
    if value.__class__ is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return str(value)
    number = float(value)
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    digits, point = _shortest_digits(abs(number))
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    mantissa = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{sign}{mantissa}e{point - 1:+d}"


def _shortest_digits(number: float) -> tuple[str, int]:
    """Return the shortest digits d1…dk that read back as `number`, and n of 0.d1…dk × 10ⁿ.

    Python's repr finds the same digits as the rule of section 6.1.6.1.20, step 5.
    """
    mantissa, _, exponent = repr(number).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return digits.rstrip("0"), point


def read_whole(text: str) -> float | None:
    """Read all of `text` as `Number(text)` does: blank is 0, None stands for NaN.

    >>> read_whole(" 900 "), read_whole(""), read_whole("0x1F"), read_whole("15,000")
    (900.0, 0.0, 31.0, None)
    """
    trimmed = text.strip(WHITESPACE)
    if not trimmed:
        return 0.0
    if _WHOLE.fullmatch(trimmed):
        return float(trimmed)
    if _RADIX.fullmatch(trimmed):
        try:
            return float(int(trimmed, 0))
        except OverflowError:
            return float("inf")
    return None


def read_prefix(text: str) -> float | None:
    """Read the number that `text` starts with as `parseFloat(text)` does; None stands for NaN.

    >>> read_prefix("12.50abc"), read_prefix("15,000"), read_prefix("")
    (12.5, 15.0, None)
    """
    match = _WHOLE.match(text.strip(WHITESPACE))
    return float(match.group()) if match else None


def are_safe_integers(values: list[Any]) -> bool:
    """Say whether all are integers that a double holds exactly."""
    return (
        {int}.issuperset(map(type, values))
        and min(values, default=0) >= -MAX_SAFE_INTEGER
        and max(values, default=0) <= MAX_SAFE_INTEGER
    )
