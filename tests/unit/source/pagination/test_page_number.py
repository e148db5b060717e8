"""Pages by their number: request, totals, the end that is a 404, and what is no page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from carsync.config.api_sections import Api, Pagination
from carsync.model import PageInfo
from carsync.source.pagination.page_number import PageNumberPaginator
from carsync.source.request import ApiRequest

CURE = "; if the API serves no larger pages, set api.pagination.page_size: 99"


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
        ({}, ("meta.last_page", "meta.total"), (None, "870"), PageInfo(None, 870)),
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
    assert made.read(values, {}) == info


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
    assert "page_param (p) is what" in paginator(page_param="p").repeat_hint


def test_what_cannot_be_the_page_is_named() -> None:
    fault = paginator().find_fault(3, 40, PageInfo(2000, 200_000), 2000)
    assert fault == "page 3 of 2,000 holds 40 records instead of 100"


class TestCheckPage:
    @pytest.mark.parametrize(
        ("page", "records", "pages", "total", "expected"),
        [
            (1, 100, 2000, 200_000, None),
            (7, 100, 2000, 200_000, 2000),
            (2000, 37, 2000, 199_937, 2000),  # the last page may be short
            (2000, 100, 2000, 200_000, 2000),
            (2001, 0, 2000, 200_000, 2001),  # the feed shrank
            (2001, 3, 2000, 200_003, 2000),  # it grew, and does not know yet
            (1, 0, 1, 0, None),  # an empty feed reports one page
            (1, 0, 0, 0, None),
            (7, 120, 2000, 200_000, 2000),  # more than asked for is welcome
            (3, 50, 20, 1000, 20),  # the feed serves 50 at most
            (3, 250, 4, 1000, 4),  # the feed serves 250 whatever is asked for
            (3, 40, 20, None, 20),  # no total: a smaller page size cannot be ruled out
            (3, 40, None, 1000, 10),
            (11, 0, None, 1000, 10),
            (3, 40, None, None, None),  # a feed without totals
            (3, 0, None, None, None),
            (11, 0, None, None, 10),
            (5, 100, None, None, 10),
        ],
    )
    def test_pages(
        self, page: int, records: int, pages: int | None, total: int | None, expected: int | None
    ) -> None:
        assert paginator().find_fault(page, records, PageInfo(pages, total), expected) is None

    @pytest.mark.parametrize(
        ("page", "records", "pages", "total", "expected", "why"),
        [
            (1, 0, 2000, 200_000, None, "page 1 of 2,000 is empty"),
            (2000, 0, 2000, 199_937, 2000, "page 2,000 of 2,000 is empty"),
            (4, 0, None, 1000, 10, "page 4 of 10 is empty"),
            (7, 99, 2000, 200_000, 2000, "page 7 of 2,000 holds 99 records instead of 100"),
            (1, 99, 2, 150, 2, f"page 1 of 2 holds 99 records instead of 100{CURE}"),
            (3, 49, 20, 1000, 20, "page 3 of 20 holds 49 records instead of 50"),
            (7, 0, None, None, 2000, "page 7 of 2,000 holds 0 records and no totals"),
            (7, 40, None, None, 2000, "page 7 of 2,000 holds 40 records and no totals"),
            (7, 0, 0, 0, 2000, "the feed reports 0 pages, but reported 2,000 before"),
            (7, 0, 3, 300, 2000, "the feed reports 3 pages, but reported 2,000 before"),
        ],
    )
    def test_no_pages(
        self,
        page: int,
        records: int,
        pages: int | None,
        total: int | None,
        expected: int | None,
        why: str,
    ) -> None:
        assert paginator().find_fault(page, records, PageInfo(pages, total), expected) == why

    def test_positions_are_counted_from_the_first_page(self) -> None:
        from_zero = paginator(first_page=0)
        assert from_zero.find_fault(1, 5, PageInfo(2, 105), 2) is None
        assert from_zero.find_fault(0, 5, PageInfo(2, 105), 2) is not None
        assert from_zero.find_fault(2, 0, PageInfo(2, 105), 2) is None

    @given(
        total=st.integers(1, 100_000),
        served=st.integers(1, 500),
        asked=st.integers(1, 500),
        data=st.data(),
    )
    def test_honest_feeds_pass_whatever_page_size_they_serve(
        self, total: int, served: int, asked: int, data: st.DataObject
    ) -> None:
        pages = -(-total // served)
        # A few pages, a little smaller than asked for, look just like lost records.
        assume(served >= asked or pages > -(-total // asked))
        page = data.draw(st.integers(1, pages + 1))
        records = max(0, min(served, total - (page - 1) * served))
        made = paginator(page_size=asked)
        assert made.find_fault(page, records, PageInfo(pages, total), pages) is None

    @given(st.integers(2, 1000), st.integers(1, 100), st.data())
    def test_no_record_may_miss_before_the_last_page(
        self, pages: int, on_last: int, data: st.DataObject
    ) -> None:
        total = (pages - 1) * 100 + on_last
        page = data.draw(st.integers(1, pages - 1))
        records = data.draw(st.integers(0, 99))
        assert paginator().find_fault(page, records, PageInfo(pages, total), pages) is not None
