"""Feeds that are read page by page: only an answer tells where the next page is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from carsync import formatting
from carsync.errors import FailureKind, PageError
from carsync.model import PageInfo
from carsync.source.pagination.base import Paginator
from carsync.source.request import ApiRequest


class ChainPaginator(Paginator):
    """A kind whose page is found by a token that the page before it tells."""

    parallel = False

    @property
    def next_place(self) -> str:
        """Where an answer holds the token of the next page."""
        return self._pagination.next or ""

    @property
    def next_key(self) -> str:
        """The key of that place."""
        return "api.pagination.next"

    @property
    def places(self) -> tuple[str, ...]:
        """The places of the token, of the total and of `has_more`."""
        keys = self._pagination
        return self._listed(self.next_place, keys.total_records, keys.has_more)

    @abstractmethod
    def request(self, page: int, token: str | None) -> ApiRequest:
        """Return the request of the page at `token`; None: of the first one."""

    def interpret(self, found: Mapping[str, Any]) -> PageInfo:
        """Return the total that an answer states, and the token of the next page.

        Where `has_more` says that there is none, a token is no matter.
        """
        more = self._says_more(found)
        token = None if more is False else self.read_token(found[self.next_place])
        if more and token is None:
            problem = f"the page says that more follow, but {self.next_key} names none"
            raise PageError(FailureKind.BAD_PAGE, problem)
        records = self._total(found, self._pagination.total_records)
        return PageInfo(None, records, token, more)

    def read_token(self, value: Any) -> str | None:
        """Return the token of the next page, None where an answer names none."""
        return None

    def is_end(self, page: int, status: int, expected_pages: int | None) -> bool:
        """Take no error for the end: a page was named by the one before it."""
        return False

    def find_fault(
        self, page: int, records: int, info: PageInfo, expected_pages: int | None, attempt: int = 1
    ) -> str | None:
        """Return why an answer cannot be the feed's first page, or None where it can.

        How many records a further page holds is the API's choice.
        """
        total = info.total_records
        if page > self.first or records or not total:
            return None
        return f"the first page is empty, but the feed reports {formatting.plural(total, 'record')}"

    def _refuse_unnamed(self, page: int, token: str | None) -> None:
        if token is None and page > self.first:
            problem = f"page {page:,} can be found only by reading the pages before it"
            raise PageError(FailureKind.CLIENT, problem)
