"""`api.pagination.type: none`: one answer holds the whole feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carsync.errors import FailureKind, PageError
from carsync.model import PageInfo
from carsync.source.pagination.chain import ChainPaginator
from carsync.source.request import ApiRequest


class NonePaginator(ChainPaginator):
    """The feed is one page, which names no other."""

    @property
    def next_key(self) -> str:
        """No answer names a further page."""
        return ""

    @property
    def places(self) -> tuple[str, ...]:
        """The place of the total, where the feed has one."""
        return self._listed(self._pagination.total_records)

    def interpret(self, found: Mapping[str, Any]) -> PageInfo:
        """Return the total that the answer states."""
        return PageInfo(total_records=self._total(found, self._pagination.total_records))

    def request(self, page: int, token: str | None) -> ApiRequest:
        """Return the request of the feed."""
        if page > self.first:
            raise PageError(
                FailureKind.CLIENT, "the feed is one answer (api.pagination.type: none)"
            )
        return self._ask()
