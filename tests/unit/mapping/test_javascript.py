"""Numbers as ECMAScript writes and reads them, to the digit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.mapping.javascript import are_safe_integers, js_number, read_prefix, read_whole

DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (12500.0, "12500"),
        (-5, "-5"),
        (0.1, "0.1"),
        (0.30000000000000004, "0.30000000000000004"),
        (1e-5, "0.00001"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (-1.5e-300, "-1.5e-300"),
        (5e-324, "5e-324"),
        (1e16, "10000000000000000"),
        (1.5e20, "150000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2**53 + 1, "9007199254740992"),
        (2**60, "1152921504606847000"),
        (10**21, "1e+21"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number: float, text: str) -> None:
    assert js_number(number) == text


@given(DOUBLES)
def test_written_numbers_read_back_as_the_same_double(number: float) -> None:
    assert float(js_number(number)) == number


@pytest.mark.parametrize(
    ("text", "whole", "prefix"),
    [
        ("", 0, None),
        (" \t\u00a0\ufeff", 0, None),
        (" 900 ", 900, 900),
        ("15,000", None, 15),
        ("12.50abc", None, 12.5),
        ("1.", 1, 1),
        (".5", 0.5, 0.5),
        (".", None, None),
        ("-5", -5, -5),
        ("+1e3", 1000, 1000),
        ("1e", None, 1),
        ("0x1F", 31, 0),
        ("-0x1F", None, 0),
        ("0b11", 3, 0),
        ("1_000", None, 1),
        ("١٢", None, None),
        ("Infinity", float("inf"), float("inf")),
        ("inf", None, None),
        ("nan", None, None),
        ("\x1c5", None, None),
    ],
)
def test_texts_are_read_as_number_and_parsefloat_read_them(
    text: str, whole: float | None, prefix: float | None
) -> None:
    assert (read_whole(text), read_prefix(text)) == (whole, prefix)


@pytest.mark.parametrize(
    ("values", "safe"),
    [
        ([], True),
        ([0, -(2**53), 2**53], True),
        ([2**53 + 1], False),
        ([-(2**53) - 1], False),
        ([1, True], False),
        ([1, 1.0], False),
        ([1, None], False),
    ],
)
def test_safe_integers_are_those_a_double_holds_exactly(values: list[object], safe: bool) -> None:
    assert are_safe_integers(values) is safe
