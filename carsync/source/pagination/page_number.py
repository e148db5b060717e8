"""`api.pagination.type: page`: pages have numbers, and any of them can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carsync.model import PageInfo
from carsync.source.pagination.base import Paginator, read_total
from carsync.source.pagination.checks import find_fault
from carsync.source.request import ApiRequest, Parameter


class PageNumberPaginator(Paginator):
    """A page's ordinal is its number, which travels as the parameter `page_param`."""

    parallel = True

    @property
    def first(self) -> int:
        """The number of the first page."""
        return self._pagination.first_page

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the totals, as far as the feed has any."""
        totals = (self._pagination.total_pages, self._pagination.total_records)
        return tuple(path for path in totals if path is not None)

    @property
    def repeat_hint(self) -> str:
        """The key of the parameter's name."""
        name = self._pagination.page_param
        return f"does the API know pages by the name in api.pagination.page_param ({name})?"

    def request(self, page: int, token: str | None) -> ApiRequest:
        """Return the request of the page with this number."""
        params: dict[str, Parameter] = {self._pagination.page_param: page}
        if self._pagination.size_param is not None:
            params[self._pagination.size_param] = self._pagination.page_size
        return ApiRequest(self._api.path, params)

    def read(self, values: Sequence[Any]) -> PageInfo:
        """Return the totals that an answer states."""
        rest = list(values)
        pages = read_total(rest.pop(0)) if self._pagination.total_pages is not None else None
        records = read_total(rest.pop(0)) if self._pagination.total_records is not None else None
        return PageInfo(pages, records)

    def is_end(self, page: int, status: int, expected_pages: int | None) -> bool:
        """Say whether the status is one of `end_status`, behind what the feed reports."""
        last = 1 if expected_pages is None else expected_pages
        return status in self._pagination.end_status and page >= self.first + last

    def find_fault(
        self, page: int, records: int, info: PageInfo, expected_pages: int | None, attempt: int = 1
    ) -> str | None:
        """Return why an answer cannot be the page of this number, or None where it can."""
        return find_fault(page, records, info, expected_pages, self._pagination, attempt)
