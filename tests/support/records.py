"""Poisoned records: what no row can hold, what only looks so, and a generator of more.

Each is the JSON text of one record; `\\udcXX` stands for a byte that is no UTF-8.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st


def page(*records: str) -> bytes:
    """Make a page from records' texts, poison and all."""
    return b'{"data":[' + ",".join(records).encode("utf-8", "surrogateescape") + b"]}"


GOOD = (
    '{"id": 1, "manufacturer": {"name": "BMW"}, "model": {"name": "320d"}, "year": 2019,'
    ' "lots": [{"bid": 5, "images": {"normal": ["a.jpg"]}}]}'
)
NUL = "\\u0000"
DEEP = "[" * 20_000 + "]" * 20_000
NINES = "9" * 5_000
HEAD = '"id": 666, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}'
POISONED: dict[str, tuple[str, str]] = {
    "nul_in_vin": (f'{{{HEAD}, "vin": "a{NUL}b"}}', "vin"),
    "nul_in_make": ('{"id": 666, "manufacturer": {"name": "\\u0000"}}', "make"),
    "nul_in_number": (f'{{{HEAD}, "year": "20{NUL}19"}}', "year"),
    "nul_in_title": (f'{{{HEAD}, "title": "{NUL}"}}', "title"),
    "nul_in_images": (f'{{{HEAD}, "lots": [{{"images": {{"normal": [1, "{NUL}"]}}}}]}}', "images"),
    "nul_in_images_key": (
        f'{{{HEAD}, "lots": [{{"images": {{"normal": {{"{NUL}": 1}}}}}}]}}',
        "images",
    ),
    "nul_in_status": (f'{{{HEAD}, "lots": [{{"status": {{"name": "sale{NUL}"}}}}]}}', "is_live"),
    "raw_nul": (f'{{{HEAD}, "vin": "a\0b"}}', "vin"),
    "lone_high_surrogate": (f'{{{HEAD}, "vin": "\\ud800"}}', "vin"),
    "lone_low_surrogate": (f'{{{HEAD}, "color": {{"name": "x\\udc00y"}}}}', "color"),
    "lone_surrogate_in_title": (f'{{{HEAD}, "title": "\\ud83d"}}', "title"),
    "lone_surrogate_in_images": (
        f'{{{HEAD}, "lots": [{{"images": {{"normal": ["u.jpg", "\\ud800"]}}}}]}}',
        "images",
    ),
    "no_utf8": (f'{{{HEAD}, "vin": "\udcff\udcfe"}}', "vin"),
    "no_utf8_in_images": (
        f'{{{HEAD}, "lots": [{{"images": {{"normal": ["u.jpg", "\udcff"]}}}}]}}',
        "images",
    ),
    "no_utf8_beside_a_fault": (f'{{{HEAD}, "seller": "\udcff", "vin": [1]}}', "vin"),
    "surrogate_bytes": (f'{{{HEAD}, "vin": "\udced\udca0\udc80"}}', "vin"),
    "nan": (f'{{{HEAD}, "year": NaN}}', "year"),
    "infinity": (f'{{{HEAD}, "lots": [{{"buy_now": Infinity}}]}}', "price"),
    "minus_infinity": (f'{{{HEAD}, "lots": [{{"bid": -Infinity}}]}}', "current_bid"),
    "five_thousand_digits_in_images": (
        f'{{{HEAD}, "lots": [{{"images": {{"normal": ["u.jpg", {NINES}]}}}}]}}',
        "images",
    ),
    "nan_in_images": (
        f'{{{HEAD}, "lots": [{{"images": {{"normal": ["u.jpg", {{"w": NaN}}]}}}}]}}',
        "images",
    ),
    "object_for_a_text": (f'{{{HEAD}, "vin": {{"a": 1}}}}', "vin"),
    "list_for_a_text": (f'{{{HEAD}, "title": ["x"]}}', "title"),
    "text_for_an_object": (f'{{{HEAD}, "color": "black"}}', "color"),
    "object_for_a_list": (f'{{{HEAD}, "lots": {{"0": {{"bid": 1}}}}}}', "lot_number"),
    "text_for_a_list": (f'{{{HEAD}, "lots": "x"}}', "lot_number"),
    "number_in_a_list_of_objects": (f'{{{HEAD}, "lots": [7]}}', "lot_number"),
    "deep_nesting_in_images": (
        f'{{{HEAD}, "lots": [{{"images": {{"normal": {DEEP}}}}}]}}',
        "year",
    ),
    "deep_nesting_in_vin": (f'{{{HEAD}, "vin": {DEEP}}}', "vin"),
    "no_make": ('{"id": 666, "model": {"name": "K5"}}', "make"),
    "blank_make": ('{"id": 666, "manufacturer": {"name": " \\u3000"}}', "make"),
    "object_with_a_nul_key": (f'{{{HEAD}, "vin": {{"{NUL}": 1}}}}', "vin"),
    "null_inside_make": ('{"id": 666, "manufacturer": {"name": null}}', "make"),
    "everything_null": (
        '{"id": 666, "manufacturer": null, "model": null, "year": null, "title": null,'
        ' "vin": null, "color": null, "fuel": null, "transmission": null, "lots": null}',
        "make",
    ),
    "duplicated_keys_the_last_bad": (f'{{{HEAD}, "vin": "good", "vin": "{NUL}"}}', "vin"),
    "null_model": ('{"id": 666, "manufacturer": {"name": "Kia"}, "model": null}', "model"),
}
"""Rejected under id 666: name → text, and the column that refuses it."""

