"""What makes a plan doubt that it read all, in the words that people see."""

from __future__ import annotations

import pytest

from carsync.config.api_sections import Pagination
from carsync.model import PageInfo
from carsync.source.pagination.doubts import cut, gaps, holes, open_end
from tests.support.plans import plan_of, read_all


@pytest.mark.parametrize(
    ("sizes", "info", "words"),
    [
        ([100, 100, 0], PageInfo(), "is full: the feed may be cut there"),
        ([100, 40, 0], PageInfo(), ""),
        ([100] * 10, PageInfo(10, 1000), "round 1,000"),
        ([100] * 10, PageInfo(10, 999), ""),
        ([100, 0], PageInfo(2, 101), "page 2 is empty"),
        ([100, 0], PageInfo(2, 100), ""),
    ],
)
def test_a_feed_that_may_be_cut_at_the_same_depth_every_night_is_told(
    sizes: list[int], info: PageInfo, words: str
) -> None:
    plan = plan_of(Pagination(stop_after_empty_pages=1))
    read_all(plan, sizes, info)
    assert words in cut(plan)
    assert bool(cut(plan)) is bool(words)


@pytest.mark.parametrize(
    ("sizes", "info", "pages"),
    [
        ([100, 50, 100, 100, 0], PageInfo(), "1 of 4"),
        ([100, 0, 100, 40, 0], PageInfo(), ""),
        ([100, 50, 100, 40], PageInfo(4, 340), "1 of 4"),
        ([100, 50, 100, 40], PageInfo(4, 290), ""),
        ([100, 100, 40, 0], PageInfo(), ""),
        ([99, 100, 97, 98, 96, 0], PageInfo(), ""),  # the feed filters its pages
        ([0], PageInfo(), ""),
    ],
)
def test_pages_that_are_not_as_full_as_the_others_may_lack_cars_every_night(
    sizes: list[int], info: PageInfo, pages: str
) -> None:
    plan = plan_of(Pagination(stop_after_empty_pages=1))
    read_all(plan, sizes, info)
    assert pages in gaps(plan)
    assert bool(gaps(plan)) is bool(pages)
    plan.end_at_repeat()  # the last page came again, as short as it is
    assert not gaps(plan) or plan.has_totals


@pytest.mark.parametrize(
    ("sizes", "info", "empty"),
    [
        ([100, 0, 100, 40, 0], PageInfo(), 1),
        ([100, 40, 0], PageInfo(), 0),
        ([100, 0, 0, 0, 30, 0], PageInfo(), 0),  # the feed filters its pages
        ([0], PageInfo(), 0),
    ],
)
def test_an_empty_page_between_full_ones_is_a_hole(
    sizes: list[int], info: PageInfo, empty: int
) -> None:
    plan = plan_of(Pagination(stop_after_empty_pages=4))
    read_all(plan, sizes, info)
    assert holes(plan) == empty


@pytest.mark.parametrize("is_next_proved", [False, True])
def test_a_full_first_page_that_is_all_is_doubted(is_next_proved: bool) -> None:
    plan = plan_of(Pagination(has_more="more"))
    assert plan.next_page() == 1
    plan.mark_staged(1, 100, PageInfo(has_more=False))
    words = open_end(plan, is_next_proved=is_next_proved)
    assert ("check api.pagination.has_more" in words) is not is_next_proved
