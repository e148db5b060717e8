"""Signs of paging in one answer: links, tokens, numbers and totals, each with its place. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from carsync.mapping.discovery import HEADER, PageLayout, name_of, walk, walk_headers
from carsync.mapping.fields import parse_path
from carsync.source.pagination.link_header import find_link
from carsync.source.request import query_pairs

LINK_HEADER = "header:Link"
_NEXT = re.compile(r"(@odata\.)?next_?(page_?)?(url|link|uri|href)?", re.IGNORECASE)
_OTHER_LINK = re.compile(
    r"(first|last|self|prev|previous)_?(page_?)?(url|link|uri|href)?", re.IGNORECASE
)
_TOKEN = re.compile(
    r"(next_?)?(page_?)?(cursor|token|marker)|next_?(page|key|id)?|(next_?)?continuation(_?token)?"
    r"|_?scroll_?id|end_?cursor|after|search_?after",
    re.IGNORECASE,
)
_PAGE = re.compile(
    r"(x_)?(current_?page|page(_?(number|no|index|num|current))?|number|current)", re.IGNORECASE
)
_NEXT_PAGE = re.compile(r"(x_)?next_?page", re.IGNORECASE)
_OFFSET = re.compile(r"(offset|start(_?index)?|skip|from)", re.IGNORECASE)
_SIZE = re.compile(
    r"(x_)?(per_?page|page_?size|items_?per_?page|limit|size|page_?limit|rows|take|top)",
    re.IGNORECASE,
)
_MORE = re.compile(r"(has|is)_?(more|next)(_?(page|items|results|records))?|more", re.IGNORECASE)

Place = str


class Signs(Struct, frozen=True):
    """What an answer shows of its paging; each value stands with its place.

    `next` are links to the next page (the `Link` header's first), `links` the queries of all
    links, the next page's first. `page` and `offset` are the numbers of this page, `next_page`
    that of the next one. `sizes` are sizes that the answer states. `more` says whether a page
    follows. `ends`: the answer has a place for the next page, which is empty.
    """

    layout: PageLayout
    next: tuple[tuple[Place, str], ...] = ()
    links: tuple[tuple[tuple[str, str], ...], ...] = ()
    tokens: tuple[tuple[Place, Any], ...] = ()
    page: tuple[Place, int] | None = None
    next_page: tuple[Place, int] | None = None
    offset: tuple[Place, int] | None = None
    sizes: tuple[tuple[Place, int], ...] = ()
    more: tuple[Place, bool] | None = None
    ends: tuple[Place, ...] = ()
    names: frozenset[str] = frozenset()


def read_signs(answer: Any, headers: Mapping[str, str], layout: PageLayout) -> Signs:
    """Return what a decoded answer and its headers show of their paging."""
    members = [
        *((place, value) for place, value in walk(answer) if place and place != layout.records),
        *walk_headers(headers),
    ]
    header = next((text for name, text in headers.items() if name.lower() == "link"), "")
    linked = find_link(header, "next")
    following = [(LINK_HEADER, linked)] if linked else []
    following += [(place, link) for place, link in _links(members, _NEXT)]
    others = [link for _, link in _links(members, _OTHER_LINK)]
    others += filter(None, (find_link(header, rel) for rel in ("first", "last", "prev")))
    numbers = [(place, n) for place, value in members if (n := _number(value)) is not None]
    return Signs(
        layout,
        tuple(following),
        tuple(queries([link for _, link in following] + others)),
        tuple((place, value) for place, value in members if _is_token(place, value)),
        _shallowest(numbers, _PAGE, most=1),
        _shallowest(numbers, _NEXT_PAGE, most=2) or _shallowest(numbers, _NEXT, most=2),
        _shallowest(numbers, _OFFSET, most=1),
        tuple((place, n) for place, n in numbers if n and _is_named(_SIZE, place)),
        next(((p, v) for p, v in members if v.__class__ is bool and _is_named(_MORE, p)), None),
        tuple(p for p, v in members if v in (None, "") and _is_named(_NEXT, p)),
        frozenset(name_of(place) for place, _ in members),
    )


def queries(links: list[str]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Give the query of each link as pairs; links without one are left out."""
    for link in links:
        try:
            pairs = query_pairs(link)
        except ValueError:
            continue
        if pairs:
            yield tuple(pairs)


def _links(members: list[tuple[Place, Any]], names: re.Pattern[str]) -> Iterator[tuple[Place, str]]:
    for place, value in members:
        if not _is_named(names, place):
            continue
        link = value.get("href") if isinstance(value, dict) else value
        if isinstance(link, str) and link.startswith(("http://", "https://", "/", "?")):
            yield place, link


def _is_named(pattern: re.Pattern[str], place: Place) -> bool:
    return pattern.fullmatch(name_of(place).replace("-", "_")) is not None


def _is_token(place: Place, value: Any) -> bool:
    """Say whether a value may be the cursor of the next page: no link, no number of a page."""
    names = parse_path(place.removeprefix(HEADER))
    if _TOKEN.fullmatch(names[-1].replace("-", "_")) is None or place.startswith(HEADER):
        return False
    if isinstance(value, str):
        return bool(value) and value.isprintable() and not value.startswith(("http", "/", "?"))
    return isinstance(value, list) and bool(value) and not isinstance(value[0], dict)


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    return value if value.__class__ is int and value >= 0 else None


def _shallowest(
    numbers: list[tuple[Place, int]], names: re.Pattern[str], *, most: int
) -> tuple[Place, int] | None:
    """Return the number of that name that lies least deep, of those that are `most` at most."""
    found = [(p, n) for p, n in numbers if n <= most and _is_named(names, p)]
    return min(found, key=lambda each: each[0].count("."), default=None)
