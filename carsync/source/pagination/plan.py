"""Page plans: which page is read next, and when the feed has been read to its end."""

from __future__ import annotations

import math
from collections import Counter

from carsync.config.api_sections import Pagination
from carsync.model import PageInfo
from carsync.source.pagination.base import Paginator
from carsync.source.pagination.feed_length import FeedLength
from carsync.source.pagination.next_pages import NextPages
from carsync.source.pagination.page_states import PageStates

MOST_UNSTAGED = 1
"""So many pages may wait to be staged while the next one is asked for, in a feed that is read page
by page; they are fetched again after a crash."""


class PagePlan:
    """The pages of one run: the state of each, and how long the feed is by its answers.

    The first page is read alone. Where the feed reports totals, all pages up to
    the highest last page ever reported are planned: a plan grows and never
    shrinks, because pages that a shrinking feed no longer needs come back empty
    and cost little, and unread ones cost cars. Where they fail, `shrink` leaves them out once
    the feed itself says that it is shorter now. Totals are a claim: `page_behind` is the page
    that tries it, and where it lists records `disprove_totals` makes the plan go on as for a
    feed without totals. But a feed whose last page moves on
    with each page read has no end: a plan grows to `GROWTH` times the total first
    reported or to `max_pages`, whichever is more. Where the feed reports none, the
    plan reaches `stop_after_empty_pages` beyond the last page that held a record, so
    it ends once that many in a row were empty, at `max_pages` at the latest.

    Where each answer says whether a page follows, the plan ends at the last one; it reaches no
    more than `ahead` pages beyond what is known to be there.

    A feed that is not `parallel` is planned page by page, up to the page whose answer
    names no next one. An answer that names a page for the second time, the same records once
    more, and as many empty pages as above end it too. `is_truncated` says where a plan ended
    before the feed's end was seen, `restart` begins it anew.

    A page is leased by `next_page`, may be given back, and ends staged
    (`mark_staged`, which also restores a resumed run) or failed. Methods ignore
    pages in a state that does not fit, so repeated reports do no harm. Pages
    below the first one raise `ValueError`.
    """

    def __init__(
        self,
        pagination: Pagination,
        paginator: Paginator,
        only: float | None = None,
        ahead: float = math.inf,
        most_pages: float = math.inf,
    ) -> None:
        """Plan the whole feed, or `only` its first so many pages, never more than `most_pages`."""
        self.only = math.inf if only is None else only
        self.first = paginator.first
        self.is_parallel = paginator.parallel
        self.page_size = pagination.page_size
        self.next_key = paginator.next_key
        """The key that says where an answer names the page after it; empty where none does."""
        self._most_pages = most_pages
        self._ahead = ahead
        self._pagination = pagination
        self._is_exact = paginator.is_exact
        self._look_ahead = min(pagination.stop_after_empty_pages, pagination.max_pages)
        self.restart()

    def restart(self) -> None:
        """Forget all pages, and plan the feed from its first one."""
        self.length = FeedLength(self._pagination, self._most_pages, parallel=self.is_parallel)
        self.staged_sizes: Counter[int] = Counter()
        """How many staged pages hold how many records."""
        self.is_repeated = False
        """Whether the feed ends because its records came again."""
        self.is_end_unclear = False
        """Whether nobody can say if a page follows the last one."""
        self._states = PageStates(self.first, self._is_known)
        self._next = NextPages()
        self._observed = False
        self._end_seen = -1  # index of a page that was asked for and is not there
        self._shrunk_to: int | None = None  # pages that the feed has left of those planned first

    # ── pages ────────────────────────────────────────────────────────────────

    def next_page(self) -> int | None:
        """Lease a page and return it; None where none can be leased now."""
        if not self._observed and self._states.leased_count:
            return None  # the first answer decides how to go on
        if not self.is_parallel and self._states.leased_count > MOST_UNSTAGED:
            return None
        return self._states.lease_next(self.limit)

    def token(self, page: int) -> str | None:
        """Return where a page is, for a feed that is read page by page; else None."""
        return self._next.token(page)

    def observe(self, page: int, records: int, info: PageInfo) -> None:
        """Learn from a checked answer: its record count, and what it says of the feed."""
        self.length.observe(self._states.index(page), records, info)
        self._observed = True
        if not self.is_parallel:
            self.name_next(page, info.next_token)

    def name_next(self, page: int, token: str | None) -> None:
        """Learn from an answer where the page after it is (None: nowhere)."""
        is_asked = not self._states.is_waiting(page + 1)
        if not self._next.name(page, token, is_asked=is_asked):
            self.doubt(f"page {page:,} named another next page when it was read again")

    def mark_staged(self, page: int, records: int, info: PageInfo) -> None:
        """Note that the page is committed in the ledger, in this run or the one it resumes."""
        self.observe(page, records, info)
        if self._states.stage(page):
            self.staged_sizes[records] += 1

    def is_staged(self, page: int) -> bool:
        """Say whether a page is staged."""
        return self._states.is_staged(page)

    def give_back(self, page: int) -> None:
        """Let a leased page be leased again."""
        self._states.give_back(page)

    def fail(self, page: int, problem: str) -> None:
        """Give a leased page up permanently."""
        self._states.fail(page, problem)

    def is_over(self, page: int) -> bool:
        """Say whether a page lies behind the one that said that none follows."""
        return self.length.has_ended and self._states.index(page) > self.length.ended_at

    def revive_over(self) -> list[int]:
        """Let pages that failed behind the feed's end be leased again; return them."""
        has_ended = self.length.has_ended  # else each page would look at all that failed
        over = [page for page in self.failed if self.is_over(page)] if has_ended else []
        for page in over:
            self._states.revive(page)
        return over

    def is_behind(self, page: int) -> bool:
        """Say whether a page lies behind all that held a record, where no total tells the end."""
        is_behind = self._states.index(page) >= self.length.filled
        return self._observed and not self.has_totals and is_behind

    @property
    def failed(self) -> dict[int, str]:
        """Pages given up permanently, and why."""
        return self._states.failed

    @property
    def staged_count(self) -> int:
        """How many pages are staged."""
        return self._states.staged_count

    @property
    def records(self) -> int:
        """How many records the staged pages hold."""
        return sum(records * pages for records, pages in self.staged_sizes.items())

    @property
    def reported_records(self) -> int | None:
        """The total that the feed reported last."""
        return self.length.total

    def ranges(self) -> str:
        """Return the staged pages as text, such as `1-500,502`; `parse_ranges` reads it."""
        return self._states.ranges()

    # ── the feed's end ───────────────────────────────────────────────────────

    @property
    def fails_at_end(self) -> bool:
        """Whether pages that the feed reported failed, and nothing behind them was read."""
        last = self._states.last_staged + self.first
        return self.has_totals and any(page > last for page in self.failed)

    def shrink(self, info: PageInfo) -> list[int]:
        """Leave out the failed pages behind the end that the feed reports now; return them.

        The feed shrank while it was read. Where half of it would be gone the total is not believed.
        """
        self.length.observe_totals(info)
        pages = self.length.pages_now(info)
        if not self.has_totals or pages is None or 2 * pages < self.limit:
            return []
        end = max(pages, self._states.last_staged + 1)
        gone = self._states.leave_out_failed(end)
        if gone:
            self._shrunk_to = end
        return gone

    @property
    def page_behind(self) -> int | None:
        """The page behind the last one that the feed reports, as long as it was not asked for.

        None where no totals are believed, or where the plan does not reach their end.
        """
        is_cut = self.is_truncated or self.limit == self.only
        if not self.has_totals or is_cut or self.length.has_ended:
            return None
        return self.limit + self.first if self._end_seen < self.limit else None

    def end_seen(self, page: int) -> None:
        """Note that a page behind the last one is not there."""
        self._end_seen = self._states.index(page)
        self.is_end_unclear = False

    def end_unclear(self, page: int) -> None:
        """Note that nobody can say whether a page behind the last one is there."""
        self.end_seen(page)
        self.is_end_unclear = True

    def end_at_repeat(self) -> bool:
        """Lease no further page where no total tells the end; say whether that ends the plan."""
        ends = not self.has_totals and not self.is_repeated and not self.length.has_ended
        self.is_repeated |= ends
        return ends

    def disprove_totals(self, page: int) -> None:
        """Read on as without totals: a page behind the last one reported lists records."""
        self.doubt(f"page {page:,} lists records, behind the last one that the feed reports")
        self.length.disprove(self._states.index(page))

    # ── the whole ────────────────────────────────────────────────────────────

    @property
    def planned(self) -> int | None:
        """Number of pages from the first one on to be staged; None while the end is not known."""
        if self.has_totals:
            return self.limit
        is_known = self._observed or self.is_unreadable
        return self.limit if is_known and self.is_exhausted else None

    @property
    def pages(self) -> range:
        """The pages to be staged, once the end is known."""
        planned = self.planned
        assert planned is not None
        return range(self.first, self.first + planned)

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to do: every planned page is staged or failed."""
        return self.staged_count + len(self.failed) == self.limit

    @property
    def is_unreadable(self) -> bool:
        """Whether the first page, whose answer decides how to go on, was given up."""
        return not self._observed and self.first in self.failed

    @property
    def is_truncated(self) -> bool:
        """Whether the plan ended before the feed's end was seen."""
        if not self.is_parallel:
            return bool(self._states) and self._goes_on
        reported = self.length.reported
        if reported is not None:
            return reported > self.length.longest
        if self.is_repeated or self.length.has_ended:
            return False
        return self._reach > self._pagination.max_pages

    @property
    def has_totals(self) -> bool:
        """Whether the plan ends where the feed says."""
        return self.length.reported is not None

    @property
    def names_next(self) -> bool:
        """Whether any answer said that a page follows."""
        return bool(self._next) or self.length.has_more

    @property
    def misses_records(self) -> bool:
        """Whether the feed may hold more than was read: no total says how much, or a larger one."""
        if not self.is_parallel or self.is_truncated or self.limit == self.only:
            return False
        return self.reported_records is None or self.records < self.reported_records

    @property
    def clamped_to(self) -> int | None:
        """How many records the API's pages hold at most, where others lie between them."""
        records = self.length.first_records
        if not self._is_exact or not 0 < records < self.page_size or self.length.filled < 2:
            return None
        return records if self.length.drift.sizes.largest == records else None

    def doubt(self, sign: str) -> None:
        """Note, for people, a sign that cars may be missing from what was read."""
        self.length.drift.add(sign)

    @property
    def drift(self) -> tuple[str, ...]:
        """Signs, for people, that records moved between pages while they were read."""
        return self.length.drift.signs(self.length.filled, self.first)

    @property
    def circle(self) -> str:
        """Which page named one that was read before, in words; empty where none did."""
        return self._next.circle

    # ── how far it reaches ───────────────────────────────────────────────────

    @property
    def limit(self) -> int:
        """How many pages to read, as far as is known yet."""
        if self.is_unreadable:
            return len(self._states)
        if not self.is_parallel:
            return self._chained
        reported = self.length.reported
        if reported is not None:
            reported = min(reported, self.length.longest)
            reported = reported if self._shrunk_to is None else min(reported, self._shrunk_to)
        elif self.is_repeated:
            return len(self._states)
        elif self.length.has_ended:
            reported = self.length.ended_at + 1
        else:
            reported = min(self._reach, self._pagination.max_pages)
        return max(int(min(reported, self.only)), len(self._states))

    @property
    def _chained(self) -> int:
        """Pages up to the last one that a page before it named, `max_pages` at the most."""
        last = len(self._states)
        most = min(self.only, self._pagination.max_pages)
        return last + (self._goes_on and last < most)

    @property
    def _goes_on(self) -> bool:
        """Whether the feed names a page behind all that were leased, and may yet hold records."""
        last = len(self._states)
        is_empty = last - self.length.filled >= self._look_ahead
        return self._is_known(last + self.first) and not self.is_repeated and not is_empty

    @property
    def _reach(self) -> int:
        return self.length.reach(self._look_ahead, self._ahead)

    def _is_known(self, page: int) -> bool:
        """Say whether a page can be asked for: of some feeds only the page before it tells."""
        return self.is_parallel or page == self.first or self.token(page) is not None
