"""Choices from lists: which item of a list a path goes on with."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from carsync.errors import ConfigError
from carsync.mapping.fields import Misplaced, RecordType, parse_path, walk

SOLD, LIVE = {"bid": 1, "status": {"name": "sold"}}, {"bid": 2, "status": {"name": "sale"}}
NEXT = {"bid": 3, "status": {"name": "upcoming"}, "archived": True, "n": 7}
LOTS = [SOLD, LIVE, NEXT]


@pytest.mark.parametrize(
    ("path", "lots", "bid"),
    [
        ("lots[status.name=sale].bid", LOTS, 2),
        ("lots[ status.name = sale ].bid", LOTS, 2),
        ("lots[status.name=upcoming | 0].bid", LOTS, 3),
        ("lots[status.name=gone | 0].bid", LOTS, 1),
        ("lots[status.name=gone | -1].bid", LOTS, 3),
        ("lots[status.name=gone].bid", LOTS, None),
        ("lots[status.name!=sold].bid", LOTS, 2),
        ("lots[status.name!=sold & archived=true].bid", LOTS, 3),
        ("lots[archived=null].bid", LOTS, 1),  # nothing there is null
        ("lots[n=7].bid", LOTS, 3),
        ('lots[status.name="sale"].bid', LOTS, 2),
        ('lots[status.name="a]b | c"].bid', [SOLD, {"bid": 4, "status": {"name": "a]b | c"}}], 4),
        ("lots[-1].bid", LOTS, 3),
        ("lots[-3].bid", LOTS, 1),
        ("lots[-4].bid", LOTS, None),
        ("lots[1].bid", LOTS, 2),
        ('lots[1]["bid"]', LOTS, 2),
        ("lots[status.name=sale | 0].bid", [NEXT], 3),  # one item alone is the one
        ("lots[status.name=sale].bid", [NEXT], None),
        ("lots[status.name=sale | 0].bid", [], None),
        ("lots[status.name=sale | 0].bid", None, None),
        ("lots[status.name=sale | 0].bid", {}, None),
        ("lots[status.name=sale | 0].bid", [None, 7, LIVE], 2),
        ("lots[status.name=sale | 0].bid", json.dumps(LOTS), 2),  # JSON within a text
        ("lots[status.name=sale].bid", [SOLD, json.dumps(LIVE)], 2),
        ("lots[status=sale].bid", [{"bid": 5, "status": "sale"}, "[", "{"], 5),
    ],
)
def test_decoded_records_and_plain_json_give_the_item_that_is_chosen(
    path: str, lots: Any, bid: Any
) -> None:
    parts, record = parse_path(path), {"lots": lots}
    type_ = RecordType([parts, ("id",)])
    decoded = msgspec.json.decode(json.dumps(record), type=type_.type)
    found = type_.gather([decoded, record, decoded])
    assert found[type_.slot(parts)] == [bid] * 3
    assert walk(record, parts) == bid


def test_several_choices_from_a_list_share_its_items() -> None:
    paths = [
        parse_path(f"lots{choice}.{name}")
        for choice in ("[status.name=sale | 0]", "[-1]", "[0]", "[archived=true]")
        for name in ("bid", "status.name")
    ]
    type_ = RecordType(paths)
    records = [{"lots": LOTS[n:]} for n in range(4)] + [{"lots": LOTS[:1]}, {"lots": 7}, {}]
    decoded = [msgspec.json.decode(json.dumps(record), type=type_.type) for record in records]
    found = type_.gather(decoded)
    for path in paths:
        assert repr(found[type_.slot(path)]) == repr([walk(record, path) for record in records])


@pytest.mark.parametrize("lots", ["x", 7, {"a": 1}, "[1"])
def test_what_is_no_list_is_out_of_place(lots: Any) -> None:
    path = parse_path("lots[-1].bid")
    type_ = RecordType([path])
    decoded = msgspec.json.decode(json.dumps({"lots": lots}), type=type_.type)
    for value in (type_.gather([decoded])[type_.slot(path)][0], walk({"lots": lots}, path)):
        assert isinstance(value, Misplaced)
        assert value.reason.endswith("instead of a list")


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("lots[0", "a bracket has no end"),
        ("lots[]", "[] is neither a position nor field=value"),
        ("lots[sale]", "[sale] is neither a position nor field=value"),
        ("lots[a=]", "[a=] is neither a position nor field=value"),
        ("lots[a=b | ]", "neither"),
        ("lots[a..b=c]", "neither"),
        ("lots[a=b=c]", "neither"),
        ("lots[0]bid", "a dot is missing"),
        ('lots[a="b]', "a bracket has no end"),
        ("lots[1.5]", "neither"),
    ],
)
def test_what_is_no_path_is_refused(path: str, detail: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_path(path)
    assert caught.value.problem == f"{path} is not the path of a value"
    assert detail in caught.value.detail
