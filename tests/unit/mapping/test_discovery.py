"""Where the records and totals of an unknown page are."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.mapping.discovery import find_page

CARS = [{"id": n} for n in range(20)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"data": CARS, "meta": {"last_page": 5, "total": 98}},
         ("data", "meta.last_page", "meta.total")),
        ({"items": CARS, "pages": 5, "count": 98}, ("items", "pages", "count")),
        ({"result": {"list": CARS, "paging": {"pageCount": 5, "totalItems": 100}}},
         ("result.list", "result.paging.pageCount", "result.paging.totalItems")),
        # `count` is only this page's; the page size decides which of the numbers agree.
        ({"count": 20, "total": 61, "limit": 20, "pages": 4, "items": CARS},
         ("items", "pages", "total")),
        ({"items": CARS, "limit": 20, "count": 20}, ("items", None, None)),
        ({"items": CARS, "total": 20}, ("items", None, "total")),
        ({"items": CARS, "total_pages": 7}, ("items", "total_pages", None)),
        (CARS, ("", None, None)),
        # The longest list of objects is the one; numbers that only look alike are left alone.
        ({"makes": [{"n": 1}], "tags": [1] * 50, "cars": CARS, "status": 200, "took_ms": 5},
         ("cars", None, None)),
    ],
)  # fmt: skip
def test_records_and_totals_are_found(answer: Any, expected: tuple[str, str, str]) -> None:
    shape = find_page(answer)
    assert shape is not None
    assert (shape.records, shape.total_pages, shape.total_records) == expected


@pytest.mark.parametrize("answer", [{}, [], 7, None, "x", {"data": []}, {"data": [1, 2]}])
def test_where_there_are_no_records_none_are_found(answer: Any) -> None:
    assert find_page(answer) is None


def test_a_last_page_by_that_name_alone_is_the_number_of_pages() -> None:
    cars = [{"stock_no": n} for n in range(50)]
    shape = find_page({"result": {"vehicles": cars}, "paging": {"last": 7, "count": 333}})
    assert shape is not None
    assert (shape.total_pages, shape.total_records) == ("paging.last", "paging.count")
