"""Which changes no market makes: the shares, and too few cars to judge."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from carsync.config.sections import Plausible
from carsync.destination.plausibility import (
    ColumnForecast,
    Forecast,
    find_implausible,
    names_of,
)

QUIET = Forecast(ids=100, known=100, changed=3, active=100, absent=0)
PART = Forecast(ids=150, known=150, changed=150, active=1000, absent=850, is_part=True)
OFF = Plausible(max_changed_share=None, max_emptied_share=None, max_new_share=None)


def emptied(number: int) -> tuple[ColumnForecast, ...]:
    return (ColumnForecast("vin", 0, 0), ColumnForecast("price", number, number))


@pytest.mark.parametrize(
    ("forecast", "words"),
    [
        (QUIET, ""),
        (replace(QUIET, changed=50), ""),
        (replace(QUIET, changed=51), "51 of 100 known cars would change (51.0 %"),
        (replace(QUIET, columns=emptied(20)), ""),
        (replace(QUIET, columns=emptied(21)), "price would become empty, or its default, in 21"),
        (replace(QUIET, known=70, absent=31), ""),
        (replace(QUIET, known=69, absent=30), ""),
        (
            replace(QUIET, known=69, absent=31),
            "does not know 31 of 100 cars of the feed (31.0 %",
        ),
        (Forecast(9, 9, 9, 9, 0, emptied(9)), ""),  # too few to say anything
        (Forecast(0, 0, 0, 0, 0), ""),
        # Only what changed was asked for:
        (PART, ""),
        (replace(PART, changed=501, known=501), "501 of 1,000 active cars would change (50.1 %"),
        (replace(PART, columns=emptied(31)), "price would become empty, or its default, in 31"),
        (replace(PART, ids=99, known=99, columns=emptied(99)), ""),  # too few of a part
        (replace(PART, ids=200, known=100), ""),  # new cars are listed as changed
    ],
)
def test_a_share_beyond_its_rule_is_implausible(forecast: Forecast, words: str) -> None:
    found = "; ".join(find_implausible(forecast, Plausible()))
    assert words in found
    assert bool(found) is bool(words)
    assert find_implausible(forecast, OFF) == []


def test_the_columns_that_lose_most_values_come_first() -> None:
    columns = (
        ColumnForecast("vin", 9, 0),
        ColumnForecast("make", 0, 0),
        ColumnForecast("price", 5, 5),
    )
    assert names_of(replace(QUIET, columns=columns)) == ["price", "vin"]
