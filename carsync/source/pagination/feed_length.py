"""How long a feed is, as far as its answers tell: totals, records, whether a page follows."""

from __future__ import annotations

import math

from carsync.config.api_sections import Pagination
from carsync.model import PageInfo
from carsync.source.pagination.drift import DriftDetector

GROWTH = 2
"""How many times its first reported length a feed may reach while it is read."""


class FeedLength:
    """What the answers said of the feed's end. Pages are known by their index.

    Totals are a claim, and count until they are disproved. Where an answer says whether a page
    follows, the last page with records, or one behind it, tells the end. Of a feed that is not
    `parallel` only its last page does, and nothing here.
    """

    def __init__(self, pagination: Pagination, most_pages: float, *, parallel: bool) -> None:
        self.total: int | None = None
        """The total of records that the feed reported last."""
        self.filled = 0
        """Pages up to and with the last one that held a record."""
        self.ends_full = False
        """Whether the last page with records is as full as any."""
        self.first_records = 0
        """How many records the first page held."""
        self.drift = DriftDetector()
        self.is_disproved = False
        """Whether the totals are not believed any more."""
        self._pagination = pagination
        self._most_pages = most_pages
        self._is_parallel = parallel
        self._more_at = self._end_at = -1  # highest page that said that one follows, or none

    def observe(self, index: int, records: int, info: PageInfo) -> None:
        """Learn from a checked answer: its record count, and what it says of the feed."""
        if records:
            if index >= self.filled - 1:
                self.ends_full = records >= self.drift.sizes.largest
            self.filled = max(self.filled, index + 1)
            self.drift.sizes.add(index, records)
            self.first_records = records if index == 0 else self.first_records
        if info.has_more is not None:
            self._more_at = max(self._more_at, index if info.has_more else -1)
            self._end_at = max(self._end_at, -1 if info.has_more else index)
        self.observe_totals(info)

    def observe_totals(self, info: PageInfo) -> None:
        """Learn from an answer how long the feed is now."""
        if info.total_records is not None:
            self.total = info.total_records
        self.drift.total_records.add(info.total_records)
        self.drift.total_pages.add(info.total_pages)

    def disprove(self, index: int) -> None:
        """Believe no totals any more: a page behind the last one reported lists records."""
        self.is_disproved = True
        self.filled = max(self.filled, index + 1)

    # ── by totals ────────────────────────────────────────────────────────────

    @property
    def reported(self) -> int | None:
        """Pages that the feed said it has, at most; worked out from the records if need be."""
        if not self._is_parallel or self.is_disproved:
            return None
        total = self.drift.total_records.highest
        if total and self.first_records >= total:  # all in one answer, whatever was asked for
            return 1
        if self.drift.total_pages.highest is not None:
            return self.drift.total_pages.highest
        return self._pages_for(total)

    @property
    def longest(self) -> int:
        """Pages up to which a plan may grow by what the feed reported first."""
        first = self.drift.total_pages.first or self._pages_for(self.drift.total_records.first)
        return int(min(max(GROWTH * (first or 0), self._pagination.max_pages), self._most_pages))

    def pages_now(self, info: PageInfo) -> int | None:
        """Return how many pages the feed has by what one answer says; None where it says none."""
        return self._pages_for(info.total_records) if info.total_pages is None else info.total_pages

    def _pages_for(self, records: int | None) -> int | None:
        if records is None:
            return None
        size = min(self.drift.sizes.largest or math.inf, self._pagination.page_size)
        return math.ceil(records / size)

    # ── page by page ─────────────────────────────────────────────────────────

    @property
    def has_more(self) -> bool:
        """Whether any answer said that a page follows."""
        return self._more_at >= 0

    @property
    def has_ended(self) -> bool:
        """Whether the last page with records, or one behind it, said that none follows."""
        return self._is_parallel and self._end_at >= max(0, self.filled - 1)

    @property
    def ended_at(self) -> int:
        """The last page that said that none follows."""
        return self._end_at

    def reach(self, look_ahead: int, ahead: float) -> int:
        """Return the pages up to which a feed without totals is read, as far as is known yet.

        That is `look_ahead` pages behind the last one with records. Where the answers say that
        a page follows, it is `ahead` pages behind those that do.
        """
        most = self.filled + look_ahead
        if not self.has_more:
            return most
        following = max(self.filled, self._more_at + 2)
        return int(min(most, following + max(0, ahead - 1)))
