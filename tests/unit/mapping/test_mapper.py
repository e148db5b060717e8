"""Rows: what deployed systems hold, to the byte; poisoned records rejected, the rest landed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from carsync.config.parser import parse
from carsync.config.sections import ColumnRule, HashRules, MappingRules, Pagination
from carsync.errors import ConfigError, PageError
from carsync.mapping.mapper import Mapper, PageContent
from carsync.model import MAX_ORIGINAL_CHARS, Column, Reject
from tests.support.folders import GOLDEN_FILE
from tests.support.mappers import load_mapper
from tests.support.records import DEEP, GOOD, NINES, POISONED, UNKNOWN, page

GOLDEN: list[dict[str, Any]] = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
MAPPER = load_mapper()
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


def rows_of(mapper: Mapper, content: PageContent) -> list[dict[str, Any]]:
    names = [column.name for column in mapper.columns]
    constants = {column.name: value for column, value in mapper.constants}
    return [dict(zip(names, row[1:], strict=True)) | constants for row in content.rows]


def record(**parts: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "manufacturer": {"name": "BMW"},
        "model": {"name": "320d"},
        "year": 2019,
        **parts,
    }


def lot(**parts: Any) -> dict[str, Any]:
    return record(lots=[parts])


def map_one(value: dict[str, Any], mapper: Mapper = MAPPER) -> dict[str, Any]:
    content = mapper.map_page(page(json.dumps(value)))
    assert content.rejects == ()
    return rows_of(mapper, content)[0]


def reject_of(value: dict[str, Any] | str, mapper: Mapper = MAPPER) -> Reject:
    text = value if isinstance(value, str) else json.dumps(value)
    content = mapper.map_page(page(text))
    assert content.rows == ()
    return content.rejects[0]


def mapper_of(**columns: Any) -> Mapper:
    """Compile a mapper of `id` and these columns, each a rule's keys."""
    rules = {"id": ColumnRule(path="id", required=True)}
    rules |= {name: ColumnRule(**rule) for name, rule in columns.items()}
    return load_mapper(MappingRules(preset=None, columns=dict(rules)))


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


def test_the_preset_hashes_fifteen_fields_with_xxh3_by_default() -> None:
    assert MAPPER.hash_scheme == "xxh3_128:v1:" + ",".join(sorted(HASHED))


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


@pytest.mark.parametrize(
    ("path", "empty"),
    [("color", []), ("color", {}), ("lots", {}), ("lots", []), ("lots", [None]), ("lots", [[]])],
)
def test_an_empty_part_of_a_path_is_a_missing_value(path: str, empty: Any) -> None:
    assert map_one(record(**{path: empty})) == map_one(record())


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


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00+00:00"),
        ("2024-05-01 12:00:00", "2024-05-01T12:00:00+00:00"),
        ("2024-05-01T12:00:00.123456789+09:00", "2024-05-01T03:00:00.123456+00:00"),
        ("2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("", None),
        (None, None),
    ],
)
def test_times_are_written_in_utc(text: str | None, moment: str | None) -> None:
    mapper = mapper_of(sale_date={"path": "at", "type": "timestamptz"})
    assert map_one({"id": 1, "at": text}, mapper)["sale_date"] == moment


@pytest.mark.parametrize(
    "text",
    ["2024-02-30", "0000-00-00 00:00:00", "tomorrow", "0001-01-01T00:00:00+09:00", 20240501, {},
     "2024-05-01T25:00:00", "99999-01-01", "2024\u000005-01"],
)  # fmt: skip
def test_times_that_do_not_exist_reject_the_record(text: Any) -> None:
    mapper = mapper_of(sale_date={"path": "at", "type": "timestamptz"})
    assert reject_of({"id": 1, "at": text}, mapper).column == "sale_date"


@pytest.mark.parametrize(
    ("value", "read"),
    [(True, True), (0, False), (1.0, True), ("1", True), (" False ", False), ("", None)],
)
def test_booleans_are_read_from_numbers_and_words(value: Any, read: bool | None) -> None:
    mapper = mapper_of(sold={"path": "sold", "type": "boolean"})
    assert map_one({"id": 1, "sold": value}, mapper)["sold"] is read


@pytest.mark.parametrize("value", [2, "yes", [], {"a": 1}, "\u0000"])
def test_what_is_no_boolean_rejects_the_record_without_a_default(value: Any) -> None:
    mapper = mapper_of(sold={"path": "sold", "type": "boolean"})
    assert reject_of({"id": 1, "sold": value}, mapper).column == "sold"


@pytest.mark.parametrize(
    ("wanted", "value", "equal"),
    [("sale", "sale", True), ("sale", "Sale", False), (1, True, False), (1, 1.0, True),
     (True, 1, False), (True, True, True), ("sale", None, False)],
)  # fmt: skip
def test_equals_compares_value_and_kind(wanted: Any, value: Any, equal: bool) -> None:
    mapper = mapper_of(live={"path": "s", "equals": wanted})
    assert map_one({"id": 1, "s": value}, mapper)["live"] is equal
    assert Column("live", "boolean") in mapper.columns


