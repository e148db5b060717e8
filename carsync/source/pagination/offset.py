"""`api.pagination.type: offset`: a page begins behind so many records, and any can be asked for."""

from __future__ import annotations

from carsync import formatting
from carsync.model import PageInfo
from carsync.source.pagination.page_number import PageNumberPaginator
from carsync.source.request import ApiRequest


class OffsetPaginator(PageNumberPaginator):
    """Page 1 begins at the record `first`, each further one `page_size` records later."""

    @property
    def first(self) -> int:
        """The ordinal of the first page."""
        return 1

    @property
    def is_exact(self) -> bool:
        """Pages lie `page_size` records apart, so that a smaller one leaves records out."""
        return True

    @property
    def repeat_hint(self) -> str:
        """The key of the parameter's name."""
        name = self._pagination.offset_param
        return (
            f"check that api.pagination.offset_param ({name}) is what the API calls the number of "
            "records to skip"
        )

    def request(self, page: int, token: str | None) -> ApiRequest:
        """Return the request of the page with this ordinal."""
        keys = self._pagination
        offset = keys.first + (page - 1) * keys.page_size
        offsets = (keys.offset_param, offset)
        return self._ask(offset=offsets, size=(keys.size_param, keys.page_size))

    def find_fault(
        self, page: int, records: int, info: PageInfo, expected_pages: int | None, attempt: int = 1
    ) -> str | None:
        """Return why an answer cannot be the page of this ordinal, or None where it can.

        The next page begins `page_size` records later: one that is smaller and not the last
        would leave records out, whatever the totals say.
        """
        fault = super().find_fault(page, records, info, expected_pages, attempt)
        asked = self.page_size
        total = info.total_records
        if fault is not None or records >= asked or not records:
            return fault
        goes_on = info.has_more if total is None else (page - 1) * asked + records < total
        if not goes_on:
            return None
        listed = formatting.plural(records, "record")
        return (
            f"page {page:,} holds {listed} instead of {asked:,}, and is not the last; if "
            f"the API serves no larger pages, set api.pagination.page_size: {records}"
        )