OUT_OF_RANGE: dict[str, tuple[str, str]] = {
    "infinity_as_text": (f'{{{HEAD}, "lots": [{{"bid": "Infinity"}}]}}', "current_bid"),
    "beyond_a_double": (f'{{{HEAD}, "lots": [{{"buy_now": 1e400}}]}}', "price"),
    "beyond_a_double_below": (f'{{{HEAD}, "lots": [{{"bid": -1e400}}]}}', "current_bid"),
    "beyond_a_double_as_text": (f'{{{HEAD}, "lots": [{{"bid": "1e400"}}]}}', "current_bid"),
    "integer_beyond_a_double": (f'{{{HEAD}, "lots": [{{"bid": {"9" * 400}}}]}}', "current_bid"),
    "five_thousand_digits": (f'{{{HEAD}, "lots": [{{"bid": {NINES}}}]}}', "current_bid"),
    "beyond_int4": (f'{{{HEAD}, "year": 2147483648}}', "year"),
    "beyond_int4_as_text": (
        f'{{{HEAD}, "lots": [{{"odometer": {{"km": "99999999999"}}}}]}}',
        "mileage",
    ),
    "beyond_int8": (f'{{{HEAD}, "lots": [{{"odometer": {{"km": 1e30}}}}]}}', "mileage"),
    "huge_exponent": (f'{{{HEAD}, "lots": [{{"bid": 1e999999999}}]}}', "current_bid"),
    "huge_exponent_as_text": (
        f'{{{HEAD}, "lots": [{{"bid": "1e999999999"}}]}}',
        "current_bid",
    ),
    "huge_year": (f'{{{HEAD}, "year": 99999999999999999999}}', "year"),
}
"""Numbers that no column can hold, under id 666: the column, which has a default, takes it."""

UNKNOWN: dict[str, str] = {
    "number": "7",
    "text": '"x"',
    "null": "null",
    "list": "[]",
    "true": "true",
    "deep_list": DEEP,
    "nan": "NaN",
    "empty": "{}",
    "null_id": '{"id": null}',
    "empty_id": '{"id": ""}',
    "boolean_id": '{"id": true}',
    "object_id": '{"id": {"a": 1}}',
    "list_id": '{"id": [1]}',
    "nan_id": '{"id": NaN}',
    "nul_id": '{"id": "\\u0000"}',
    "surrogate_id": '{"id": "\\udead"}',
    "long_id": f'{{"id": "{"x" * 513}"}}',
}
"""Rejected without an id: name → text."""

LONG = "x" * 100_000


def head(record_id: int) -> str:
    """Return what a good record begins with, under this id."""
    return HEAD.replace("666", str(record_id))


