"""Page plans under drift, loss and resume."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.api_sections import Pagination
from carsync.model import PageInfo
from carsync.source.pagination.doubts import cut, open_end
from carsync.source.pagination.plan import PagePlan
from tests.support.plans import plan_of, read_all

FEED = Pagination()


def lease_all(plan: PagePlan) -> list[int]:
    pages = []
    while (page := plan.next_page()) is not None:
        pages.append(page)
    return pages


def read_first(plan: PagePlan, pages: int | None, records: int = 100) -> None:
    """Read and stage the first page of a feed that reports `pages` pages."""
    page = plan.next_page()
    assert page is not None
    total = None if pages is None else pages * 100
    plan.observe(page, records, PageInfo(pages, total))
    plan.mark_staged(page, records, PageInfo(pages, total))


def is_complete(plan: PagePlan) -> bool:
    """Say whether every page of the feed is staged."""
    return plan.is_exhausted and not plan.failed and not plan.is_truncated


class TestFeedWithTotals:
    def test_the_first_page_is_read_alone_and_then_all_others_in_order(self) -> None:
        plan = plan_of(FEED)
        assert (lease_all(plan), plan.planned) == ([1], None)
        plan.observe(1, 100, PageInfo(5, 500))
        assert plan.planned == 5
        assert lease_all(plan) == [2, 3, 4, 5]
        assert plan.reported_records == 500

    @pytest.mark.parametrize("reported", [50, None, 2])
    def test_no_more_pages_are_read_than_asked_for(self, reported: int | None) -> None:
        plan = plan_of(FEED, only=3)
        read_first(plan, reported)
        for page in lease_all(plan):
            plan.mark_staged(page, 100, PageInfo(reported))
        assert plan.is_exhausted
        assert plan.staged_count == plan.planned == min(3, reported or 3)

    def test_is_complete_once_every_page_is_staged(self) -> None:
        plan = plan_of(FEED)
        read_first(plan, 3)
        for page in lease_all(plan):
            plan.observe(page, 100, PageInfo(3, 300))
            assert not is_complete(plan)
            plan.mark_staged(page, 100, PageInfo(3, 300))
        assert is_complete(plan)
        assert plan.is_exhausted
        assert plan.staged_count == 3
        assert plan.drift == ()

    def test_fetched_is_not_staged(self) -> None:
        plan = plan_of(FEED)
        lease_all(plan)
        plan.observe(1, 10, PageInfo(1, 10))
        assert not is_complete(plan)
        assert not plan.is_exhausted
        assert plan.staged_count == 0
        assert plan.ranges() == ""

    def test_grows_with_the_feed_and_never_shrinks(self) -> None:
        plan = plan_of(FEED)
        read_first(plan, 3)
        assert lease_all(plan) == [2, 3]
        plan.observe(2, 100, PageInfo(5, 500))
        assert lease_all(plan) == [4, 5]
        plan.observe(3, 100, PageInfo(2, 200))
        assert plan.planned == 5

    def test_a_failed_page_ends_the_run_without_completing_it(self) -> None:
        plan = plan_of(FEED)
        read_first(plan, 2)
        lease_all(plan)
        plan.fail(2, "server error")
        assert plan.failed == {2: "server error"}
        assert plan.is_exhausted
        assert not is_complete(plan)
        plan.mark_staged(2, 100, PageInfo())
        assert plan.failed == {}
        assert is_complete(plan)

    def test_a_page_given_back_is_leased_again_first(self) -> None:
        plan = plan_of(FEED)
        read_first(plan, 4)
        assert [plan.next_page(), plan.next_page()] == [2, 3]
        plan.give_back(2)
        assert lease_all(plan) == [2, 4]

    def test_a_lost_fleet_gives_back_what_is_not_staged_even_if_it_was_fetched(self) -> None:
        plan = plan_of(FEED)
        read_first(plan, 4)
        lease_all(plan)
        plan.observe(3, 100, PageInfo(4, 400))
        plan.mark_staged(2, 100, PageInfo())
        for page in (3, 4):
            plan.give_back(page)
        assert lease_all(plan) == [3, 4]

    def test_repeated_and_late_reports_change_nothing(self) -> None:
        plan = plan_of(FEED)
        read_first(plan, 3)
        lease_all(plan)
        plan.give_back(2)
        plan.give_back(2)
        plan.fail(2, "late")
        plan.mark_staged(2, 100, PageInfo())
        plan.mark_staged(2, 100, PageInfo())
        plan.give_back(2)
        plan.fail(2, "later")
        assert lease_all(plan) == []
        assert (plan.staged_count, plan.failed) == (2, {})

    def test_an_empty_feed_is_one_page(self) -> None:
        plan = plan_of(FEED)
        lease_all(plan)
        plan.observe(1, 0, PageInfo(0, 0))
        plan.mark_staged(1, 0, PageInfo(0, 0))
        assert is_complete(plan)
        assert plan.planned == 1

    def test_pages_are_worked_out_from_the_records_where_only_those_are_reported(self) -> None:
        plan = plan_of(FEED)
        assert lease_all(plan) == [1]
        plan.observe(1, 100, PageInfo(None, 401))
        assert plan.planned == 5
        clamped = plan_of(FEED)
        lease_all(clamped)
        clamped.observe(1, 50, PageInfo(None, 401))
        assert clamped.planned == 9

    def test_pages_may_be_numbered_from_zero(self) -> None:
        plan = plan_of(Pagination(first_page=0))
        assert lease_all(plan) == [0]
        plan.observe(0, 100, PageInfo(3, 300))
        plan.mark_staged(0, 100, PageInfo())
        assert lease_all(plan) == [1, 2]
        plan.mark_staged(2, 100, PageInfo())
        assert plan.ranges() == "0,2"

    def test_totals_are_believed_beyond_max_pages(self) -> None:
        plan = plan_of(Pagination(max_pages=5))
        read_first(plan, 7)
        assert lease_all(plan) == [2, 3, 4, 5, 6, 7]

    def test_an_absurd_total_costs_no_memory(self) -> None:
        plan = plan_of(FEED)
        read_first(plan, 10**15)
        assert plan.next_page() == 2
        assert len(plan._states) < 1000


class TestFeedWithoutTotals:
    EMPTIES = Pagination(stop_after_empty_pages=3, max_pages=20)

    def read(self, plan: PagePlan, filled: set[int]) -> list[int]:
        """Read to the end, one page at a time; return the pages asked for."""
        pages = []
        while (page := plan.next_page()) is not None:
            pages.append(page)
            records = 100 if page in filled else 0
            plan.observe(page, records, PageInfo())
            plan.mark_staged(page, records, PageInfo())
        return pages

    @pytest.mark.parametrize(
        ("filled", "last"),
        [(set(), 3), ({1}, 4), ({1, 2}, 5), ({1, 4}, 7), ({1, 2, 5, 7}, 10), ({1, 5}, 4)],
    )
    def test_ends_after_so_many_empty_pages_in_a_row(self, filled: set[int], last: int) -> None:
        plan = plan_of(self.EMPTIES)
        assert self.read(plan, filled) == list(range(1, last + 1))
        assert is_complete(plan)
        assert plan.planned == last

    def test_reads_ahead_but_never_past_what_the_rule_needs(self) -> None:
        plan = plan_of(self.EMPTIES)
        read_first(plan, None)
        assert lease_all(plan) == [2, 3, 4]
        assert plan.planned is None
        plan.observe(3, 100, PageInfo())
        assert lease_all(plan) == [5, 6]

    def test_stops_at_max_pages_and_then_never_counts_as_complete(self) -> None:
        plan = plan_of(self.EMPTIES)
        assert self.read(plan, set(range(1, 100))) == list(range(1, 21))
        assert plan.is_exhausted
        assert plan.is_truncated
        assert not is_complete(plan)

    def test_an_empty_feed_is_complete_even_if_few_pages_are_allowed(self) -> None:
        plan = plan_of(Pagination(stop_after_empty_pages=3, max_pages=2))
        assert self.read(plan, set()) == [1, 2]
        assert is_complete(plan)

    def test_an_end_seen_just_before_max_pages_counts(self) -> None:
        plan = plan_of(self.EMPTIES)
        assert self.read(plan, set(range(1, 18))) == list(range(1, 21))
        assert is_complete(plan)

    def test_nothing_is_read_behind_an_unreadable_first_page(self) -> None:
        plan = plan_of(self.EMPTIES)
        assert lease_all(plan) == [1]
        plan.fail(1, "refused")
        assert lease_all(plan) == []
        assert plan.is_exhausted
        assert plan.is_unreadable
        assert plan.pages == range(1, 2)
        assert not is_complete(plan)

    def test_totals_reported_later_take_over(self) -> None:
        plan = plan_of(self.EMPTIES)
        read_first(plan, None)
        lease_all(plan)
        plan.observe(2, 100, PageInfo(30, 3000))
        assert plan.planned == 30
        assert lease_all(plan)[-1] == 30


class TestResume:
    def test_only_pages_that_were_not_staged_are_read_again(self) -> None:
        plan = plan_of(FEED)
        for page in (1, 2, 5, 6):
            plan.mark_staged(page, 100, PageInfo(8, 800))
        assert plan.planned == 8
        assert lease_all(plan) == [3, 4, 7, 8]

    def test_a_feed_without_totals_goes_on_behind_its_last_page(self) -> None:
        plan = plan_of(Pagination(stop_after_empty_pages=2))
        for page, records in ((1, 100), (3, 100), (4, 0)):
            plan.mark_staged(page, records, PageInfo())
        assert lease_all(plan) == [2, 5]

    def test_what_moved_between_two_sessions_is_drift(self) -> None:
        plan = plan_of(FEED)
        plan.mark_staged(1, 100, PageInfo(8, 800))
        plan.next_page()
        plan.observe(2, 100, PageInfo(9, 801))
        assert plan.drift == (
            "the reported total moved between 800 and 801",
            "the reported last page moved between 8 and 9",
        )


class TestDrift:
    def test_a_total_that_moved_and_came_back_is_drift(self) -> None:
        plan = plan_of(FEED)
        read_first(plan, 3)
        lease_all(plan)
        plan.observe(2, 100, PageInfo(3, 299))
        plan.observe(3, 100, PageInfo(3, 300))
        assert plan.drift == ("the reported total moved between 299 and 300",)

    @pytest.mark.parametrize("order", [(1, 2, 3, 4), (2, 1, 3, 4), (4, 3, 2, 1), (3, 4, 2, 1)])
    def test_a_short_page_that_is_not_the_last_is_drift(self, order: tuple[int, ...]) -> None:
        plan = plan_of(FEED)
        for page in order:
            plan.mark_staged(page, 99 if page == 2 else 100, PageInfo())
        assert plan.drift == ("page 2 had fewer records than other pages",)

    @pytest.mark.parametrize("order", [(1, 2, 3, 4), (3, 1, 4, 2), (4, 3, 2, 1)])
    def test_a_short_last_page_and_empty_pages_are_not(self, order: tuple[int, ...]) -> None:
        plan = plan_of(FEED)
        for page in order:
            plan.mark_staged(page, {3: 5, 4: 0}.get(page, 100), PageInfo())
        assert plan.drift == ()

    @given(st.lists(st.sampled_from([0, 1, 7, 99, 100]), max_size=8), st.randoms())
    def test_the_first_short_page_is_found_in_any_order(
        self, sizes: list[int], chance: random.Random
    ) -> None:
        plan = plan_of(FEED)
        for page, size in chance.sample(list(enumerate(sizes, 1)), len(sizes)):
            plan.mark_staged(page, size, PageInfo())
        filled = [(page, size) for page, size in enumerate(sizes, 1) if size]
        short = [page for page, size in filled[:-1] if size < max(sizes)]
        assert plan.drift == tuple(
            f"page {page} had fewer records than other pages" for page in short[:1]
        )


class Feed:
    """A feed that changes its size while it is read."""

    def __init__(self, records: int, with_totals: bool) -> None:
        self.records = records
        self.with_totals = with_totals

    def answer(self, page: int) -> tuple[int, int | None, int | None]:
        records = max(0, min(10, self.records - (page - 1) * 10))
        if not self.with_totals:
            return records, None, None
        return records, -(-self.records // 10), self.records


@given(
    records=st.integers(0, 400),
    growth=st.lists(st.integers(-30, 30), max_size=5),
    with_totals=st.booleans(),
    concurrency=st.integers(1, 20),
    faults=st.floats(0, 0.4),
    seed=st.integers(0, 2**32),
)
def test_every_page_is_read_under_loss_drift_and_resume(
    records: int,
    growth: list[int],
    with_totals: bool,
    concurrency: int,
    faults: float,
    seed: int,
) -> None:
    """Any order of events leads to a complete plan that holds every page the feed ever had."""
    chance = random.Random(seed)
    pagination = Pagination(page_size=10, stop_after_empty_pages=3, max_pages=1000)
    plan = plan_of(pagination)
    feed = Feed(records, with_totals)
    ledger: dict[int, tuple[int, PageInfo]] = {}
    leased: list[int] = []
    fetched: dict[int, tuple[int, PageInfo]] = {}
    moves = list(growth)
    for _ in range(5000):
        while len(leased) < concurrency and (page := plan.next_page()) is not None:
            assert page not in leased
            assert page not in fetched
            assert page not in ledger
            leased.append(page)
        if plan.is_exhausted:
            break
        event = chance.random()
        if event < faults / 20:  # the parent dies: a new plan knows the ledger only
            plan = plan_of(pagination)
            for page, line in ledger.items():
                plan.mark_staged(page, *line)
            leased, fetched = [], {}
        elif event < faults / 10:  # the fleet dies
            for page in (*leased, *fetched):
                plan.give_back(page)
            leased, fetched = [], {}
        elif event < faults and leased:
            plan.give_back(leased.pop(chance.randrange(len(leased))))
        elif leased and (not fetched or chance.random() < 0.5):
            page = leased.pop(chance.randrange(len(leased)))
            if moves and chance.random() < 0.1:
                feed.records = max(0, feed.records + moves.pop())
            records, total_pages, total_records = feed.answer(page)
            fetched[page] = (records, PageInfo(total_pages, total_records))
            plan.observe(page, *fetched[page])
        elif fetched:
            page = chance.choice(list(fetched))
            ledger[page] = fetched.pop(page)
            plan.mark_staged(page, *ledger[page])
    assert is_complete(plan)
    assert plan.planned == plan.staged_count == len(ledger)
    assert sorted(ledger) == list(range(1, len(ledger) + 1))
    reported = max((line[1].total_pages or 0 for line in ledger.values()), default=0)
    filled = max((page for page, line in ledger.items() if line[0]), default=0)
    assert len(ledger) >= max(reported, filled)
    if not with_totals:
        assert len(ledger) >= filled + 3
        if not growth:
            assert len(ledger) == filled + 3
    if (
        len(moves) < len(growth)
        and with_totals
        and len({line[1].total_records for line in ledger.values()}) > 1
    ):
        assert plan.drift


def test_a_large_plan_is_cheap() -> None:
    plan = plan_of(FEED)
    read_first(plan, 200_000)
    for page in lease_all(plan):
        plan.mark_staged(page, 100, PageInfo(200_000, 20_000_000))
    assert is_complete(plan)
    assert plan.ranges() == "1-200000"


def test_a_feed_whose_last_page_moves_on_with_each_page_ends_truncated() -> None:
    """At `max_pages`, or at twice its first total where that is more."""
    for first, longest in ((1, 50), (20, 50), (40, 80)):
        plan = plan_of(Pagination(max_pages=50))
        while (page := plan.next_page()) is not None:
            plan.mark_staged(page, 100, PageInfo(max(first, page + 1)))
            assert page <= longest
        assert plan.is_truncated
        assert plan.planned == plan.staged_count == longest


def test_a_feed_that_grows_a_little_while_it_is_read_is_read_whole() -> None:
    plan = plan_of(Pagination(max_pages=5))
    while (page := plan.next_page()) is not None:
        plan.mark_staged(page, 100, PageInfo(100 + page // 10))
    assert plan.planned == plan.staged_count == 111
    assert is_complete(plan)


# ── claims that are tried ────────────────────────────────────────────────────


@pytest.mark.parametrize("info", [PageInfo(2, 150), PageInfo(2), PageInfo(None, 150)])
def test_the_page_behind_the_reported_end_is_asked_for_once(info: PageInfo) -> None:
    plan = plan_of()
    asked = [plan.page_behind]
    read_all(plan, [100, 50], info)
    asked.append(plan.page_behind)
    plan.end_seen(3)
    asked.append(plan.page_behind)
    plan.observe(2, 50, PageInfo(3, 201))  # the feed grew meanwhile
    assert [*asked, plan.page_behind] == [None, 3, None, 4]


@pytest.mark.parametrize(
    ("only", "sizes", "info"),
    [
        (2, [100, 100], PageInfo(9, 900)),
        (None, [100, 0, 0], PageInfo()),
    ],
)
def test_no_page_behind_is_asked_for_where_no_end_is_claimed(
    only: int | None, sizes: list[int], info: PageInfo
) -> None:
    plan = plan_of(Pagination(stop_after_empty_pages=2), only)
    read_all(plan, sizes, info)
    assert plan.is_exhausted
    assert plan.page_behind is None


def test_a_plan_whose_totals_are_disproved_goes_on_as_without_totals() -> None:
    plan = plan_of(Pagination(page_size=1, stop_after_empty_pages=2))
    read_all(plan, [1, 1], PageInfo(2, 2))
    assert plan.is_exhausted
    plan.disprove_totals(3)
    assert lease_all(plan) == [3, 4, 5]
    for page, records in ((3, 1), (4, 0), (5, 0)):
        plan.mark_staged(page, records, PageInfo(2, 2))
    assert plan.is_exhausted
    assert plan.planned == 5
    assert "page 3 lists records, behind" in plan.drift[0]


def test_a_plan_ends_at_a_repeated_page_where_no_total_tells_the_end() -> None:
    plan = plan_of(Pagination(page_size=1, stop_after_empty_pages=5))
    plan.mark_staged(1, 1, PageInfo())
    assert lease_all(plan) == [2, 3, 4, 5, 6]
    assert [plan.end_at_repeat(), plan.end_at_repeat()] == [True, False]
    for page in range(2, 7):
        plan.mark_staged(page, 1, PageInfo())
    assert plan.is_exhausted
    assert not plan.is_truncated
    with_totals = plan_of()
    with_totals.mark_staged(1, 100, PageInfo(3, 300))
    assert not with_totals.end_at_repeat()


def test_a_feed_in_one_answer_is_one_page_whatever_last_page_it_reports() -> None:
    plan = plan_of()
    plan.mark_staged(1, 20_000, PageInfo(200, 20_000))
    assert plan.is_exhausted
    assert plan.planned == 1


@pytest.mark.parametrize(
    ("info", "misses"), [(PageInfo(), True), (PageInfo(2, 151), True), (PageInfo(2, 150), False)]
)
def test_a_feed_may_hold_more_than_was_read_unless_its_total_is_met(
    info: PageInfo, misses: bool
) -> None:
    plan = plan_of()
    read_all(plan, [100, 50], info)
    assert plan.misses_records is misses


class TestFeedThatSaysWhetherAPageFollows:
    MORE, LAST = PageInfo(has_more=True), PageInfo(has_more=False)

    def plan(self, ahead: float = 1) -> PagePlan:
        return plan_of(Pagination(stop_after_empty_pages=3, has_more="more"), ahead=ahead)

    def test_no_page_behind_the_last_one_is_asked_for(self) -> None:
        plan, asked = self.plan(), []
        while (page := plan.next_page()) is not None:
            asked.append(page)
            plan.mark_staged(page, 100, self.MORE if page < 5 else self.LAST)
        assert asked == [1, 2, 3, 4, 5]
        assert (plan.planned, plan.is_truncated, cut(plan), open_end(plan)) == (5, False, "", "")
        assert plan.is_exhausted

    def test_a_fast_feed_is_read_ahead(self) -> None:
        plan = self.plan(ahead=20)
        assert plan.next_page() == 1
        plan.mark_staged(1, 100, self.MORE)
        assert lease_all(plan) == [2, 3, 4]
        plan.mark_staged(2, 60, self.LAST)
        assert [plan.is_over(page) for page in (2, 3, 4)] == [False, True, True]
        for page in (3, 4):
            plan.mark_staged(page, 0, self.LAST)
        assert (plan.planned, plan.is_exhausted, lease_all(plan)) == (4, True, [])

    def test_pages_that_failed_behind_the_end_before_it_was_known_did_not_fail(self) -> None:
        plan = self.plan(ahead=20)
        assert plan.next_page() == 1
        plan.mark_staged(1, 100, self.MORE)
        assert lease_all(plan) == [2, 3, 4]
        plan.fail(3, "HTTP 400")
        plan.fail(4, "HTTP 400")
        plan.mark_staged(2, 60, self.LAST)
        assert plan.revive_over() == [3, 4]
        assert lease_all(plan) == [3, 4]
        assert plan.failed == {}
        assert plan.revive_over() == []

    def test_empty_pages_in_between_are_not_the_end(self) -> None:
        plan, asked = self.plan(), []
        while (page := plan.next_page()) is not None:
            asked.append(page)
            plan.mark_staged(page, 100 if page in {1, 4} else 0, self.MORE)
        assert asked == [1, 2, 3, 4, 5, 6, 7]  # three empty ones are, whatever they say

    def test_records_behind_the_end_are_read_on(self) -> None:
        plan = self.plan(ahead=20)
        assert plan.next_page() == 1
        plan.mark_staged(1, 100, self.MORE)
        assert lease_all(plan) == [2, 3, 4]
        plan.mark_staged(2, 100, self.LAST)
        plan.mark_staged(4, 100, self.MORE)
        assert not plan.is_over(5)
        assert lease_all(plan) == [5, 6, 7]


class TestFeedReadPageByPage:
    def plan(self, **keys: Any) -> PagePlan:
        return plan_of(Pagination(type="cursor", stop_after_empty_pages=3, **keys))

    def read(self, plan: PagePlan, tokens: Sequence[str | None], records: int = 100) -> list[int]:
        """Read pages whose answers name `tokens` in turn."""
        asked = []
        for token in tokens:
            if (page := plan.next_page()) is None:
                break
            asked.append(page)
            plan.mark_staged(page, records, PageInfo(next_token=token))
        return asked

    def test_ends_with_the_page_that_names_no_next_one(self) -> None:
        plan = self.plan()
        assert self.read(plan, ["a", "b", None, "c"]) == [1, 2, 3]
        assert [plan.token(page) for page in (1, 2, 3)] == [None, "a", "b"]
        assert is_complete(plan)
        assert (plan.planned, open_end(plan)) == (3, "")

    @pytest.mark.parametrize(
        ("tokens", "words"),
        [(["a", "b", "b"], "page 3 names itself"), (["a", "b", "c", "a"], "page 4 names page 2")],
    )
    def test_a_circle_is_not_followed_and_named(self, tokens: list[str], words: str) -> None:
        plan = self.plan()
        assert len(self.read(plan, tokens)) == len(tokens)
        assert plan.next_page() is None
        assert plan.is_exhausted
        assert words in open_end(plan)

    def test_a_circle_behind_all_that_the_feed_reports_is_its_end(self) -> None:
        plan = self.plan()
        for token in ("a", "a"):
            page = plan.next_page()
            assert page is not None
            plan.mark_staged(page, 50, PageInfo(total_records=100, next_token=token))
        assert (plan.is_exhausted, open_end(plan)) == (True, "")

    def test_empty_pages_end_a_feed_that_names_pages_for_ever(self) -> None:
        plan = self.plan()
        assert self.read(plan, ["a"]) == [1]
        assert self.read(plan, list("bcdefgh"), records=0) == [2, 3, 4]
        assert is_complete(plan)

    def test_the_same_records_again_end_it_too(self) -> None:
        plan = self.plan()
        self.read(plan, ["a", "b"])
        assert plan.end_at_repeat()
        assert plan.next_page() is None
        assert is_complete(plan)

    def test_max_pages_cuts_it(self) -> None:
        plan = self.plan(max_pages=2)
        assert self.read(plan, list("abcd")) == [1, 2]
        assert (plan.is_exhausted, plan.is_truncated) == (True, True)

    def test_a_full_first_page_without_a_next_one_is_doubted(self) -> None:
        plan = self.plan()
        self.read(plan, [None])
        assert "check api.pagination.next" in open_end(plan)
        small, known = self.plan(), self.plan()
        self.read(small, [None], records=99)
        known.next_page()
        known.mark_staged(1, 100, PageInfo(total_records=100))
        assert open_end(small) == open_end(known) == ""

    def test_a_page_is_leased_once_the_one_before_it_is_answered(self) -> None:
        plan = self.plan()
        self.read(plan, ["a"])
        assert lease_all(plan) == [2]
        plan.name_next(2, "b")
        assert lease_all(plan) == [3]
        plan.name_next(3, "c")
        assert lease_all(plan) == []  # page 2 waits to be staged
        plan.mark_staged(2, 100, PageInfo(next_token="b"))
        assert lease_all(plan) == [4]
        assert not plan.is_exhausted

    def test_a_page_read_again_that_names_another_next_one_is_a_sign_of_drift(self) -> None:
        plan = self.plan()
        self.read(plan, ["a"])
        assert lease_all(plan) == [2]
        plan.name_next(2, "b")
        assert lease_all(plan) == [3]
        plan.mark_staged(2, 100, PageInfo(next_token="z"))
        assert plan.token(3) == "b"
        assert any("page 2 named another next page" in sign for sign in plan.drift)

    def test_restart_forgets_everything(self) -> None:
        plan = self.plan()
        self.read(plan, ["a", "b"])
        plan.fail(3, "HTTP 410")
        plan.restart()
        assert (plan.staged_count, plan.failed, plan.ranges()) == (0, {}, "")
        assert self.read(plan, ["a", "b", None]) == [1, 2, 3]
        assert is_complete(plan)
