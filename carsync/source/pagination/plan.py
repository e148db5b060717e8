"""Page plans: which page is read next, when the feed has been read to its end, what is no page.

Pages are numbered as the feed numbers them, from `first_page`; totals count
them. Plans are for feeds with page numbers (`api.pagination.type: page`).
"""

from __future__ import annotations

import math
import re
from collections import deque
from enum import IntEnum

from carsync.config.sections import Pagination
from carsync.source.pagination.drift import DriftDetector

GROWTH = 2
"""How many times its first reported length a feed may reach while it is read."""


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
    and cost little, and unread ones cost cars. But a feed whose last page moves on
    with each page read has no end: a plan grows to `GROWTH` times the total first
    reported or to `max_pages`, whichever is more. Where the feed reports none, the
    plan reaches `stop_after_empty_pages` beyond the last page that held a record, so
    it ends once that many in a row were empty, at `max_pages` at the latest.
    `is_truncated` says where a plan ended so, before the feed's end was seen.

    A page is leased by `next_page`, may be given back, and ends staged
    (`mark_staged`, which also restores a resumed run) or failed. Methods ignore
    pages in a state that does not fit, so repeated reports do no harm. Pages
    below `first_page` raise `ValueError`.
    """

    def __init__(self, pagination: Pagination, only: int | None = None) -> None:
        """Plan the whole feed, or `only` its first so many pages."""
        self._only = math.inf if only is None else only
        self.failed: dict[int, str] = {}
        """Pages given up for good, and why."""
        self.staged_count = 0
        self.reported_records: int | None = None
        """The total that the feed reported last."""
        self._pagination = pagination
        self._states = bytearray()  # by page index; as long as the highest page ever touched
        self._cursor = 0  # every page below was leased, staged or failed at some time
        self._returned: deque[int] = deque()
        self._observed = False
        self._filled = 0  # pages up to and with the last one that held a record
        self._watch = DriftDetector()
        self._look_ahead = min(pagination.stop_after_empty_pages, pagination.max_pages)

    def next_page(self) -> int | None:
        """Lease a page and return it; None where none can be leased now."""
        if not self._observed and _State.LEASED in self._states:
            return None  # the first answer decides how to go on
        index = self._take_returned()
        if index is None:
            index = self._take_new()
        if index is None:
            return None
        self._states[index] = _State.LEASED
        return index + self._pagination.first_page

    def observe(
        self, page: int, records: int, reported_pages: int | None, reported_records: int | None
    ) -> None:
        """Learn from a checked answer: its record count, and the totals it reports (or None)."""
        index = self._index(page)
        self._observed = True
        if records:
            self._filled = max(self._filled, index + 1)
            self._watch.sizes.add(index, records)
        if reported_records is not None:
            self.reported_records = reported_records
        self._watch.total_records.add(reported_records)
        self._watch.total_pages.add(reported_pages)

    def mark_staged(
        self,
        page: int,
        records: int,
        reported_pages: int | None = None,
        reported_records: int | None = None,
    ) -> None:
        """Note that the page is committed in the ledger, in this run or the one it resumes."""
        index = self._index(page)
        self._grow(index)
        self.observe(page, records, reported_pages, reported_records)
        if self._states[index] == _State.STAGED:
            return
        self.failed.pop(page, None)
        self._states[index] = _State.STAGED
        self.staged_count += 1

    def give_back(self, page: int) -> None:
        """Let a leased page be leased again."""
        index = self._index(page)
        if self._state(index) != _State.LEASED:
            return
        self._states[index] = _State.WAITING
        self._returned.append(index)

    def fail(self, page: int, problem: str) -> None:
        """Give a leased page up for good."""
        index = self._index(page)
        if self._state(index) != _State.LEASED:
            return
        self._states[index] = _State.FAILED
        self.failed[page] = problem

    @property
    def planned(self) -> int | None:
        """Number of pages from `first_page` on to be staged; None while the end is not known."""
        if self._reported is not None:
            return self._limit
        return self._limit if self._observed and self.is_exhausted else None

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to do: every planned page is staged or failed."""
        return self.staged_count + len(self.failed) == self._limit

    @property
    def is_truncated(self) -> bool:
        """Whether the plan ended before the feed's end was seen."""
        reported = self._reported
        if reported is not None:
            return reported > self._longest
        return self._filled + self._look_ahead > self._pagination.max_pages

    @property
    def drift(self) -> tuple[str, ...]:
        """Signs, for people, that records moved between pages while they were read."""
        return self._watch.signs(self._filled, self._pagination.first_page)

    def ranges(self) -> str:
        """Return the staged pages as text, such as `1-500,502`; `parse_ranges` reads it."""
        first = self._pagination.first_page
        return ",".join(
            _show_range(run.start() + first, run.end() + first - 1)
            for run in _STAGED_RUN.finditer(self._states)
        )

    @property
    def _reported(self) -> int | None:
        """Pages that the feed said it has, at most; worked out from the records if need be."""
        if self._watch.total_pages.highest is not None:
            return self._watch.total_pages.highest
        return self._pages_for(self._watch.total_records.highest)

    @property
    def _longest(self) -> int:
        """Pages up to which a plan may grow by what the feed reported first."""
        first = self._watch.total_pages.first or self._pages_for(self._watch.total_records.first)
        return max(GROWTH * (first or 0), self._pagination.max_pages)

    def _pages_for(self, records: int | None) -> int | None:
        if records is None:
            return None
        size = min(self._watch.sizes.largest or math.inf, self._pagination.page_size)
        return math.ceil(records / size)

    @property
    def _limit(self) -> int:
        """Number of pages that may be leased by what is known now."""
        reported = self._reported
        if reported is not None:
            reported = min(reported, self._longest)
        else:
            reported = min(self._filled + self._look_ahead, self._pagination.max_pages)
        return max(int(min(reported, self._only)), len(self._states))

    def _take_returned(self) -> int | None:
        while self._returned:
            index = self._returned.popleft()
            if self._states[index] == _State.WAITING:
                return index
        return None

    def _take_new(self) -> int | None:
        limit = self._limit
        while self._cursor < limit:
            index = self._cursor
            self._cursor += 1
            if self._state(index) == _State.WAITING:
                self._grow(index)
                return index
        return None

    def _index(self, page: int) -> int:
        index = page - self._pagination.first_page
        if index < 0:
            raise ValueError(f"page {page} lies before the first page")
        return index

    def _state(self, index: int) -> int:
        return self._states[index] if index < len(self._states) else _State.WAITING

    def _grow(self, index: int) -> None:
        missing = index + 1 - len(self._states)
        if missing > 0:
            self._states.extend(bytes(missing))


def _show_range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


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
        raise ValueError(f"{text!r} is no range of pages")
    return pages
