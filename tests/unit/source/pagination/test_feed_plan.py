"""The plan of a feed with lists: one plan each, read at the same time, over one row of pages."""

from __future__ import annotations

from carsync.config.api_sections import Api, Pagination, Removals
from carsync.config.lists import REMOVALS_FROM
from carsync.model import PageInfo
from carsync.source.pagination.feed_plan import FeedPlan
from carsync.source.pagination.page_states import parse_ranges
from tests.support.plans import feed_plan_of

MAKES = {"make": ["Kia", "BMW", "Opel"]}
BMW = 1_000_000
OPEL = 2_000_000
ONE = PageInfo(1, 50)


def leases(plan: FeedPlan) -> list[int]:
    found = []
    while (page := plan.next_page()) is not None:
        found.append(page)
    return found


def test_the_first_pages_of_all_lists_are_read_at_the_same_time() -> None:
    plan = feed_plan_of(MAKES)
    assert leases(plan) == [1, BMW + 1, OPEL + 1]
    plan.observe(BMW + 1, 100, PageInfo(3, 300))
    assert leases(plan) == [BMW + 2, BMW + 3]
    for page in (1, OPEL + 1):
        plan.mark_staged(page, 50, ONE)
    assert plan.planned == 5
    for page in (1, 2, 3):
        plan.mark_staged(BMW + page, 100, PageInfo(3, 300))
    assert plan.is_exhausted
    assert plan.pages == [range(1, 2), range(BMW + 1, BMW + 4), range(OPEL + 1, OPEL + 2)]
    assert [len(part) for part in parse_ranges(plan.ranges())] == [1, 3, 1]
    assert plan.staged_count == 5


def test_a_list_that_cannot_be_read_ends_alone() -> None:
    plan = feed_plan_of(MAKES)
    leases(plan)
    plan.fail(BMW + 1, "HTTP 500")
    for page in (1, OPEL + 1):
        plan.mark_staged(page, 50, ONE)
    assert leases(plan) == []
    assert plan.is_exhausted
    assert plan.failed == {BMW + 1: "HTTP 500"}
    assert plan.planned == 3


def test_a_list_that_grows_after_it_was_done_is_open_again() -> None:
    plan = feed_plan_of({"make": ["Kia"]}, type="cursor")
    assert leases(plan) == [1]
    plan.mark_staged(1, 100, PageInfo(next_token="a"))
    assert leases(plan) == [2]
    plan.mark_staged(2, 100, PageInfo())
    assert plan.is_exhausted
    plan.of(2).restart()
    plan.look_again()
    assert leases(plan) == [1]


def test_restarting_a_list_leaves_the_others() -> None:
    plan = feed_plan_of(MAKES, type="cursor")
    leases(plan)
    for page in (1, BMW + 1):
        plan.mark_staged(page, 100, PageInfo(next_token=str(page)))
    dropped, pages = plan.restart(BMW + 1)
    assert (dropped, pages) == (1, range(BMW, OPEL))
    assert plan.staged_count == 1
    assert BMW + 1 in leases(plan)


def test_a_resumed_run_goes_on_in_each_list() -> None:
    plan = feed_plan_of(MAKES)
    plan.mark_staged(OPEL + 1, 100, PageInfo(2, 150))
    assert set(leases(plan)) == {1, BMW + 1, OPEL + 2}


def test_a_sample_reads_the_first_pages_of_all_lists_together() -> None:
    api = Api(lists={"make": ["Kia", "BMW", "Opel"]}, pagination=Pagination())
    plan = FeedPlan(api, only=3)
    assert leases(plan) == [1]
    plan.mark_staged(1, 50, ONE)
    assert leases(plan) == [BMW + 1]
    plan.observe(BMW + 1, 100, PageInfo(9, 900))
    assert leases(plan) == [BMW + 2]
    for page in (1, 2):
        plan.mark_staged(BMW + page, 100, PageInfo(9, 900))
    assert leases(plan) == []
    assert plan.is_exhausted
    assert plan.planned == 3


def test_a_list_holds_fewer_pages_than_a_million() -> None:
    plan = feed_plan_of({"make": ["Kia"]}, max_pages=5000)
    plan.observe(1, 100, PageInfo(3_000_000, 300_000_000))
    assert plan.planned == 999_999
    assert plan.is_truncated


SOLD = REMOVALS_FROM


def plan_with_removals() -> FeedPlan:
    api = Api(
        removals=Removals(path="/sold", params={"state": "gone"}),
        pagination=Pagination(page_size=100),
        lists={"make": ["Kia", "BMW"]},
    )
    return FeedPlan(api, reads_removals=True)


def test_tombstones_are_read_before_the_feed_and_are_none_of_its_pages() -> None:
    plan = plan_with_removals()
    assert leases(plan) == [SOLD + 1]
    plan.observe(SOLD + 1, 100, PageInfo(2, 120))
    assert leases(plan) == [SOLD + 2]
    plan.mark_staged(SOLD + 1, 100, PageInfo(2, 120))
    assert leases(plan) == [], "the feed waits until they are staged"
    plan.mark_staged(SOLD + 2, 20, PageInfo(2, 120))
    assert leases(plan) == [1, BMW + 1]
    for page in (1, BMW + 1):
        plan.mark_staged(page, 50, ONE)
    assert plan.is_exhausted
    assert (plan.planned, plan.staged_count, plan.ranges()) == (2, 2, "1,1000001")
    assert plan.removal_pages == [range(SOLD + 1, SOLD + 3)]
    assert plan.lists.label(SOLD + 2) == "2 of the feed of removals"
    feed_list, page = plan.lists.locate(SOLD + 2)
    request = feed_list.request(page, None)
    assert feed_list.api.path == "/sold"
    assert request.params == {"state": "gone", "page": 2, "per_page": 100}


def test_tombstones_that_are_given_up_leave_the_feed() -> None:
    plan = plan_with_removals()
    leases(plan)
    plan.give_up_removals("HTTP 503")
    assert leases(plan) == [1, BMW + 1]
    assert plan.removals_problem == "HTTP 503"


def test_a_total_behind_a_full_page_of_tombstones_is_tried() -> None:
    plan = plan_with_removals()
    leases(plan)
    plan.mark_staged(SOLD + 1, 100, PageInfo(1, 100))
    assert SOLD + 2 in leases(plan)
