"""Signs of drift: totals that moved, and pages that held fewer records than others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.source.pagination.drift import DriftDetector, Extent, PageSizes


def test_a_feed_that_stands_still_gives_no_sign() -> None:
    drift = DriftDetector()
    for index, records in enumerate([100, 100, 37]):
        drift.total_records.add(237)
        drift.total_pages.add(3)
        drift.sizes.add(index, records)
    assert drift.signs(filled=3, first_page=1) == ()


def test_each_sign_is_named() -> None:
    drift = DriftDetector()
    for total in (300, 299, 301):
        drift.total_records.add(total)
    for pages in (3, 4):
        drift.total_pages.add(pages)
    for index, records in enumerate([100, 99, 100, 1]):
        drift.sizes.add(index, records)
    assert drift.signs(filled=4, first_page=0) == (
        "the reported total moved between 299 and 301",
        "the reported last page moved between 3 and 4",
        "page 1 had fewer records than other pages",
    )


@given(st.lists(st.none() | st.integers(0, 9), max_size=6))
def test_an_extent_holds_the_first_the_lowest_and_the_highest(values: list[int | None]) -> None:
    extent, known = Extent(), [value for value in values if value is not None]
    for value in values:
        extent.add(value)
    ends = (known[0], min(known), max(known)) if known else (None, None, None)
    assert (extent.first, extent.lowest, extent.highest) == ends
    assert extent.moved is (len(set(known)) > 1)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_the_first_short_page_is_found_in_whatever_order_pages_come(order: list[int]) -> None:
    sizes, held = PageSizes(), [100, 40, 100, 40]
    for index in order:
        sizes.add(index, held[index])
    assert (sizes.largest, sizes.first_short) == (100, 1)
