"""`api.pagination.type: page`: pages have numbers, and any of them can be asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from carsync import formatting
from carsync.model import PageInfo
from carsync.source.pagination.base import Paginator
from carsync.source.request import ApiRequest


class PageNumberPaginator(Paginator):
    """A page's ordinal is its number, which travels as the parameter `page_param`."""

    parallel = True

    @property
    def first(self) -> int:
        """The number of the first page."""
        return self._pagination.first_page

    @property
    def places(self) -> tuple[str, ...]:
        """The places of the totals and of `has_more`, as far as the feed has any."""
        keys = self._pagination
        return self._listed(keys.total_pages, keys.total_records, keys.has_more)

    @property
    def repeat_hint(self) -> str:
        """The key of the parameter's name."""
        name = self._pagination.page_param
        return (
            f"check that api.pagination.page_param ({name}) is what the API calls the page number"
        )

    def request(self, page: int, token: str | None) -> ApiRequest:
        """Return the request of the page with this number."""
        keys = self._pagination
        size = (keys.size_param, keys.page_size)
        return self._ask(page=(keys.page_param, page), size=size)

    def interpret(self, found: Mapping[str, Any]) -> PageInfo:
        """Return the totals that an answer states, and whether it says that a page follows."""
        keys = self._pagination
        pages, records = (self._total(found, key) for key in (keys.total_pages, keys.total_records))
        return PageInfo(pages, records, has_more=self._says_more(found))

    def is_end(self, page: int, status: int, expected_pages: int | None) -> bool:
        """Say whether the status is one of `end_status`, behind what the feed reports."""
        last = 1 if expected_pages is None else expected_pages
        return status in self._pagination.end_status and page >= self.first + last

    def find_fault(
        self, page: int, records: int, info: PageInfo, expected_pages: int | None, attempt: int = 1
    ) -> str | None:
        """Return why an answer cannot be the page of this number, or None where it can.

        An empty answer is the end of the feed only where the totals say so, or where it is
        that of the last page for the second time: the total is too high then. A page
        larger than asked for is welcome; a smaller one before the last is not,
        unless the feed serves smaller pages throughout, which its totals show.
        """
        position = page - self.first + 1
        total, pages, asked = info.total_records, info.total_pages, self.page_size
        if pages is None and total is not None:
            pages = expected_pages or math.ceil(total / asked)
        if pages is None:
            if expected_pages is None or position > expected_pages or records >= asked:
                return None
            listed = formatting.plural(records, "record")
            return f"page {page:,} of {expected_pages:,} holds {listed} and no totals"
        if total is not None and pages > max(1, total):
            listed = formatting.plural(total, "record")
            return f"the feed reports {formatting.plural(pages, 'page')} for {listed}"
        if expected_pages is not None and 2 * pages < expected_pages:
            reported = formatting.plural(pages, "page")
            return f"the feed reports {reported}, but reported {expected_pages:,} before"
        if records == 0:
            is_end = position > pages or total == 0
            is_end |= 1 < position == pages and total is not None and attempt > 1
            return None if is_end else f"page {page:,} of {pages:,} is empty"
        size = _served_size(info, asked)
        if position >= pages or records >= size:
            return None
        listed = formatting.plural(records, "record")
        fault = f"page {page:,} of {pages:,} holds {listed} instead of {size:,}"
        cure = f"; if the API serves no larger pages, set api.pagination.page_size: {records}"
        return fault + cure * (position == 1 and size == asked)


def _served_size(info: PageInfo, asked: int) -> int:
    """Return how many records a page before the last one holds at least, as far as it is known."""
    pages, total = info.total_pages, info.total_records
    if total is None or pages is None:
        return 0  # a smaller page size than asked for cannot be told from lost records
    if pages * asked - total >= asked:  # more pages than needed: the feed serves smaller ones
        return math.ceil(total / pages)
    return asked