ODD: dict[str, str] = {
    "float_id": '{"id": 7.0, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}}',
    "id_of_512": f"{{{HEAD.replace('666', chr(34) + 'y' * 512 + chr(34))}}}",
    "huge_id": f"{{{head(123456789012345678901234567890)}}}",
    "duplicated_keys": f'{{{head(10)}, "vin": "\\u0000", "vin": "good"}}',
    "duplicated_ids": f'{{"id": "\\u0000", {head(11)}}}',
    "byte_order_mark": f'{{{head(12)}, "vin": "\ufeffvin\ufeff"}}',
    "control_characters": (
        f'{{{head(13)}, "title": "a\\u0001\\u0008\\u000b\\u001f\\u007f\\u0085"}}'
    ),
    "raw_control_characters": f'{{{head(14)}, "title": "a\x01\tb\nc\\\\N"}}',
    "right_to_left": (f'{{{head(15)}, "title": "\u202eسيارة \u200f😀👨\u200d👩", "vin": "עברית"}}'),
    "escapes_of_copy": f'{{{head(16)}, "title": "\\\\N\\\\.\\t\\n%s {{}} \\\\"}}',
    "long_texts": (
        f'{{"id": 17, "manufacturer": {{"name": "{LONG}"}}, "model": {{"name": "{LONG}"}},'
        f' "title": "{LONG}", "vin": "{LONG}", "color": {{"name": "{LONG}"}},'
        f' "fuel": {{"name": "{LONG}"}}, "transmission": {{"name": "{LONG}"}},'
        f' "lots": [{{"lot": "{LONG}", "condition": {{"name": "{LONG}"}},'
        f' "images": {{"normal": ["{LONG}"]}}}}]}}'
    ),
    "nulls_where_allowed": (
        f'{{{head(18)}, "year": null, "title": null, "vin": null, "color": null, "lots": [null]}}'
    ),
    "the_largest_double": f'{{{head(19)}, "lots": [{{"bid": 1.7976931348623157e308}}]}}',
    "the_smallest_double": f'{{{head(20)}, "lots": [{{"bid": 5e-324}}]}}',
    "minus_zero": f'{{{head(21)}, "lots": [{{"bid": -0.0}}]}}',
    "images_of_every_kind": (
        f'{{{head(22)}, "lots": [{{"images": {{"normal":'
        ' ["u.jpg", 1e308, -5e-324, 123456789012345678901234567890, {"": null}, "\\\\u0000"]}}]}'
    ),
    "poison_where_nothing_is_mapped": (
        f'{{"seller": [NaN, 1e400, "\\ud800", "\\u0000", "\udcff", {NINES}, {DEEP}], {head(23)}}}'
    ),
}
"""Strange, but every row holds it: name → text, each under an id of its own."""

PATHS = (
    "id manufacturer.name model.name year title vin color.name fuel.name transmission.name"
    " lots.0.buy_now lots.0.odometer.km lots.0.condition.name lots.0.lot lots.0.bid"
    " lots.0.images.normal lots.0.images.normal.0 lots.0.status.name lots.0.keys_available"
).split()
"""Every path that the preset maps."""

PLACES = sorted(
    {".".join(p.split(".")[:n]) for p in PATHS for n in range(1, len(p.split(".")) + 1)}
)
"""These, and every place on the way to one."""

KINDS = {
    "null": "null", "true": "true", "false": "false", "zero": "0", "negative": "-1",
    "float": "1.5", "large": "1e300", "beyond_int8": "9" * 25, "nan": "NaN", "inf": "Infinity",
    "minus_inf": "-Infinity", "1e400": "1e400", "digits": NINES, "empty_text": '""', "text": '"x"',
    "nul": '"\\u0000"', "surrogate": '"\\udc00"', "no_utf8": '"\udcff"', "empty_list": "[]",
    "list": "[1]", "list_of_lists": "[[[]]]", "empty_object": "{}", "object": '{"name": 1}',
    "deep": "[" * 3_000 + "]" * 3_000, "date": '"2024-02-30"', "long": f'"{"l" * 5000}"',
}  # fmt: skip
"""JSON texts of every kind of value, and some that are no JSON."""


def wrong_types() -> Iterator[tuple[str, str]]:
    """Give a name and a record for each kind of value at each place."""
    for place in PLACES:
        for kind, text in KINDS.items():
            yield f"{place}_{kind}", put(place, text)


def put(place: str, text: str, record_id: object = 666) -> str:
    """Return a good record with the JSON `text` at `place`."""
    record = json.loads(GOOD)
    record["id"] = record_id
    *way, last = place.split(".")
    here: Any = record
    for part, following in itertools.pairwise([*way, last]):
        fresh: Any = [] if following.isdecimal() else {}
        here = _step(here, part, fresh)
    _step(here, last, _MARK, replace=True)
    return json.dumps(record, ensure_ascii=False).replace(f'"{_MARK}"', text)


_MARK = "@poison@"


def _step(here: Any, part: str, value: Any, replace: bool = False) -> Any:
    """Go on to `part` of a list or object, where `value` is put if nothing is there yet."""
    key: Any = int(part) if isinstance(here, list) else part
    if isinstance(here, list):
        here.extend([None] * (key + 1 - len(here)))
    if replace or (here[key] if isinstance(here, list) else here.get(key)) is None:
        here[key] = value
    return here[key]


_texts = st.text(max_size=20) | st.sampled_from(
    ["\0", "\ud800", "2024-01-01", "1e5", " 7 ", "x" * 600]
)
_numbers = st.integers() | st.floats() | st.integers(-(10**40), 10**40)
_leaves = st.none() | st.booleans() | _numbers | _texts
values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
).map(json.dumps) | st.sampled_from(list(KINDS.values()))
"""JSON texts of arbitrary values, and of some that are no JSON."""

records = st.builds(put, st.sampled_from(PLACES), values)
"""Good records with an arbitrary value at an arbitrary place."""