def test_a_value_without_default_is_null_when_missing_and_rejects_when_unreadable() -> None:
    mapper = mapper_of(bid={"path": "bid", "type": "numeric", "min": 0})
    assert map_one({"id": 1}, mapper)["bid"] is None
    assert "abc" in reject_of({"id": 1, "bid": "abc"}, mapper).reason
    assert "outside" in reject_of({"id": 1, "bid": -1}, mapper).reason


def test_only_what_javascript_trims_is_stripped() -> None:
    mapper = mapper_of(make={"path": "make", "strip": True})
    assert map_one({"id": 1, "make": "\ufeff\u2028 BMW\u00a0"}, mapper)["make"] == "BMW"
    assert map_one({"id": 1, "make": "\x1cBMW\x85"}, mapper)["make"] == "\x1cBMW\x85"


def test_paths_may_overlap_and_name_several_positions() -> None:
    mapper = mapper_of(
        raw={"path": "", "type": "jsonb"},
        first={"path": "lots.0.bid", "type": "integer"},
        second={"path": "lots.1.bid", "type": "integer"},
        lots={"path": "lots", "type": "jsonb"},
        odd={"path": 'a "b\\'},
    )
    value = {"id": 1, "lots": [{"bid": 4}, {"bid": 5}], 'a "b\\': "c"}
    row = map_one(value, mapper)
    assert (row["first"], row["second"], row["odd"]) == (4, 5, "c")
    assert json.loads(row["raw"]) == value
    assert json.loads(row["lots"]) == value["lots"]
    several = mapper_of(first={"path": "l.0.a"}, second={"path": "l.1.a"}, third={"path": "l.1.b"})
    row = map_one({"id": 1, "l": [{"a": "x"}, {"a": "y", "b": "z"}]}, several)
    assert (row["first"], row["second"], row["third"]) == ("x", "y", "z")


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
    assert mapper.hash_scheme == "xxh3_128:v1:" + ",".join(sorted({*HASHED} - {"vin"}))
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


@pytest.mark.parametrize("text", ["", "{", "<p>", '{"id": 8}, {"id": 7}', '{"id": 8}], [{"id": 7}'])
def test_what_is_not_the_json_of_one_record_is_refused(text: str) -> None:
    with pytest.raises(PageError, match="not the JSON of a record"):
        MAPPER.map_record(text.encode())


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"a": {}}, "mapping.columns.a: needs path, constant or template"),
        ({"a": {"path": "a..b"}}, "mapping.columns.a: path has an empty part"),
        ({"a": {"constant": 1, "path": "a", "type": "integer"}}, "mapping.columns.a: constant"),
        ({"a": {"path": "a", "equals": "x", "type": "integer"}}, "type must be boolean"),
        ({"a": {"path": "a", "min": 1}}, "min and max are for numbers"),
        ({"a": {"path": "a", "type": "integer", "min": 2, "max": 1}}, "greater than max"),
        ({"a": {"path": "a", "number": "prefix"}}, "number is for numbers"),
        ({"a": {"path": "a", "type": "integer", "strip": True}}, "strip is for texts"),
        ({"a": {"path": "a", "type": "integer", "template": "{b}"}}, "template is for texts"),
        ({"a": {"path": "a", "template": "{b}", "default": "c"}}, "exclude each other"),
        ({"a": {"path": "a", "required": True, "default": "c"}}, "exclude each other"),
        ({"a": {"template": "{nowhere}"}}, "mapping.columns.a.template: there is no column"),
        ({"a": {"template": "{b"}}, "mapping.columns.a.template"),
        ({"a": {"template": "{id!r}"}}, "mapping.columns.a.template"),
        ({"a": {"path": "a", "type": "integer", "default": "x"}}, "mapping.columns.a.default"),
        ({"a": {"constant": "[", "type": "jsonb"}}, "mapping.columns.a.constant"),
        ({"a": {"constant": "2024-02-30", "type": "timestamptz"}}, "mapping.columns.a.constant"),
        ({"a": {"constant": 2**40, "type": "integer"}}, "mapping.columns.a.constant"),
        ({"a-b": {"path": "a"}}, "mapping.columns.a-b: not a plain SQL identifier"),
        ({"data_hash": {"path": "a"}}, "mapping.columns.data_hash"),
        ({"source_api": {"constant": "a"}}, "mapping.columns.source_api"),
        ({"id": {"path": "id"}}, "mapping.columns.id must be a required text"),
        ({"id": {"path": "id", "required": True, "type": "integer"}}, "mapping.columns.id"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)
def test_a_wrong_rule_is_named(columns: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        mapper_of(**columns)
    assert complaint in str(caught.value)


def test_a_mapping_without_id_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mapping\.columns\.id is missing"):
        load_mapper(MappingRules(columns={"id": None}))


def test_a_hashed_field_has_to_be_a_column() -> None:
    mapping = MappingRules(hash_=HashRules(fields=["make", "modle"]))
    with pytest.raises(ConfigError, match=r"mapping\.hash\.fields: there is no column modle") as e:
        load_mapper(mapping)
    assert e.value.hint == "did you mean model?"
    with pytest.raises(ConfigError, match="holds no column"):
        load_mapper(MappingRules(hash_=HashRules(fields=[])))
