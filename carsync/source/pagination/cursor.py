"""`api.pagination.type: cursor`: an answer holds the cursor of the next page, a parameter then."""

from __future__ import annotations

from typing import Any

import msgspec

from carsync.errors import FailureKind, PageError
from carsync.source.pagination.chain import ChainPaginator
from carsync.source.request import ApiRequest

_JSON = "json:"
"""So begins the token of a cursor that is no text."""


class CursorPaginator(ChainPaginator):
    """The cursor travels as the parameter `cursor_param`; the first page is asked for without."""

    @property
    def next_place(self) -> str:
        """Where an answer holds the next cursor."""
        return self._pagination.next or "meta.next_cursor"

    @property
    def repeat_hint(self) -> str:
        """The key of the parameter's name."""
        name = self._pagination.cursor_param
        return f"check that api.pagination.cursor_param ({name}) is what the API calls the cursor"

    def request(self, page: int, token: str | None) -> ApiRequest:
        """Return the request of the page at this cursor."""
        self._refuse_unnamed(page, token)
        keys = self._pagination
        cursor: Any = token
        if token is not None and token.startswith(_JSON):
            cursor = msgspec.json.decode(token.removeprefix(_JSON))
        if isinstance(cursor, list | dict) and self._api.method == "GET":
            cursor = msgspec.json.encode(cursor).decode()
        size = (keys.size_param, keys.page_size)
        return self._ask(cursor=(keys.cursor_param, cursor), size=size)

    def read_token(self, value: Any) -> str | None:
        """Return the cursor as text; a number or a list, too, comes back as it was."""
        if value is None or value in (False, "", [], {}):
            return None
        if isinstance(value, str) and not value.startswith(_JSON):
            if not value.isprintable():
                raise PageError(FailureKind.BAD_PAGE, "the cursor of the next page is unreadable")
            if value.startswith(("http://", "https://")):
                raise PageError(
                    FailureKind.CLIENT,
                    f"{self.next_place} holds a link to the next page, and no cursor",
                    hint=f"set api.pagination.type: next_link and next: {self.next_place}",
                )
            return value
        try:
            return _JSON + msgspec.json.encode(value).decode()
        except TypeError:  # a path that leads nowhere
            return None
