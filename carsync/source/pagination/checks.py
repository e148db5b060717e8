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
) -> str | None:
    """Return why an answer cannot be the numbered page asked for, or None where it can.

    `records` counts the answer's records, `info` holds the totals it states,
    `expected_pages` the pages that the feed reported before (None: not known).
    An empty answer is the end of the feed only where the totals say so. A page
    larger than asked for is welcome; a smaller one before the last is not,
    unless the feed serves smaller pages throughout, which its totals show.

    >>> find_fault(3, 40, PageInfo(2000, 200_000), 2000, Pagination())
    'page 3 of 2,000 holds 40 records instead of 100'
    """
    position = page - pagination.first_page + 1
    reported_pages, reported_records = info.total_pages, info.total_records
    pages = _reported_pages(reported_pages, reported_records, pagination)
    if reported_records is not None and pages is not None and pages > max(1, reported_records):
        return f"the feed reports {pages:,} pages for {reported_records:,} records"
    if pages is None:
        return _check_without_totals(page, position, records, expected_pages, pagination)
    if expected_pages is not None and 2 * pages < expected_pages:
        return f"the feed reports {pages:,} pages, and {expected_pages:,} before"
    if records == 0:
        if position > pages or reported_records == 0:
            return None
        return f"page {page:,} of {pages:,} is empty"
    if position >= pages or records >= pagination.page_size:
        return None
    if reported_records is None or reported_pages is None:
        return None  # a smaller page size than asked for cannot be told from lost records
    if pages * pagination.page_size - reported_records >= pagination.page_size:
        # More pages than the asked-for size needs: the feed serves smaller ones.
        size = math.ceil(reported_records / pages)
    else:
        size = pagination.page_size
    if records >= size:
        return None
    return f"page {page:,} of {pages:,} holds {records:,} records instead of {size:,}"


def _reported_pages(pages: int | None, records: int | None, pagination: Pagination) -> int | None:
    if pages is not None or records is None:
        return pages
    return math.ceil(records / pagination.page_size)


def _check_without_totals(
    page: int, position: int, records: int, expected_pages: int | None, pagination: Pagination
) -> str | None:
    if expected_pages is None or position > expected_pages or records >= pagination.page_size:
        return None
    return f"page {page:,} of {expected_pages:,} holds {records:,} records and no totals"
