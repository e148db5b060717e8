"""Pages by offset: where each begins, and that a smaller page leaves records out."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.api_sections import Api, Pagination
from carsync.model import PageInfo
from carsync.source.pagination.base import load_paginator
from carsync.source.pagination.offset import OffsetPaginator
from tests.support.plans import plan_of


def paginator(**keys: Any) -> OffsetPaginator:
    made = load_paginator(Api(pagination=Pagination(type="offset", size_param="limit", **keys)))
    assert isinstance(made, OffsetPaginator)
    return made


@pytest.mark.parametrize(("first", "page", "offset"), [(0, 1, 0), (0, 4, 300), (1, 2, 101)])
def test_a_page_begins_behind_the_records_before_it(first: int, page: int, offset: int) -> None:
    asked = paginator(first=first, offset_param="start").request(page, None)
    assert asked.params == {"start": offset, "limit": 100}


@pytest.mark.parametrize(
    ("page", "records", "info", "is_fault"),
    [
        (1, 50, PageInfo(None, 1200), True),
        (12, 100, PageInfo(None, 1200), False),
        (12, 50, PageInfo(None, 1150), False),
        (11, 50, PageInfo(None, 1150), True),
        (1, 50, PageInfo(has_more=True), True),
        (1, 50, PageInfo(has_more=False), False),
        (1, 50, PageInfo(), False),
    ],
)
def test_a_page_that_is_smaller_and_not_the_last_is_none(
    page: int, records: int, info: PageInfo, is_fault: bool
) -> None:
    fault = paginator().find_fault(page, records, info, None)
    assert (fault is not None) is is_fault
    assert fault is None or "api.pagination.page_size: 50" in fault


def test_pages_that_are_smaller_throughout_leave_records_between_them() -> None:
    keys = Pagination(type="offset", total_pages=None, total_records=None)
    plan = plan_of(keys)
    found = []
    for page in (1, 2):  # after the first one, the feed may just hold 50 records
        plan.observe(page, 50, PageInfo())
        found.append(plan.clamped_to)
    assert found == [None, 50]
    numbered = plan_of(Pagination())
    numbered.observe(1, 50, PageInfo())
    numbered.observe(2, 50, PageInfo())
    assert numbered.clamped_to is None
