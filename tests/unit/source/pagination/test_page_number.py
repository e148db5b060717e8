"""Pages by their number: the request, the totals of an answer, and the end that is a 404."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.sections import Api, Pagination
from carsync.model import PageInfo
from carsync.source.pagination.page_number import PageNumberPaginator
from carsync.source.request import ApiRequest


def paginator(path: str = "/cars", **keys: Any) -> PageNumberPaginator:
    return PageNumberPaginator(Api(path=path, pagination=Pagination(**keys)))


def test_the_number_and_the_size_travel_as_parameters_of_their_names() -> None:
    asked = paginator("/stock", page_param="p", size_param="n", page_size=50).request(7, None)
    assert asked == ApiRequest("/stock", {"p": 7, "n": 50})
    assert paginator(size_param=None).request(7, None) == ApiRequest("/cars", {"page": 7})


@pytest.mark.parametrize(
    ("keys", "paths", "values", "info"),
    [
        ({}, ("meta.last_page", "meta.total"), (9, 870), PageInfo(9, 870)),
        ({}, ("meta.last_page", "meta.total"), (None, "870"), PageInfo()),
        ({"total_pages": None}, ("meta.total",), (870,), PageInfo(None, 870)),
        ({"total_records": None}, ("meta.last_page",), (9,), PageInfo(9)),
        ({"total_pages": None, "total_records": None}, (), (), PageInfo()),
    ],
)
def test_the_totals_are_read_where_the_feed_has_them(
    keys: dict[str, Any], paths: tuple[str, ...], values: tuple[object, ...], info: PageInfo
) -> None:
    made = paginator(**keys)
    assert made.paths == paths
    assert made.read(values) == info


@pytest.mark.parametrize(
    ("page", "status", "expected", "is_end"),
    [(2, 404, None, True), (1, 404, None, False), (2, 404, 5, False), (2, 500, None, False)],
)
def test_404_is_the_end_of_a_feed_without_totals(
    page: int, status: int, expected: int | None, is_end: bool
) -> None:
    assert paginator().is_end(page, status, expected) is is_end
    assert paginator(first_page=0).is_end(page - 1, status, expected) is is_end


def test_any_page_can_be_asked_for_and_the_first_has_the_configured_number() -> None:
    assert PageNumberPaginator.parallel
    assert (paginator().first, paginator(first_page=0).first) == (1, 0)
    assert "page_param (p)?" in paginator(page_param="p").repeat_hint


def test_what_cannot_be_the_page_is_named() -> None:
    fault = paginator().find_fault(3, 40, PageInfo(2000, 200_000), 2000)
    assert fault == "page 3 of 2,000 holds 40 records instead of 100"
