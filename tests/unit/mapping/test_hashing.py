"""`data_hash`: the bytes JavaScript would hash, whatever the order the fields come in."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import xxhash
from hypothesis import given
from hypothesis import strategies as st

from carsync.mapping.hashing import compile_canonical, compile_hasher, scheme_of
from carsync.mapping.javascript import js_number

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | DOUBLES | TEXTS
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_$]{0,20}", fullmatch=True)
ROWS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=20)


@given(ROWS)
def test_canonical_bytes_hold_the_row_sorted_and_compact(row: dict[str, Any]) -> None:
    written = compile_canonical(list(row))(list(row.values()))
    # A double beyond 2**53 is written with fewer digits than the integer has that it equals.
    assert json.loads(written, parse_int=float) == row
    assert list(json.loads(written)) == sorted(row)


@given(st.dictionaries(NAMES, TEXTS | st.integers(-(2**53), 2**53) | st.booleans(), min_size=1))
def test_texts_and_integers_are_written_as_python_and_javascript_alike_do(
    row: dict[str, Any],
) -> None:
    dumped = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert compile_canonical(list(row))(list(row.values())) == dumped.encode()


@given(DOUBLES | st.integers(-(10**300), 10**300))
def test_every_number_in_the_bytes_is_written_as_javascript_does(number: float) -> None:
    assert compile_canonical(["n"])([number]) == f'{{"n":{js_number(number)}}}'.encode()


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_change_the_hash(
    row: dict[str, Any], rng: random.Random
) -> None:
    names = list(row)
    rng.shuffle(names)
    before = compile_hasher(list(row), "xxh3_128")([[value] for value in row.values()])
    assert compile_hasher(names, "xxh3_128")([[row[n]] for n in names]) == before


@given(ROWS, st.data())
def test_any_changed_field_changes_the_hash(row: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(row)))
    changed = {**row, name: f"{row[name]}!"}
    digest = compile_hasher(list(row), "md5")
    before, after = digest([[row[n], changed[n]] for n in row])
    assert before != after


def test_strings_are_escaped_as_json_stringify_does() -> None:
    text = '"\\\b\f\n\r\t\x01\x1f\x7f/é\u2028한🚗'
    written = compile_canonical(["t"])([text])
    assert written == '{"t":"\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/é\u2028한🚗"}'.encode()


def test_what_json_cannot_hold_is_null_as_in_javascript() -> None:
    assert compile_canonical(["a", "b"])([float("nan"), float("inf")]) == b'{"a":null,"b":null}'


def test_both_algorithms_hash_the_canonical_bytes() -> None:
    data = b'{"make":"BMW","year":2019}'
    fields = ["year", "make"]
    columns: list[list[Any]] = [[2019, 2019.0], ["BMW", "BMW"]]
    assert compile_hasher(fields, "md5")(columns) == [hashlib.md5(data).hexdigest()] * 2
    assert compile_hasher(fields, "xxh3_128")(columns) == [xxhash.xxh3_128_hexdigest(data)] * 2


@given(st.lists(st.one_of(st.text(max_size=4), st.integers(), st.floats(), st.none())))
def test_a_column_is_hashed_as_each_of_its_values_alone(values: list[Any]) -> None:
    values = [v for v in values if not isinstance(v, str) or v.isascii()]
    values = [v for v in values if not isinstance(v, int) or abs(v) < 10**300]
    together = compile_hasher(["a", "b"], "md5")([values, ["x"] * len(values)])
    alone = [compile_hasher(["a", "b"], "md5")([[v], ["x"]])[0] for v in values]
    assert together == alone


def test_the_scheme_names_algorithm_and_fields_in_one_order() -> None:
    assert scheme_of(["year", "make"], "md5") == scheme_of(["make", "year"], "md5")
    assert scheme_of(["make"], "md5") != scheme_of(["make"], "xxh3_128")
