"""Paging: the type in the configuration chooses the kind, and totals are read with doubt."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from carsync.config.api_sections import Api, Pagination, Value
from carsync.errors import FailureKind, PageError
from carsync.source.pagination.base import MAX_TOTAL, Paginator, load_paginator, read_total


@pytest.mark.parametrize("name", get_args(get_type_hints(Pagination)["type"]))
def test_every_type_of_the_configuration_has_its_module(name: Any) -> None:
    assert isinstance(load_paginator(Api(pagination=Pagination(type=name))), Paginator)


def read(place: str, headers: dict[str, str]) -> int | None:
    pagination = Pagination(total_pages=None, total_records=place)
    return load_paginator(Api(pagination=pagination)).read((), headers).total_records


def test_totals_stand_in_headers_too_as_text_or_in_json() -> None:
    assert read("header:X-WP-Total", {"x-wp-total": "1200"}) == 1200
    told = {"X-Pagination": '{"total": 1200, "page": {"last": 12}}'}
    assert read("header:X-Pagination.total", told) == 1200
    assert read("header:X-Pagination.page.last", told) == 12
    for headers in ({}, {"X-Pagination": "1200, 12"}, {"X-Pagination": "[1200]"}):
        assert read("header:X-Pagination.total", headers) is None


@pytest.mark.parametrize(
    ("value", "more"),
    [(True, True), ("/cars?page=2", True), ("true", True), (2, True), ({"href": "/x"}, True),
     (False, False), (None, False), ("", False), ("false", False), (0, False), ({}, False)],
)  # fmt: skip
def test_absent_null_false_and_empty_say_that_no_page_follows(value: Any, more: bool) -> None:
    pagination = Pagination(total_pages=None, total_records=None, has_more="meta.more")
    paginator = load_paginator(Api(pagination=pagination))
    assert paginator.read((value,), {}).has_more is more


def test_a_template_takes_the_values_of_paging_and_leaves_no_parameter_of_its_own() -> None:
    params: dict[str, Value] = {"sr": "|ModifiedDate|{offset}|{size}", "make": "Kia"}
    api = Api(params=params, pagination=Pagination(type="offset", page_size=50, size_param="n"))
    assert load_paginator(api).request(3, None).params == {"sr": "|ModifiedDate|100|50"}


@pytest.mark.parametrize(
    ("value", "total"),
    [(0, 0), (7, 7), (MAX_TOTAL, MAX_TOTAL), (-1, None), (7.0, 7), (" 7 ", 7), (True, None),
     (7.5, None), (None, None), ([7], None), ("1,000", None), ("-7", None), ("9" * 400, None)],
)  # fmt: skip
def test_a_total_is_a_whole_number_from_0_on(value: Any, total: int | None) -> None:
    assert read_total(value) == total


def test_a_total_beyond_all_bounds_is_no_page() -> None:
    with pytest.raises(PageError) as caught:
        read_total(MAX_TOTAL + 1)
    assert caught.value.kind is FailureKind.BAD_PAGE
