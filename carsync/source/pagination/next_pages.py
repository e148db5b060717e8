"""Where the pages of a feed lie that is read page by page, as their answers say."""

from __future__ import annotations


class NextPages:
    """The token of each page, which only the page before it names.

    A token that was given for another page is not followed: the feed would have no end.
    """

    def __init__(self) -> None:
        self.circle = ""
        """Which page named one that was read before, in words; empty where none did."""
        self._tokens: dict[int, str | None] = {}  # by page
        self._named: dict[str, int] = {}  # the page that each token was first given for

    def __bool__(self) -> bool:
        """Say whether any answer named a page."""
        return bool(self._named)

    def token(self, page: int) -> str | None:
        """Return where a page is; None where no page names it."""
        return self._tokens.get(page)

    def name(self, page: int, token: str | None, *, is_asked: bool) -> bool:
        """Learn from an answer where the page after it is (None: nowhere).

        `is_asked`: that page was asked for already. False: by another token, which stays.
        """
        following, known = page + 1, self._tokens.get(page + 1)
        if token is not None and (other := self._named.setdefault(token, following)) != following:
            what = "itself" if other == page else f"page {other:,}"
            self.circle = f"page {page:,} names {what} as the next one: the feed has no end"
            token = None
        if known is not None and token != known and is_asked:
            return False
        self._tokens[following] = token
        return True
