"""The plan of a whole feed: one `PagePlan` for each of its lists, over pages of all lists."""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec import Struct

from carsync.config.api_sections import Api
from carsync.config.lists import PAGES_EACH, REMOVALS_FROM, is_removal
from carsync.model import PageInfo
from carsync.source.pagination.lists import FeedList, FeedLists
from carsync.source.pagination.page_states import parse_ranges
from carsync.source.pagination.plan import PagePlan


class ListPlan(Struct, frozen=True):
    """A list of the feed, and the plan of its pages, which knows them by their number there."""

    feed_list: FeedList
    plan: PagePlan

    def named(self, words: str) -> str:
        """Return what is said of the list, with its name where the feed has several."""
        name = self.feed_list.name
        return f"{name}: {words}" if name and words else words


class FeedPlan:
    """The pages of one run, of all lists; of a feed without lists, those of its only one.

    A list begins once the lists before it have no page to lease, so that many short lists are
    read at the same time. Pages are known by their number among those of all lists.

    The tombstones of `api.removals` are read before all of them, and are none of the feed's pages:
    only methods that take a page's number know theirs.
    """

    def __init__(
        self,
        api: Api,
        only: int | None = None,
        ahead: float = math.inf,
        *,
        reads_removals: bool = False,
    ) -> None:
        """Plan the whole feed, or `only` its first so many pages."""
        self.lists = FeedLists(api)
        self.removals: ListPlan | None = None
        """The plan of the tombstones; None where they are not read."""
        self.removals_problem = ""
        """Why not all tombstones were read; empty where they were."""
        self._pagination = api.pagination
        self._only = math.inf if only is None else only
        self._ahead = ahead
        self._plans: dict[int, ListPlan] = {}  # of the lists that have begun
        self._open: dict[int, PagePlan] = {}  # of those that may not be exhausted
        self._closed: dict[int, int] = {}  # how many pages each of the others has
        self._next = 0  # no list before it has not begun
        if reads_removals and (removals := self.lists.removals) is not None:
            most = PAGES_EACH - removals.paginator.first
            plan = PagePlan(api.pagination, removals.paginator, None, ahead, most)
            self.removals = ListPlan(removals, plan)

    # ── tombstones ───────────────────────────────────────────────────────────

    @property
    def is_reading_removals(self) -> bool:
        """Whether tombstones are left to be read, which come before the feed."""
        of = self.removals
        return of is not None and not self.removals_problem and not of.plan.is_exhausted

    def give_up_removals(self, problem: str) -> None:
        """Lease no further page of tombstones; those that are staged count all the same."""
        self.removals_problem = problem

    @property
    def removal_pages(self) -> list[range]:
        """The pages of tombstones that are staged."""
        ranges = parse_ranges(self.removals.plan.ranges()) if self.removals else ()
        return [range(REMOVALS_FROM + part.start, REMOVALS_FROM + part.stop) for part in ranges]

    def _try_totals(self, plan: PagePlan) -> None:
        """Believe no total of tombstones behind a full page: it may count that page alone."""
        length = plan.length
        is_full = length.ends_full and length.drift.sizes.largest >= plan.page_size
        if is_full and plan.is_exhausted and (page := plan.page_behind) is not None:
            plan.disprove_totals(page)

    # ── lists ────────────────────────────────────────────────────────────────

    @property
    def begun(self) -> list[ListPlan]:
        """The lists that were begun, in the order of the configuration."""
        return [self._plans[index] for index in sorted(self._plans)]

    def of(self, number: int) -> PagePlan:
        """Return the plan of the list that a page belongs to."""
        return self._locate(number)[1].plan

    def list_of(self, number: int) -> ListPlan:
        """Return the list that a page belongs to, with its plan."""
        return self._locate(number)[1]

    def look_again(self) -> None:
        """Take no list for exhausted any more: one of their plans has grown."""
        self._open = {index: of.plan for index, of in sorted(self._plans.items())}
        self._closed.clear()

    def _locate(self, number: int) -> tuple[int, ListPlan]:
        if self.removals is not None and is_removal(number):
            return number - REMOVALS_FROM, self.removals
        feed_list, page = self.lists.locate(number)
        of = self._plans.get(feed_list.index) or self._begin(feed_list.index)
        self._open.setdefault(feed_list.index, of.plan)  # whoever asks may make it grow
        self._closed.pop(feed_list.index, None)
        return page, of

    def _begin(self, index: int) -> ListPlan:
        feed_list = self.lists.all[index]
        only = None if math.isinf(self._only) else max(0, self._only - self._leased)
        most = PAGES_EACH - feed_list.paginator.first if feed_list.name else math.inf
        plan = PagePlan(self._pagination, feed_list.paginator, only, self._ahead, most)
        self._plans[index] = found = ListPlan(feed_list, plan)
        self._open[index] = plan
        return found

    @property
    def _leased(self) -> int:
        return sum(self._closed.values()) + sum(plan.planned or 0 for plan in self._open.values())

    def _begin_next(self) -> ListPlan | None:
        """Begin the next list; None where there is none, or where no page of it is wanted."""
        while self._next in self._plans:
            self._next += 1
        if self._next == len(self.lists.all):
            return None
        if not math.isinf(self._only) and (not self.is_exhausted_so_far or self._is_enough):
            return None
        return self._begin(self._next)

    @property
    def _is_enough(self) -> bool:
        return self._leased >= self._only

    # ── pages ────────────────────────────────────────────────────────────────

    def next_page(self) -> int | None:
        """Lease a page and return it; None where none can be leased now."""
        if self.removals is not None and self.is_reading_removals:
            page = self.removals.plan.next_page()
            return None if page is None else REMOVALS_FROM + page
        for index, plan in self._open.items():
            if (page := plan.next_page()) is not None:
                return self.lists.all[index].number(page)
        while (begun := self._begin_next()) is not None:
            if (page := begun.plan.next_page()) is not None:
                return begun.feed_list.number(page)
        return None

    def token(self, number: int) -> str | None:
        """Return where a page is, for a feed that is read page by page; else None."""
        page, of = self._locate(number)
        return of.plan.token(page)

    def observe(self, number: int, records: int, info: PageInfo) -> None:
        """Learn from a checked answer: its record count, and what it says of its list."""
        page, of = self._locate(number)
        of.plan.observe(page, records, info)

    def name_next(self, number: int, token: str | None) -> None:
        """Learn from an answer where the page after it is (None: nowhere)."""
        page, of = self._locate(number)
        of.plan.name_next(page, token)

    def mark_staged(self, number: int, records: int, info: PageInfo) -> None:
        """Note that the page is committed in the ledger, in this run or the one it resumes."""
        page, of = self._locate(number)
        of.plan.mark_staged(page, records, info)
        if of is self.removals:
            self._try_totals(of.plan)

    def is_staged(self, number: int) -> bool:
        """Say whether a page of the feed is staged; no list begins by that."""
        feed_list, page = self.lists.locate(number)
        of = self._plans.get(feed_list.index)
        return of is not None and of.plan.is_staged(page)

    def give_back(self, number: int) -> None:
        """Let a leased page be leased again."""
        page, of = self._locate(number)
        of.plan.give_back(page)

    def fail(self, number: int, problem: str) -> None:
        """Give a leased page up permanently."""
        page, of = self._locate(number)
        of.plan.fail(page, problem)

    def is_over(self, number: int) -> bool:
        """Say whether a page lies behind the one that said that none follows."""
        page, of = self._locate(number)
        return of.plan.is_over(page)

    def is_behind(self, number: int) -> bool:
        """Say whether a page lies behind all that held a record, where no total tells the end."""
        page, of = self._locate(number)
        return of.plan.is_behind(page)

    def revive_over(self, number: int) -> list[int]:
        """Let pages of the page's list that failed behind its end be leased again; return them."""
        of = self.list_of(number)
        return [of.feed_list.number(page) for page in of.plan.revive_over()]

    def restart(self, number: int) -> tuple[int, range]:
        """Plan the page's list from its first page; return how many were staged, and its pages."""
        of = self.list_of(number)
        staged = of.plan.staged_count
        of.plan.restart()
        return staged, of.feed_list.numbers

    # ── the whole ────────────────────────────────────────────────────────────

    @property
    def first(self) -> int:
        """The number of the feed's first page."""
        return self.lists.paginator.first

    @property
    def staged_count(self) -> int:
        """How many pages are staged."""
        return sum(of.plan.staged_count for of in self._plans.values())

    @property
    def failed(self) -> dict[int, str]:
        """Pages given up permanently, and why."""
        return {
            of.feed_list.number(page): problem
            for of in self.begun
            for page, problem in sorted(of.plan.failed.items())
        }

    @property
    def failed_by_label(self) -> dict[int | str, str]:
        """The failed pages as people call them, and why."""
        return {self.lists.label(page): problem for page, problem in self.failed.items()}

    @property
    def lists_done(self) -> int:
        """How many lists were read, or cannot be; 0 where the feed has none."""
        return len(self._plans) - len(self._open) if self.lists.names else 0

    @property
    def is_exhausted_so_far(self) -> bool:
        """Whether nothing is left to do in the lists that have begun."""
        for index, plan in list(self._open.items()):
            if plan.is_exhausted:
                self._closed[index] = plan.planned or 0
                del self._open[index]
        return not self._open

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to do: every planned page is staged or failed."""
        return self.is_exhausted_so_far and self._has_begun_all

    @property
    def _has_begun_all(self) -> bool:
        is_all = len(self._plans) == len(self.lists.all)
        return is_all or (not math.isinf(self._only) and bool(self._plans) and self._is_enough)

    @property
    def planned(self) -> int | None:
        """Number of pages to be staged; None while the end of any list is not known."""
        if not self._has_begun_all:
            return None
        each = [plan.planned for plan in self._open.values()]
        known = [planned for planned in each if planned is not None]
        return sum(known) + sum(self._closed.values()) if len(known) == len(each) else None

    @property
    def pages(self) -> list[range]:
        """The pages to be staged, by list, once the end of each is known."""
        return [
            range(of.feed_list.number(pages.start), of.feed_list.number(pages.stop))
            for of in self.begun
            if (pages := of.plan.pages)
        ]

    @property
    def is_truncated(self) -> bool:
        """Whether any list ended before its end was seen."""
        return any(of.plan.is_truncated for of in self._plans.values())

    def ranges(self) -> str:
        """Return the staged pages as text, such as `1-500,502`; `parse_ranges` reads it."""
        return ",".join(filter(None, self._shifted()))

    def _shifted(self) -> Iterator[str]:
        for of in self.begun:
            text = of.plan.ranges()
            if of.feed_list.index:
                shift = of.feed_list.number
                text = ",".join(
                    "-".join(str(shift(int(page))) for page in part.split("-"))
                    for part in text.split(",")
                    if part
                )
            yield text
