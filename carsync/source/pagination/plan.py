"""Page plans: which page is read next, and when the feed has been read to its end."""

from __future__ import annotations

import math
import re
from collections import Counter
from enum import IntEnum

from carsync import formatting
from carsync.config.api_sections import Pagination
from carsync.model import PageInfo
from carsync.source.pagination.base import Paginator
from carsync.source.pagination.drift import DriftDetector

GROWTH = 2
"""How many times its first reported length a feed may reach while it is read."""
MOST_UNSTAGED = 1
"""So many pages may wait to be staged while the next one is asked for, in a feed that is read page
by page; they are fetched again after a crash."""
ROUND_TOTAL = 1000
"""A total that is a multiple of this may be a cap; one in as many is one by chance."""


class _State(IntEnum):
    WAITING = 0
    LEASED = 1
    STAGED = 2
    FAILED = 3


_STAGED_RUN = re.compile(bytes([_State.STAGED]) + b"+")


class PagePlan:
    """The pages of one run: a byte of memory for each.

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
        self._only = math.inf if only is None else only
        self._most_pages = most_pages
        self._ahead = ahead
        self.first = paginator.first
        self.is_next_proved = False
        """Another list of the feed names its next pages: the key for them is right."""
        self._pagination = pagination
        self._paginator = paginator
        self._is_parallel = paginator.parallel
        self._look_ahead = min(pagination.stop_after_empty_pages, pagination.max_pages)
        self.restart()

    def restart(self) -> None:
        """Forget all pages, and plan the feed from its first one."""
        self.failed: dict[int, str] = {}
        """Pages given up permanently, and why."""
        self.staged_count = 0
        self.reported_records: int | None = None
        """The total that the feed reported last."""
        self._tokens: dict[int, str | None] = {}  # by page; of the one after each answer
        self._named: dict[str, int] = {}  # the page that each token was first given for
        self._circle = ""
        self._more_at = self._end_at = -1  # highest page that said that one follows, or none
        self._states = bytearray()  # by page index; as long as the highest page ever touched
        self._cursor = 0  # no page below waits
        self._observed = False
        self._records = 0  # on the staged pages
        self._end_seen = -1  # index of a page that was asked for and is not there
        self._shrunk_to: int | None = None  # pages that the feed has left of those planned first
        self._totals_disproved = self._is_repeated = self._is_end_unclear = False
        self._ends_full = False
        self._first_records = 0
        self._sizes: Counter[int] = Counter()  # of staged pages, by their number of records
        self._filled = 0  # pages up to and with the last one that held a record
        self._drift = DriftDetector()

    def next_page(self) -> int | None:
        """Lease a page and return it; None where none can be leased now."""
        if not self._observed and _State.LEASED in self._states:
            return None  # the first answer decides how to go on
        if not self._is_parallel and self._states.count(_State.LEASED) > MOST_UNSTAGED:
            return None
        limit = self._limit
        while self._cursor < limit and self._is_known(self._cursor):
            index = self._cursor
            self._cursor += 1
            if self._state(index) == _State.WAITING:
                self._grow(index)
                self._states[index] = _State.LEASED
                return index + self.first
        return None

    def token(self, page: int) -> str | None:
        """Return where a page is, for a feed that is read page by page; else None."""
        return self._tokens.get(page)

    def observe(self, page: int, records: int, info: PageInfo) -> None:
        """Learn from a checked answer: its record count, and what it says of the feed."""
        index = self._index(page)
        self._observed = True
        if records:
            if index >= self._filled - 1:
                self._ends_full = records >= self._drift.sizes.largest
            self._filled = max(self._filled, index + 1)
            self._drift.sizes.add(index, records)
            self._first_records = records if index == 0 else self._first_records
        if info.has_more is not None:
            self._more_at = max(self._more_at, index if info.has_more else -1)
            self._end_at = max(self._end_at, -1 if info.has_more else index)
        if not self._is_parallel:
            self.name_next(page, info.next_token)
        self._observe_totals(info)

    def name_next(self, page: int, token: str | None) -> None:
        """Learn from an answer where the page after it is (None: nowhere).

        A token that was given for another page is not followed: the feed would have no end.
        """
        following, known = page + 1, self._tokens.get(page + 1)
        if token is not None and (other := self._named.setdefault(token, following)) != following:
            what = "itself" if other == page else f"page {other:,}"
            self._circle = f"page {page:,} names {what} as the next one: the feed has no end"
            token = None
        if known is not None and token != known and self._state(self._index(following)):
            self.doubt(f"page {page:,} named another next page when it was read again")
            return
        self._tokens[following] = token

    def _observe_totals(self, info: PageInfo) -> None:
        if info.total_records is not None:
            self.reported_records = info.total_records
        self._drift.total_records.add(info.total_records)
        self._drift.total_pages.add(info.total_pages)

    def mark_staged(self, page: int, records: int, info: PageInfo) -> None:
        """Note that the page is committed in the ledger, in this run or the one it resumes."""
        index = self._index(page)
        self._grow(index)
        self.observe(page, records, info)
        if self._states[index] == _State.STAGED:
            return
        self.failed.pop(page, None)
        self._states[index] = _State.STAGED
        self.staged_count += 1
        self._records += records
        self._sizes[records] += 1

    def give_back(self, page: int) -> None:
        """Let a leased page be leased again."""
        index = self._index(page)
        if self._state(index) != _State.LEASED:
            return
        self._states[index] = _State.WAITING
        self._cursor = min(self._cursor, index)

    def fail(self, page: int, problem: str) -> None:
        """Give a leased page up permanently."""
        index = self._index(page)
        if self._state(index) != _State.LEASED:
            return
        self._states[index] = _State.FAILED
        self.failed[page] = problem
        for behind in range(index + 1, len(self._states)):  # which only that page could name
            if self._states[behind] == _State.WAITING and not self._is_known(behind):
                self._states[behind] = _State.FAILED
                self.failed[behind + self.first] = f"page {page}, before it, could not be read"

    @property
    def fails_at_end(self) -> bool:
        """Whether pages that the feed reported failed, and nothing behind them was read."""
        last = self._states.rfind(_State.STAGED) + self.first
        return self.has_totals and any(page > last for page in self.failed)

    def shrink(self, info: PageInfo) -> list[int]:
        """Leave out the failed pages behind the end that the feed reports now; return them.

        The feed shrank while it was read. Where half of it would be gone the total is not believed.
        """
        self._observe_totals(info)
        pages = info.total_pages
        if pages is None:
            pages = self._pages_for(info.total_records)
        if not self.has_totals or pages is None or 2 * pages < self._limit:
            return []
        end = max(pages, self._states.rfind(_State.STAGED) + 1)
        gone = [page for page in self.failed if self._index(page) >= end]
        if gone:
            self._shrunk_to = end
            self._cursor = min(self._cursor, end)
            del self._states[end:]
        for page in gone:
            del self.failed[page]
        return gone

    def is_over(self, page: int) -> bool:
        """Say whether a page lies behind the one that said that none follows."""
        return self._has_ended and self._index(page) > self._end_at

    def revive_over(self) -> list[int]:
        """Let pages that failed behind the feed's end be leased again; return them."""
        over = [page for page in self.failed if self.is_over(page)]
        for page in over:
            del self.failed[page]
            self._states[self._index(page)] = _State.LEASED
            self.give_back(page)
        return over

    @property
    def clamped_to(self) -> int | None:
        """How many records the API's pages hold at most, where others lie between them."""
        is_smaller = 0 < self._first_records < self._pagination.page_size
        if not self._paginator.is_exact or not is_smaller or self._filled < 2:
            return None
        return self._first_records if self._drift.sizes.largest == self._first_records else None

    @property
    def is_unreadable(self) -> bool:
        """Whether the first page, whose answer decides how to go on, was given up."""
        return not self._observed and self._state(0) == _State.FAILED

    @property
    def was_answered(self) -> bool:
        """Whether any page was read."""
        return self._observed

    def is_behind(self, page: int) -> bool:
        """Say whether a page lies behind all that held a record, where no total tells the end."""
        return self._observed and not self.has_totals and self._index(page) >= self._filled

    @property
    def page_behind(self) -> int | None:
        """The page behind the last one that the feed reports, as long as it was not asked for.

        None where no totals are believed, or where the plan does not reach their end.
        """
        reported = self._reported
        if reported is None or self.is_truncated or self._limit == self._only or self._has_ended:
            return None
        return self._limit + self.first if self._end_seen < self._limit else None

    def end_seen(self, page: int) -> None:
        """Note that a page behind the last one is not there."""
        self._end_seen = self._index(page)
        self._is_end_unclear = False

    def end_unclear(self, page: int) -> None:
        """Note that nobody can say whether a page behind the last one is there."""
        self.end_seen(page)
        self._is_end_unclear = True

    def end_at_repeat(self) -> bool:
        """Lease no further page where no total tells the end; say whether that ends the plan."""
        ends = not self.has_totals and not self._is_repeated and not self._has_ended
        self._is_repeated |= ends
        return ends

    def doubt(self, sign: str) -> None:
        """Note, for people, a sign that cars may be missing from what was read."""
        self._drift.add(sign)

    def disprove_totals(self, page: int) -> None:
        """Read on as without totals: a page behind the last one reported lists records."""
        self.doubt(f"page {page:,} lists records, behind the last one that the feed reports")
        self._totals_disproved = True
        self._filled = max(self._filled, self._index(page) + 1)

    @property
    def has_totals(self) -> bool:
        """Whether the plan ends where the feed says."""
        return self._reported is not None

    @property
    def cut(self) -> str:
        """Why the feed may end at the same depth every night, in words; empty where it may not."""
        total = self.reported_records
        if not self.has_totals:
            ends = self._is_parallel and self._ends_full and not self._has_ended
            return f"the last page ({self._filled:,}) is full: the feed may be cut there" * ends
        if self._filled < self._limit and (total or 0) > self._records:
            return f"page {self._filled + self.first:,} is empty, but the feed reports more records"
        if total and total % ROUND_TOTAL == 0:
            return f"the reported total is a round {total:,}: the feed may be cut there"
        return ""

    @property
    def gaps(self) -> str:
        """Why cars may be missing from the same pages every night, in words; else empty."""
        short, _ = self._not_full
        if not short:
            return ""
        pages = formatting.part(short, self._filled, "page")
        return f"fewer records than elsewhere are on {pages}: cars may be missing there"

    @property
    def holes(self) -> int:
        """How many pages are empty between full ones, where no total says that all was read."""
        return self._not_full[1]

    @property
    def _not_full(self) -> tuple[int, int]:
        """Count the pages before the last that are short, and empty; 0 where that is no sign.

        Pages before the last are as full as the others, unless an answer was cut. Where most of
        them are not, the feed leaves records out after it cut its pages.
        """
        if not self._filled:
            return 0, 0
        full = self._sizes[self._drift.sizes.largest]
        held = self._sizes.total() - self._sizes[0]
        short, empty = held - full - (held > 0 and not self._ends_full), self._filled - held
        if self._is_repeated or not self.misses_records or short + empty > self._filled / 2:
            return 0, 0
        return short, empty

    @property
    def open_end(self) -> str:
        """Why the feed may go on behind its last page, in words; empty where that is not likely.

        The page behind it was asked for in vain. Where the last page is not full, and no total
        says otherwise, nothing speaks for a further page.
        """
        if self._circle and self.reported_records != self._records:
            return self._circle
        if self._is_lonely:
            key = self._paginator.next_key
            return f"the first page is full, and names no next one: check {key}"
        is_met = self.reported_records in {None, self._records} and not self._ends_full
        if not self._is_end_unclear or is_met:
            return ""
        return f"page {self._limit + self.first:,} may hold more records"

    @property
    def _is_lonely(self) -> bool:
        """Whether the feed ended with its first page although more could be expected.

        The key for the next page may then be wrong. A plain "no" is believed.
        """
        names_next = self._paginator.next_key and (not self._is_parallel or self._has_ended)
        is_told = self.reported_records == self._records or self._only == 1
        is_full = self._first_records >= self._pagination.page_size
        is_told |= self.is_next_proved
        return bool(names_next and is_full and self.staged_count == 1 and not is_told)

    @property
    def names_next(self) -> bool:
        """Whether any answer said that a page follows."""
        return bool(self._named) or self._more_at >= 0

    @property
    def records(self) -> int:
        """How many records the staged pages hold."""
        return self._records

    @property
    def misses_records(self) -> bool:
        """Whether the feed may hold more than was read: no total says how much, or a larger one."""
        if not self._is_parallel or self.is_truncated or self._limit == self._only:
            return False
        return self.reported_records is None or self._records < self.reported_records

    @property
    def planned(self) -> int | None:
        """Number of pages from the first one on to be staged; None while the end is not known."""
        if self._reported is not None:
            return self._limit
        is_known = self._observed or self.is_unreadable
        return self._limit if is_known and self.is_exhausted else None

    @property
    def pages(self) -> range:
        """The pages to be staged, once the end is known."""
        planned = self.planned
        assert planned is not None
        return range(self.first, self.first + planned)

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to do: every planned page is staged or failed."""
        return self.staged_count + len(self.failed) == self._limit

    @property
    def is_truncated(self) -> bool:
        """Whether the plan ended before the feed's end was seen."""
        if not self._is_parallel:
            return bool(self._states) and self._goes_on
        reported = self._reported
        if reported is not None:
            return reported > self._longest
        if self._is_repeated or self._has_ended:
            return False
        return self._reach > self._pagination.max_pages

    @property
    def drift(self) -> tuple[str, ...]:
        """Signs, for people, that records moved between pages while they were read."""
        return self._drift.signs(self._filled, self.first)

    def ranges(self) -> str:
        """Return the staged pages as text, such as `1-500,502`; `parse_ranges` reads it."""
        spans = (run.span() for run in _STAGED_RUN.finditer(self._states))
        ends = ((start + self.first, end + self.first - 1) for start, end in spans)
        return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ends)

    @property
    def _reported(self) -> int | None:
        """Pages that the feed said it has, at most; worked out from the records if need be."""
        if not self._is_parallel or self._totals_disproved:
            return None
        total = self._drift.total_records.highest
        if total and self._first_records >= total:  # all in one answer, whatever was asked for
            return 1
        if self._drift.total_pages.highest is not None:
            return self._drift.total_pages.highest
        return self._pages_for(self._drift.total_records.highest)

    @property
    def _longest(self) -> int:
        """Pages up to which a plan may grow by what the feed reported first."""
        first = self._drift.total_pages.first or self._pages_for(self._drift.total_records.first)
        return int(min(max(GROWTH * (first or 0), self._pagination.max_pages), self._most_pages))

    def _pages_for(self, records: int | None) -> int | None:
        if records is None:
            return None
        size = min(self._drift.sizes.largest or math.inf, self._pagination.page_size)
        return math.ceil(records / size)

    @property
    def _limit(self) -> int:
        if self.is_unreadable:
            return len(self._states)
        if not self._is_parallel:
            return self._chained
        reported = self._reported
        if reported is not None:
            reported = min(reported, self._longest)
            reported = reported if self._shrunk_to is None else min(reported, self._shrunk_to)
        elif self._is_repeated:
            return len(self._states)
        elif self._has_ended:
            reported = self._end_at + 1
        else:
            reported = min(self._reach, self._pagination.max_pages)
        return max(int(min(reported, self._only)), len(self._states))

    @property
    def _chained(self) -> int:
        """Pages up to the last one that a page before it named, `max_pages` at the most."""
        last = len(self._states)
        most = min(self._only, self._pagination.max_pages)
        return last + (self._goes_on and last < most)

    @property
    def _goes_on(self) -> bool:
        """Whether the feed names a page behind all that were leased, and may yet hold records."""
        last = len(self._states)
        is_empty = last - self._filled >= self._look_ahead
        return self._is_known(last) and not self._is_repeated and not is_empty

    @property
    def _has_ended(self) -> bool:
        """Whether the last page with records, or one behind it, said that none follows."""
        return self._is_parallel and self._end_at >= max(0, self._filled - 1)

    @property
    def _reach(self) -> int:
        """Pages up to which a feed without totals is read, as far as is known yet."""
        most = self._filled + self._look_ahead
        if self._more_at < 0:
            return most
        following = max(self._filled, self._more_at + 2)
        return int(min(most, following + max(0, self._ahead - 1)))

    def _is_known(self, index: int) -> bool:
        """Say whether a page can be asked for: of some feeds only the page before it tells."""
        return self._is_parallel or not index or self._tokens.get(index + self.first) is not None

    def _index(self, page: int) -> int:
        index = page - self.first
        if index < 0:
            raise ValueError(f"page {page} lies before the first page")
        return index

    def _state(self, index: int) -> int:
        return self._states[index] if index < len(self._states) else _State.WAITING

    def _grow(self, index: int) -> None:
        missing = index + 1 - len(self._states)
        if missing > 0:
            self._states.extend(bytes(missing))


def parse_ranges(text: str) -> tuple[range, ...]:
    """Read what `PagePlan.ranges` wrote; raises `ValueError` for anything else.

    >>> parse_ranges("1-500,502")
    (range(1, 501), range(502, 503))
    """
    return tuple(_parse_range(part) for part in text.split(",")) if text else ()


def _parse_range(text: str) -> range:
    low, dash, high = text.partition("-")
    pages = range(int(low), int(high if dash else low) + 1)
    if not pages:
        raise ValueError(f"{text!r} is not a range of pages")
    return pages
