"""How the simulated API cuts its feed into pages, and names the next one: one way a kind.

page         ?page=N&per_page=S    {"data": […], "meta": {"last_page": …, "total": …}}
offset       ?offset=N&limit=S     {"data": […], "meta": {"total": …, "has_more": …}}
cursor       ?cursor=C&per_page=S  {"data": […], "meta": {"next_cursor": …, "has_more": …}}
next_link    the link itself       {"data": […], "links": {"next": …}}
link_header  the link itself       […], and the header `Link: <…>; rel="next"`
none                               {"data": […]}
"""

from __future__ import annotations

from typing import Any, Literal, get_args
from urllib.parse import urlencode

from msgspec import Struct

Paging = Literal["page", "offset", "cursor", "next_link", "link_header", "none"]
PAGINGS: tuple[str, ...] = get_args(Paging)


class Cut(Struct, frozen=True):
    """A page of a feed: `size` records behind the first `start`; `born_s`: its token's age."""

    start: int
    size: int
    born_s: float | None = None

    @property
    def page(self) -> int:
        """The number of the page."""
        return self.start // self.size + 1


def read_cut(kind: str, query: dict[str, str], default_size: int, most: int) -> Cut:
    """Return which records a request asks for; raise `ValueError` for what cannot be read."""
    if kind == "offset":
        size = int(query.get("limit", default_size))
        return Cut(_natural(query.get("offset", "0")), _size(size, most))
    size = _size(int(query.get("per_page", default_size)), most)
    if kind == "page":
        return Cut(_natural(str(int(query.get("page", "1")) - 1)) * size, size)
    start, _, born_s = query.get("cursor", "0").partition("-")
    return Cut(_natural(start), size, float(born_s) if born_s else None)


def shape(
    kind: str, cut: Cut, records: list[Any], total: int, address: str, now_s: float | None
) -> tuple[Any, str | None]:
    """Return the body of an answer, and its `Link` header where the kind has one.

    `address` is the feed's, with what its links keep of the query; `now_s` goes into the tokens
    where they are valid for a while only.
    """
    if kind == "none":
        return {"data": records}, None
    end = cut.start + len(records)
    more = end < total
    cursor = (f"{end}" if now_s is None else f"{end}-{now_s:.3f}") if more else None
    if kind == "page":
        meta = {"current_page": cut.page, "last_page": max(1, -(-total // cut.size))}
        return {"data": records, "meta": {**meta, "per_page": cut.size, "total": total}}, None
    if kind == "offset":
        return {"data": records, "meta": {"total": total, "has_more": more}}, None
    if kind == "cursor":
        return {"data": records, "meta": {"next_cursor": cursor, "has_more": more}}, None
    query = urlencode({"cursor": cursor, "per_page": cut.size})
    link = f"{address}{'&' if '?' in address else '?'}{query}" if more else None
    if kind == "next_link":
        return {"data": records, "links": {"next": link}}, None
    return records, None if link is None else f'<{link}>; rel="next"'


def _natural(text: str) -> int:
    if (number := int(text)) < 0:
        raise ValueError(text)
    return number


def _size(size: int, most: int) -> int:
    if size < 1:
        raise ValueError(size)
    return min(size, most)
