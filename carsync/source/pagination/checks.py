"""What cannot be the page that was asked for."""

from __future__ import annotations

import math

from carsync.config.sections import Pagination
from carsync.model import PageInfo


def find_fault(
    page: int,
    records: int,
    info: PageInfo,
    expected_pages: int | None,
    pagination: Pagination,
    attempt: int = 1,
) -> str | None:
    """Return why an answer cannot be the numbered page asked for, or None where it can.

    `records` counts the answer's records, `info` holds the totals it states,
    `expected_pages` the pages that the feed reported before (None: not known).
    An empty answer is the end of the feed only where the totals say so, or where it is that of
    the last page for the second time: the total is too high then. A page
    larger than asked for is welcome; a smaller one before the last is not,
    unless the feed serves smaller pages throughout, which its totals show.

    >>> find_fault(3, 40, PageInfo(2000, 200_000), 2000, Pagination())
    'page 3 of 2,000 holds 40 records instead of 100'
    """
    position = page - pagination.first_page + 1
    total = info.total_records
    pages = _reported_pages(info, pagination, expected_pages)
    if total is not None and pages is not None and pages > max(1, total):
        return f"the feed reports {pages:,} pages for {total:,} records"
    if pages is None:
        return _check_without_totals(page, position, records, expected_pages, pagination)
    if expected_pages is not None and 2 * pages < expected_pages:
        return f"the feed reports {pages:,} pages, and {expected_pages:,} before"
    if records == 0:
        is_end = position > pages or total == 0
        is_end |= 1 < position == pages and total is not None and attempt > 1
        return None if is_end else f"page {page:,} of {pages:,} is empty"
    size = _served_size(info, pagination)
    if position >= pages or records >= size:
        return None
    return f"page {page:,} of {pages:,} holds {records:,} records instead of {size:,}"


def _reported_pages(
    info: PageInfo, pagination: Pagination, expected_pages: int | None
) -> int | None:
    """Return the pages that the totals amount to: by records alone as the plan works it out."""
    if info.total_pages is not None or info.total_records is None:
        return info.total_pages
    return expected_pages or math.ceil(info.total_records / pagination.page_size)


def _served_size(info: PageInfo, pagination: Pagination) -> int:
    """Return how many records a page before the last one holds at least, as far as it is known."""
    pages, total, asked = info.total_pages, info.total_records, pagination.page_size
    if total is None or pages is None:
        return 0  # a smaller page size than asked for cannot be told from lost records
    if pages * asked - total >= asked:  # more pages than needed: the feed serves smaller ones
        return math.ceil(total / pages)
    return asked


def _check_without_totals(
    page: int, position: int, records: int, expected_pages: int | None, pagination: Pagination
) -> str | None:
    if expected_pages is None or position > expected_pages or records >= pagination.page_size:
        return None
    return f"page {page:,} of {expected_pages:,} holds {records:,} records and no totals"
