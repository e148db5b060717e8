"""Rows: what deployed systems hold, to the byte; poisoned records rejected, the rest landed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.api_sections import Pagination
from carsync.config.mapping_sections import HashRules, MappingRules
from carsync.config.parser import parse
from carsync.errors import PageError
from carsync.mapping import column_plan
from carsync.mapping.mapper import PageContent
from carsync.model import MAX_ORIGINAL_CHARS, Column, Unread
from tests.support.folders import GOLDEN_FILE
from tests.support.mappers import PRESET as MAPPER
from tests.support.mappers import load_mapper, map_one, mapper_of, record, reject_of, rows_of
from tests.support.records import DEEP, GOOD, NINES, OUT_OF_RANGE, POISONED, UNKNOWN, page

GOLDEN: list[dict[str, Any]] = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
HASHED = [
    "make",
    "model",
    "year",
    "price",
    "mileage",
    "vin",
    "color",
    "fuel",
    "transmission",
    "condition",
    "lot_number",
    "current_bid",
    "buy_now_price",
    "is_live",
    "keys_available",
]


def lot(**parts: Any) -> dict[str, Any]:
    return record(lots=[parts])


@pytest.mark.parametrize("poison", ["", '{"id": NaN}'], ids=["sound", "beside_a_poisoned_record"])
def test_golden_records_give_the_rows_and_md5_of_deployed_systems(poison: str) -> None:
    mapper = load_mapper(MappingRules(hash_=HashRules(algorithm="md5")))
    texts = [json.dumps(case["record"]) for case in GOLDEN]
    content = mapper.map_page(page(*texts, *filter(None, [poison])))
    rows = rows_of(mapper, content)
    assert len(rows) == len(GOLDEN) == 120
    for row, case in zip(rows, GOLDEN, strict=True):
        expected = dict.fromkeys(row) | case["row"]
        del expected["source_api"]  # the merge sets it
        expected["images"] = json.loads(expected["images"])
        row["images"] = json.loads(row["images"])
        assert row == expected
        assert {n: type(v) for n, v in row.items()} == {n: type(v) for n, v in expected.items()}


def test_the_preset_hashes_every_column_with_xxh3_and_fifteen_with_md5() -> None:
    columns = {c.name for c in MAPPER.columns} | {c.name for c, _ in MAPPER.constants}
    every = sorted(columns - {"id", "data_hash"})
    assert MAPPER.hash_scheme == "xxh3_128:v1:" + ",".join(every)
    md5 = load_mapper(parse("mapping: {hash: {algorithm: md5}}", {}).mapping)
    assert md5.hash_scheme == "md5:v1:" + ",".join(sorted(HASHED))


def test_columns_start_with_id_and_end_with_data_hash_and_constants_are_apart() -> None:
    assert MAPPER.columns[0] == Column("id", "text")
    assert MAPPER.columns[-1] == Column("data_hash", "text")
    assert Column("is_live", "boolean") in MAPPER.columns
    constants = {column.name: value for column, value in MAPPER.constants}
    assert constants == {
        "location": "South Korea",
        "domain_name": "external_api",
        "status": "active",
        "is_active": True,
        "is_archived": False,
    }
    assert not constants.keys() & {column.name for column in MAPPER.columns}


@pytest.mark.parametrize(("poisoned", "column"), POISONED.values(), ids=POISONED)
def test_a_poisoned_record_is_rejected_and_its_page_lands(poisoned: str, column: str) -> None:
    content = MAPPER.map_page(page(GOOD, poisoned, GOOD))
    assert [row[0] for row in content.rows] == [0, 2]
    assert content.rows[0][1:] == content.rows[1][1:] == MAPPER.map_page(page(GOOD)).rows[0][1:]
    (reject,) = content.rejects
    assert (reject.ordinal, reject.record_id) == (1, "666")
    assert content.records == 3
    if "deep" not in reject.reason:
        assert reject.column == column
    assert reject.reason.isprintable()
    assert reject.reason
    reject.original.encode()
    assert "\0" not in reject.original
    assert reject.original.startswith(poisoned[:12])


@pytest.mark.parametrize(("record_", "column"), OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_a_number_out_of_range_costs_the_default_and_not_the_car(record_: str, column: str) -> None:
    content = MAPPER.map_page(page(GOOD, record_))
    assert content.rejects == ()
    names = [c.name for c in MAPPER.columns]
    value = dict(zip(names, content.rows[1][1:], strict=True))[column]
    assert value == MAPPER.defaults[column] is not None


@pytest.mark.parametrize("poisoned", UNKNOWN.values(), ids=UNKNOWN)
def test_a_record_without_a_usable_id_is_rejected_without_one(poisoned: str) -> None:
    content = MAPPER.map_page(page(GOOD, poisoned))
    assert len(content.rows) == 1
    (reject,) = content.rejects
    assert (reject.ordinal, reject.record_id) == (1, None)
    assert reject.column in {None, "id"}


@pytest.mark.parametrize(
    "unmapped", ["NaN", '"\\ud800"', '"\\u0000"', '"\udcff"', DEEP, "1e400", NINES, '"a\tb"']
)
def test_poison_that_no_column_takes_does_no_harm(unmapped: str) -> None:
    text = f'{{"seller": {unmapped}, {GOOD[1:]}'
    content = MAPPER.map_page(page(text, '{"id": NaN}'))
    assert content.rows == MAPPER.map_page(page(GOOD)).rows


def test_the_rejected_text_is_kept_as_it_stood_up_to_a_limit() -> None:
    text = '{"id": 7,  "vin": "\\u0000", "x": NaN}'
    assert reject_of(text).original == text
    long = json.dumps({"id": 7, "x": "é" * (MAX_ORIGINAL_CHARS + 5)}, ensure_ascii=False)
    assert reject_of(long).original == long[:MAX_ORIGINAL_CHARS]


def test_a_record_without_lots_gets_the_lots_defaults() -> None:
    row = map_one(record())
    expected = {
        "price": 0, "mileage": 0, "current_bid": 0, "buy_now_price": 0, "condition": "good",
        "lot_number": None, "is_live": False, "keys_available": True, "images": "[]",
        "image_url": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("buy_now", "price", "buy_now_price"),
    [
        ("15,000", 0, 15),
        (-5, 0, -5),
        ("", 0, 0),
        (" 900 ", 900, 900),
        ([1], 0, 0),
        ({"a": 1}, 0, 0),
        (True, 0, 0),
        ("0x10", 16, 0),
        (8825.5, 8825.5, 8825.5),
        (15000.0, 15000, 15000),
        (2**60 + 1, 1152921504606847000, 1152921504606847000),
        (1e21, 1e21, 1e21),
    ],
)
def test_numbers_are_read_as_the_deployed_script_read_them(
    buy_now: Any, price: float, buy_now_price: float
) -> None:
    row = map_one(lot(buy_now=buy_now))
    assert (row["price"], row["buy_now_price"]) == (price, buy_now_price)
    assert type(row["price"]) is type(price)


@pytest.mark.parametrize(
    ("year", "read"),
    [(1901, 1901), (1900, 2020), ("2019", 2019), (2019.9, 2019), ("", 2020), ({}, 2020)],
)
def test_years_out_of_reach_become_the_default(year: Any, read: int) -> None:
    assert map_one(record(year=year, title="t"))["year"] == read


def test_a_missing_title_is_made_from_the_raw_year() -> None:
    assert map_one(record(title=None, year="abc"))["title"] == "BMW 320d abc"
    assert map_one(record(title="", year=None))["title"] == "BMW 320d "
    assert map_one(record(title=" as is "))["title"] == " as is "
    assert map_one(record(year=2019.0))["title"] == "BMW 320d 2019"
    assert reject_of(record(year=[1])).column == "title"
    assert map_one(record(year=[1], title="t"))["year"] == 2020


@pytest.mark.parametrize(
    ("value", "written"),
    [
        *[(falsy, "") for falsy in ("0", "-0", "0.0", "-0.0", "0e5", "1e-400", "NaN")],
        *[(falsy, "") for falsy in ('""', "false", "null")],
        *[(truthy, truthy.strip('"')) for truthy in ('"0"', '" "', '"false"', "true", "1", "-1")],
        ("1e-7", "1e-7"),
    ],
)
def test_a_template_leaves_a_place_empty_for_what_javascript_takes_for_false(
    value: str, written: str
) -> None:
    mapper = mapper_of(title={"template": "({.year})"})
    content = mapper.map_page(page(f'{{"id": 1, "year": {value}}}'))
    assert rows_of(mapper, content)[0]["title"] == f"({written})"


@pytest.mark.parametrize(
    ("rule", "value", "written"),
    [
        ({"type": "integer"}, 0, ""),
        ({"type": "integer"}, -0.0, ""),
        ({"type": "integer"}, 7, "7"),
        ({"type": "numeric"}, 0.0, ""),
        ({"type": "numeric"}, "0", ""),
        ({"type": "numeric"}, 0.5, "0.5"),
        ({"type": "boolean"}, False, ""),
        ({"type": "boolean"}, True, "true"),
        ({"equals": "sale"}, "sold", ""),
        ({"type": "text"}, "0", "0"),
        ({"type": "text"}, 0, "0"),  # a text column holds the text "0"
        ({"type": "text"}, "", ""),
        ({"type": "jsonb"}, False, "false"),  # and a jsonb column JSON text
    ],
)
def test_a_template_judges_a_column_by_the_value_that_it_holds(
    rule: dict[str, Any], value: Any, written: str
) -> None:
    mapper = mapper_of(part={"path": "part", **rule}, title={"template": "({part})"})
    assert map_one({"id": 1, "part": value}, mapper)["title"] == f"({written})"


def test_a_title_without_a_year_ends_in_a_blank_as_the_deployed_script_leaves_it() -> None:
    assert map_one(record(title=None, year=0))["title"] == "BMW 320d "


def test_ids_stay_exact() -> None:
    assert map_one(record(id=12345678901234567890123))["id"] == "12345678901234567890123"
    assert map_one(record(id=7.0))["id"] == "7"
    assert map_one(record(id="a-7"))["external_id"] == "a-7"


def test_json_columns_do_not_depend_on_how_the_feed_escapes() -> None:
    images = (
        '{"lots": [{"images": {"normal": ["https:\\/\\/x\\/1.jpg", "caf\\u00e9", "\\\\u0000"]}}],'
    )
    content = MAPPER.map_page(page(images + GOOD[1:].replace('"lots"', '"x"')))
    row = rows_of(MAPPER, content)[0]
    assert row["images"] == '["https://x/1.jpg","café","\\\\u0000"]'
    assert row["image_url"] == "https://x/1.jpg"


def test_own_columns_lie_over_the_preset() -> None:
    mapping = parse(
        """
        mapping:
          columns:
            vin: null
            condition: {constant: used}
            color: {path: paint}
            seats: {path: seats, type: integer}
        """,
        {},
    ).mapping
    mapper = load_mapper(mapping)
    row = map_one(record(paint=" red ", seats="5"), mapper)
    assert (row["color"], row["seats"], row["condition"]) == (" red ", 5, "used")
    assert "vin" not in row
    hashed = mapper.hash_scheme.rpartition(":")[2].split(",")
    assert "seats" in hashed
    assert "vin" not in hashed
    assert mapper.fingerprint != MAPPER.fingerprint


def test_fingerprint_depends_on_the_rules_alone() -> None:
    again = load_mapper(pagination=Pagination(page_size=7))
    assert again.fingerprint == MAPPER.fingerprint
    md5 = load_mapper(MappingRules(hash_=HashRules(algorithm="md5")))
    assert md5.fingerprint != MAPPER.fingerprint
    assert md5.hash_scheme.startswith("md5:v1:")


def test_constants_may_be_hashed() -> None:
    def hash_with(constant: str) -> str:
        mapper = mapper_of(make={"path": "make"}, place={"constant": constant})
        return str(map_one({"id": 1, "make": "BMW"}, mapper)["data_hash"])

    assert hash_with("Seoul") != hash_with("Busan")


def test_an_array_of_records_maps_like_a_page() -> None:
    texts = [json.dumps(case["record"]) for case in GOLDEN[:3]]
    array = MAPPER.map_array(f"[{','.join(texts)}]".encode())
    assert array == MAPPER.map_page(page(*texts))


def test_a_record_alone_may_stand_between_blanks() -> None:
    (reject,) = MAPPER.map_record(b' {"id": 7, "x": NaN}\r\n').rejects
    assert (reject.ordinal, reject.original) == (0, '{"id": 7, "x": NaN}')


@pytest.mark.parametrize("text", ["", "{", "<p>", '{"id": 8}, {"id": 7}', '{"id": 8}], [{"id": 7}'])
def test_what_is_not_the_json_of_one_record_is_refused(text: str) -> None:
    with pytest.raises(PageError, match="not the JSON of a record"):
        MAPPER.map_record(text.encode())


# ── neighbours ───────────────────────────────────────────────────────────────

WORDS = ['"1"', '" 2 "', '"12.5x"', '"sale"', '"false"', '""', '" "', '"2024-05-01"', '"\u3000é"']
NUMBERS = ["3", "4.0", "-0.0", "1e30", "2147483648", "9007199254740993", "NaN", "1e400"]
INNER = ['"{\\"value\\": \\"sale\\"}"', '[{"value": 8}, 3]']
OTHERS = [
    "true",
    "null",
    "[]",
    "{}",
    '{"value": 8}',
    '["a", " b "]',
    '"\\u0000"',
    '"\\ud800"',
]
TOKENS = st.sampled_from([*WORDS, *NUMBERS, *INNER, *OTHERS, f'"{"x" * 600}"'])
NEIGHBOURS = st.lists(
    st.tuples(TOKENS, TOKENS, TOKENS).map('{{"id": {0[0]}, "a": {0[1]}, "b": {0[2]}}}'.format)
    | st.sampled_from([text for text in UNKNOWN.values() if text != DEEP]),
    min_size=1,
    max_size=5,
)
COLUMNS = [
    {"type": "text"},
    {"type": "text", "strip": True},
    {"type": "text", "strip": True, "required": True},
    {"type": "text", "template": "{id}-{.b}"},
    {"type": "integer", "default": 0},
    {"type": "integer", "min": 1, "max": 9, "required": True},
    {"type": "numeric", "number": "prefix", "default": 0},
    {"type": "boolean", "default": False},
    {"equals": "sale"},
    {"type": "timestamptz"},
    {"type": "jsonb"},
    {"type": "numeric", "unwrap": "value"},
    {"map": {"sale": "active", "3": "three", "true": None}},
    {"map": {"sale": 1, "_": 2}, "type": "integer"},
    {"type": "timestamptz", "format": "epoch_s", "default": "2024-01-01"},
    {"path": ["b.value", "a"], "strip": True, "default": "none"},
    {"path": "b[value=8 | -1]", "unwrap": "value"},
    {"path": ["a[0]", "b[1]", "id"], "type": "jsonb"},
    {"path": "", "type": "jsonb"},
]


@given(NEIGHBOURS, st.booleans(), st.sampled_from(COLUMNS), st.sampled_from(COLUMNS))
def test_a_row_does_not_depend_on_the_records_beside_it(
    records: list[str], strip: bool, first: dict[str, Any], second: dict[str, Any]
) -> None:
    columns = {
        "id": {"path": "id", "required": True, "strip": strip},
        "first": {"path": "a", **first},
        "second": {"path": "b.value", **second},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_plan, "compile_uniform", lambda *_: None)
        value_by_value = mapper_of(**columns)
    together = _by_ordinal(mapper_of(**columns).map_page(page(*records)))
    for ordinal, text in enumerate(records):
        alone = _by_ordinal(value_by_value.map_page(page(text)))
        assert repr(together[ordinal]) == repr(alone[0])


def _by_ordinal(content: PageContent) -> dict[int, tuple[Any, ...]]:
    rejects = {r.ordinal: (r.record_id, r.column, r.reason) for r in content.rejects}
    return {row[0]: row[1:] for row in content.rows} | rejects


def test_values_that_became_the_default_are_counted_once_in_records_that_make_a_row() -> None:
    mapper = mapper_of(n={"path": "n", "type": "integer", "default": 0}, vin={"path": "vin"})
    values = ["7", '"1,000"', "null", "1e12", "false", '{"a": 1}', '"x", "vin": [1]']
    texts = [f'{{"id": {i}, "n": {value}}}' for i, value in enumerate(values)]
    notes = mapper.map_page(page(*texts)).notes
    assert notes.unread == {"n": Unread(4, "1", "'1,000' is not a number")}
    alone = [mapper.map_page(page(text)).notes.unread for text in texts]
    assert [found["n"].count if found else 0 for found in alone] == [0, 1, 0, 1, 1, 1, 0]
    assert notes.absent == ()
    assert mapper.map_page(page('{"id": 1}', '{"id": 2}')).notes.absent == ("n", "vin")
    assert mapper.map_page(page()).notes.absent == ()
