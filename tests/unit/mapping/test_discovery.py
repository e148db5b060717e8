"""Where the records and totals of an unknown page are."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.mapping.discovery import find_page, is_writable, records_at

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
    layout = find_page(answer)
    assert layout is not None
    assert (layout.records, layout.total_pages, layout.total_records) == expected


@pytest.mark.parametrize("answer", [{}, [], 7, None, "x", {"data": []}, {"data": [1, 2]}])
def test_where_there_are_no_records_none_are_found(answer: Any) -> None:
    assert find_page(answer) is None


def test_a_last_page_by_that_name_alone_is_the_number_of_pages() -> None:
    cars = [{"stock_no": n} for n in range(50)]
    layout = find_page({"result": {"vehicles": cars}, "paging": {"last": 7, "count": 333}})
    assert layout is not None
    assert (layout.total_pages, layout.total_records) == ("paging.last", "paging.count")


def test_the_size_of_a_page_is_read_under_its_own_name() -> None:
    layout = find_page({"items": CARS, "paging": {"page-size": 20, "total": 61, "pages": 4}})
    assert layout is not None
    assert (layout.size_name, layout.size, layout.pages, layout.total) == ("page-size", 20, 4, 61)
    assert layout.count == 20


def test_a_number_that_is_none_is_no_total() -> None:
    layout = find_page({"items": CARS, "total": True, "pages": "4", "count": 2**31})
    assert layout is not None
    assert (layout.total_pages, layout.total_records) == (None, None)


def test_the_records_are_those_objects_that_stand_at_the_path() -> None:
    answer = {"result": {"items": [{"id": 1}, None, 7, {"id": 2}]}}
    assert records_at(answer, "result.items") == [{"id": 1}, {"id": 2}]
    assert records_at([{"id": 1}], "") == [{"id": 1}]


@pytest.mark.parametrize("key", ["", "a.b", "${API_KEY}", "a\nb"])
def test_a_key_that_no_path_can_hold_is_passed_over(key: str) -> None:
    assert not is_writable(key)
    assert find_page({key: CARS}) is None
    assert is_writable("a-b $x")
