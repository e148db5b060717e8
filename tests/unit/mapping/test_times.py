"""Times: however they are written, one moment; the zone only where there is no offset."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.mapping_sections import ColumnRule
from carsync.mapping.times import is_naive
from tests.support.mappers import map_one, mapper_of, reject_of

BERLIN = {"zone": "Europe/Berlin"}
SLASHED = {"format": "%m/%d/%Y %I:%M %p"}


@pytest.mark.parametrize(
    ("rule", "value", "moment"),
    [
        ({"format": "epoch_s"}, 1714557600, "2024-05-01T10:00:00+00:00"),
        ({"format": "epoch_s"}, "1714557600", "2024-05-01T10:00:00+00:00"),
        ({"format": "epoch_s"}, 1714557600.25, "2024-05-01T10:00:00.250000+00:00"),
        ({"format": "epoch_s"}, 0, "1970-01-01T00:00:00+00:00"),
        ({"format": "epoch_s"}, -1, "1969-12-31T23:59:59+00:00"),
        ({"format": "epoch_s"}, "", None),
        ({"format": "epoch_ms"}, 1714557600123, "2024-05-01T10:00:00.123000+00:00"),
        ({"format": "%Y%m%d%H%M%S"}, 20180813205535, "2018-08-13T20:55:35+00:00"),
        ({"format": "%Y%m%d%H%M%S"}, "20180813205535", "2018-08-13T20:55:35+00:00"),
        ({"format": "%m/%d/%Y"}, " 08/15/2018 ", "2018-08-15T00:00:00+00:00"),
        ({"format": "%m/%d/%Y"}, " ", None),
        ({**SLASHED, "zone": "Asia/Seoul"}, "08/15/2018 01:30 PM", "2018-08-15T04:30:00+00:00"),
        ({"format": "%Y-%m-%d %H:%M %z", **BERLIN}, "2024-05-01 12:00 +0900",
         "2024-05-01T03:00:00+00:00"),
        (BERLIN, "2024-01-01T12:00:00", "2024-01-01T11:00:00+00:00"),
        (BERLIN, "2024-07-01T12:00:00", "2024-07-01T10:00:00+00:00"),
        (BERLIN, "2024-07-01T12:00:00Z", "2024-07-01T12:00:00+00:00"),  # its own offset wins
        (BERLIN, "2024-03-31 02:30", "2024-03-31T01:30:00+00:00"),  # left out: later by the gap
        (BERLIN, "2024-10-27 02:30", "2024-10-27T00:30:00+00:00"),  # twice: the first of the two
        ({}, "2024-05-01", "2024-05-01T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_a_time_is_read_as_its_rule_says(
    rule: dict[str, Any], value: Any, moment: str | None
) -> None:
    mapper = mapper_of(at={"path": "at", "type": "timestamptz", **rule})
    assert map_one({"id": 1, "at": value}, mapper)["at"] == moment


@pytest.mark.parametrize(
    ("format_", "value", "reason"),
    [
        ("epoch_s", "soon", "'soon' is not a time as epoch_s"),
        ("epoch_s", True, "true is not a time as epoch_s"),
        ("epoch_s", 10**15, "a number is not a time as epoch_s"),
        ("epoch_ms", [1], "a list is not a time as epoch_ms"),
        ("%m/%d/%Y", "2018-08-15", "'2018-08-15' is not a time as %m/%d/%Y"),
        ("%m/%d/%Y", {"a": 1}, "an object is not a time as %m/%d/%Y"),
        (None, 1714557600, "a number is not an ISO 8601 time"),
        (None, "0001-01-01T00:00:00+09:00", "'0001-01-01T00:00:00+09:00' is not an ISO 8601 time"),
    ],
)
def test_what_is_no_such_time_rejects_its_record(
    format_: str | None, value: Any, reason: str
) -> None:
    mapper = mapper_of(at={"path": "at", "type": "timestamptz", "format": format_})
    assert reject_of({"id": 1, "at": value}, mapper).reason == reason


@pytest.mark.parametrize(
    ("format_", "value", "naive"),
    [
        (None, "2024-05-01 12:00", True),
        (None, "2024-05-01", True),
        (None, "2024-05-01T12:00+09:00", False),
        (None, None, False),
        (None, "soon", False),
        (None, [], False),
        ("epoch_s", 7, False),
        ("%d.%m.%Y", "01.05.2024", True),
    ],
)
def test_a_time_without_an_offset_is_known(format_: str | None, value: Any, naive: bool) -> None:
    assert is_naive(ColumnRule(type="timestamptz", format=format_), value) is naive
