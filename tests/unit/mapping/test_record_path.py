"""The values by which a record is asked for: found in the columns that hold them, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.api_sections import Record
from carsync.config.mapping_sections import ColumnRule
from carsync.errors import ConfigError
from carsync.mapping.record_path import BY_ID, Place, find_places, read_places

RULES = {
    "id": ColumnRule(path="id", required=True),
    "lot_number": ColumnRule(path="lots[0].lot"),
    "vin": ColumnRule(path="vin", strip=True),
    "year": ColumnRule(path="year", type="integer", default=2020),
    "make": ColumnRule(path="make", map={"benz": "Mercedes"}),
    "domain_name": ColumnRule(constant="iaai"),
    "images": ColumnRule(path="images", type="jsonb"),
}
RAW = {**RULES, "raw": ColumnRule(path="", type="jsonb")}


@pytest.mark.parametrize(
    ("path", "rules", "places"),
    [
        ("/cars/{id}", RULES, BY_ID),
        ("/lot/{lot_number}", RULES, (Place("lot_number"),)),
        ("/lot/{.lots.0.lot}", RULES, (Place("lot_number"),)),  # the same place
        (
            "/lot/{lot_number}/{domain_name}",
            RULES,
            (Place("lot_number"), Place(constant="iaai")),
        ),
        ("/vin/{.vin}", RULES, (Place("vin"),)),
        ("/cars/{year}/{id}", RULES, (Place("year"), Place("id"))),
        ("/cars/{.ref.no}", RAW, (Place("raw", ("ref", "no")),)),
        ("/cars/{.make}", RAW, (Place("raw", ("make",)),)),  # the column holds another value
    ],
)
def test_each_place_has_a_column(
    path: str, rules: dict[str, ColumnRule], places: tuple[Place, ...]
) -> None:
    assert find_places(Record(path=path), rules) == places


@pytest.mark.parametrize(
    ("record", "rules", "complaint"),
    [
        (Record(path="/cars/{ref}"), RULES, "names {ref}, which is no mapped column"),
        (Record(path="/cars/{images}"), RULES, "names {images}, whose type is jsonb"),
        (Record(path="/cars/{.ref}"), RULES, "names {.ref}, which no column of the table holds"),
        (Record(path="/cars/{.make}"), RULES, "names {.make}, which no column"),
        (Record(path="/cars/{.year}"), RULES, "names {.year}, which no column"),
        (Record(path="/cars/{.lots[a=b].c}"), RAW, "which no column of the table holds"),
        (Record(path="/cars/{.lots[a]}"), RAW, "lots[a] is not the path of a value"),
        (Record(gone_when={".lots[a].b": 1}), RULES, "lots[a].b is not the path of a value"),
    ],
)
def test_a_value_that_no_row_holds_is_refused(
    record: Record, rules: dict[str, ColumnRule], complaint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        find_places(record, rules)
    assert complaint in caught.value.problem
    assert caught.value.hint


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ({"lot_number": "4/1", "raw": '{"ref": {"no": 7}}'}, ("4/1", "iaai", "7")),
        ({"lot_number": None, "raw": '{"ref": {"no": 7}}'}, None),
        ({"lot_number": "4", "raw": '{"ref": {}}'}, None),
        ({"lot_number": "4", "raw": '{"ref": {"no": ["a"]}}'}, None),
        ({"lot_number": "4", "raw": '{"ref": "x"}'}, None),
        ({}, None),
    ],
)
def test_a_row_gives_the_values_or_none_where_one_is_missing(
    row: dict[str, Any], values: tuple[str, ...] | None
) -> None:
    places = (Place("lot_number"), Place(constant="iaai"), Place("raw", ("ref", "no")))
    assert read_places(places, row) == values
    assert find_places(None, RULES) == ()
