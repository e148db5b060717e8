"""How a feed is probably paged, by the signs in its first answer: guesses, the likeliest first.

Pure. A link to the next page tells most, since it holds the names of the parameters; then come
cursors and numbers in the answer; then the names that most feeds use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from carsync.config.api_sections import Pagination
from carsync.doctor.paging_signs import LINK_HEADER, Signs
from carsync.mapping.discovery import name_of

USUAL = "what most feeds have"
Kind = Literal["page", "offset", "cursor", "next_link", "link_header", "none"]

PLACE_KEYS: Mapping[str, str] = {
    "page": "page_param",
    "offset": "offset_param",
    "cursor": "cursor_param",
}
"""The key of `api.pagination` for the parameter by which a page is found; other kinds have none."""
_FIRST_KEYS: Mapping[str, str] = {"page": "first_page", "offset": "first"}
"""The key of `api.pagination` for the number of the first page; other kinds have none."""

_PAGE = re.compile(
    r"_?p(age)?(\[?_?-?\.?(number|no|num|index)\]?)?|current_?page|paged|pg", re.IGNORECASE
)
_OFFSET = re.compile(
    r"\$?(offset|skip|_?start|from|start_?index|first|page\[offset\])", re.IGNORECASE
)
_SIZE = re.compile(
    r"\$?(_?limit|_?per_?page|_?page_?size|size|rows|top|take|count|max_?results|_size"
    r"|items_?per_?page|page\[(size|limit)\]|page\.size)",
    re.IGNORECASE,
)
_SIZE_BESIDE = {
    "page[number]": "page[size]",
    "page[offset]": "page[limit]",
    "page[cursor]": "page[size]",
    "page.number": "page.size",
    "pageNumber": "pageSize",
    "pageNo": "pageSize",
    "pageIndex": "pageSize",
    "page_number": "page_size",
    "_page": "_limit",
    "_start": "_limit",
    "_next": "_size",
    "$skip": "$top",
    "$skiptoken": "$top",
    "skip": "limit",
    "offset": "limit",
    "start": "rows",
    "from": "size",
    "startIndex": "count",
    "page_info": "limit",
    "pageToken": "pageSize",
    "page_token": "page_size",
    "scroll_id": "limit",
}
"""Which parameter of the size goes with a parameter of the place, where no answer tells."""
_SIZE_BY_MAKER = (
    (frozenset({"count", "next", "previous", "results"}), "page_size"),  # Django REST Framework
    (frozenset({"x-pagination"}), "page_size"),  # flask-smorest
    (frozenset({"items", "current_page", "next_page", "previous_page"}), "size"),  # FastAPI
)
_NO_PARAMS = frozenset({"number", "current", "currentpage", "current_page", "nextpage"})
_CURSOR_PARAMS = (
    (re.compile(r"next_?page_?token|page_?token", re.IGNORECASE), "page_token", "pageToken"),
    (re.compile(r"next_?token", re.IGNORECASE), "next_token", "nextToken"),
    (re.compile(r"(next_?)?continuation(_?token)?", re.IGNORECASE), "continuation_token",
     "continuationToken"),
    (re.compile(r"_?scroll_?id", re.IGNORECASE), "scroll_id", "scrollId"),
    (re.compile(r"end_?cursor|after", re.IGNORECASE), "after", "after"),
    (re.compile(r"search_?after", re.IGNORECASE), "search_after", "searchAfter"),
    (re.compile(r"(next_?)?marker", re.IGNORECASE), "marker", "marker"),
    (re.compile(r""), "cursor", "cursor"),
)  # fmt: skip
"""Names of a cursor in an answer, with the parameter that it is sent as (and in camelCase)."""


class PagingGuess(Struct, frozen=True):
    """How a feed may be paged, and `why`, in words.

    `pagination` has the size that the first answer showed. `size_param` of it is what was seen,
    or what goes with the other names (`size_is_seen` False). `first_is_seen`: the answer
    tells from which number the pages count. `is_shown`: the answer shows it, or somebody told it.
    """

    pagination: Pagination
    why: str
    size_is_seen: bool = False
    first_is_seen: bool = False
    is_shown: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """What one guess differs by from another: the kind, and the parameter's name."""
        return self.pagination.type, place_param(self.pagination) or ""


class Told(Struct, frozen=True):
    """What a person told of the paging; None: nothing.

    `param` is the parameter of the page, the offset or the cursor. An empty `size_param`: there
    is none.
    """

    kind: Kind | None = None
    param: str | None = None
    size_param: str | None = None
    size: int | None = None
    first: int | None = None


def place_param(pagination: Pagination) -> str | None:
    """Return the parameter by which a page is found; None where a link, or nothing, does it."""
    key = PLACE_KEYS.get(pagination.type)
    param: str | None = getattr(pagination, key) if key else None
    return param


def guess_paging(signs: Signs, told: Told | None = None) -> list[PagingGuess]:
    """Return how the feed may be paged, the likeliest guess first; each differs from the others."""
    told = told or Told()
    found = [*_by_links(signs), *_by_values(signs), *_by_maker(signs)]
    if told.kind is None and told.param is not None:
        told = replace(told, kind=kind_of(told.param))
    if told.kind is not None:
        found = [guess for guess in found if guess.pagination.type == told.kind]
        found = found or [_guess(signs, told.kind, None, "as you said")]
    else:
        found += [replace(guess, is_shown=False) for guess in _usual(signs)]
    distinct: dict[tuple[str, str], PagingGuess] = {}
    for guess in found:
        distinct.setdefault((told_guess := _as_told(guess, told)).key, told_guess)
    return list(distinct.values())


def kind_of(param: str) -> Kind:
    """Say which kind of paging has a parameter of this name.

    >>> kind_of("$skip"), kind_of("p"), kind_of("after")
    ('offset', 'page', 'cursor')
    """
    if _OFFSET.fullmatch(param):
        return "offset"
    return "cursor" if re.search(r"cursor|token|after|scroll", param, re.IGNORECASE) else "page"


def _by_links(signs: Signs) -> Iterator[PagingGuess]:
    """Guess by the links to the next page: the parameters in them, a token, the link itself."""
    for place, link in signs.next:
        shown = _shorten(link)
        pairs = dict(signs.links[0]) if signs.links else {}
        said = f"{'the Link header' if place == LINK_HEADER else place} leads to {shown}"
        yield from _by_query(signs, pairs, said, is_next=True)
        for at, token in signs.tokens:
            param = next((name for name, value in pairs.items() if value == str(token)), None)
            if param is not None:
                yield _guess(signs, "cursor", param, said, next_at=at, query=pairs)
        kind: Kind = "link_header" if place == LINK_HEADER else "next_link"
        yield _guess(signs, kind, None, said, next_at=place, query=pairs)
    if not signs.next:
        for query in signs.links:
            yield from _by_query(signs, dict(query), "other links of the answer", is_next=False)


def _by_query(
    signs: Signs, query: dict[str, str], said: str, *, is_next: bool
) -> Iterator[PagingGuess]:
    """Guess by the parameters of a link: a page's number, or the number of records before it."""
    numbers = {name: int(value) for name, value in query.items() if value.isdecimal()}
    for name, number in numbers.items():
        if _PAGE.fullmatch(name) and (number in (1, 2) or not is_next):
            first = number - 1 if is_next else (signs.page[1] if signs.page else None)
            yield _guess(signs, "page", name, said, first=first, query=query)
        elif _OFFSET.fullmatch(name) and (number == signs.layout.count or not is_next):
            yield _guess(signs, "offset", name, said, first=0, query=query)


def _by_values(signs: Signs) -> Iterator[PagingGuess]:
    """Guess by cursors and numbers in the answer."""
    for place, token in signs.tokens:
        shown = _shorten(str(token))
        param = _cursor_param(place)
        yield _guess(signs, "cursor", param, f"{place} holds {shown}", next_at=place)
    if signs.next_page is not None:
        place, number = signs.next_page
        param = _param_of_page(signs.page[0] if signs.page else "page")
        said = f"{place} is {number}"
        yield _guess(signs, "page", param, said, first=number - 1 if number else None)
    page, offset = signs.page, signs.offset
    if page is not None and (offset is None or offset[0].count(".") >= page[0].count(".")):
        for param in dict.fromkeys((_param_of_page(page[0]), "page")):
            yield _guess(signs, "page", param, f"{page[0]} is {page[1]}", first=page[1])
    if offset is not None:
        name, first = name_of(offset[0]), offset[1]
        yield _guess(signs, "offset", name, f"{offset[0]} is {first}", first=first)
        if name == "skip":  # Feathers
            yield _guess(signs, "offset", "$skip", f"{offset[0]} is {first}", first=first)


def _by_maker(signs: Signs) -> Iterator[PagingGuess]:
    """Guess by names that are one standard's own."""
    if any(name.startswith("@odata.") for name in signs.names) and not signs.next:
        why = "OData names the next page there, where there is one"
        yield _guess(signs, "next_link", None, why, next_at="@odata.nextLink")


def _usual(signs: Signs) -> Iterator[PagingGuess]:
    """Guess what most feeds use, by the names in the answer where these tell a maker."""
    if signs.names & {"num_found", "numFound"}:
        yield _guess(signs, "offset", "start", "num_found, as Solr and MarketCheck have it")
    if signs.layout.records == "hits.hits":
        yield _guess(signs, "offset", "from", "hits.hits, as Elasticsearch has it")
    yield _guess(signs, "page", "page", USUAL)
    yield _guess(signs, "offset", "offset", USUAL)


def _guess(
    signs: Signs,
    kind: Kind,
    param: str | None,
    why: str,
    *,
    next_at: str | None = None,
    first: int | None = None,
    query: dict[str, str] | None = None,
) -> PagingGuess:
    """Return a guess of this kind, with the size and the totals that the signs tell."""
    layout = signs.layout
    size_param, is_seen, size = _size(signs, param, query or {})
    values: dict[str, Any] = {"size_param": size_param, "page_size": size}
    if kind == "none":
        values = {"size_param": None, "page_size": layout.count}
    if param is not None and kind in PLACE_KEYS:
        values[PLACE_KEYS[kind]] = param
    if first is not None and kind in _FIRST_KEYS:
        values[_FIRST_KEYS[kind]] = first
    if next_at is not None and kind in ("cursor", "next_link"):
        values["next"] = next_at
    is_numbered = kind in ("page", "offset")
    pages = layout.total_pages if is_numbered else None
    more = _more(signs) if layout.total_records is None and pages is None else None
    if kind in ("next_link", "link_header", "none"):
        more = None
    if layout.total_pages is not None and "wp" in layout.total_pages.lower():
        values["end_status"] = (404, 400)  # WordPress
    pagination = Pagination(
        type=kind,
        records=layout.records,
        has_more=more,
        total_pages=pages,
        total_records=layout.total_records,
        **values,
    )
    return PagingGuess(pagination, why, is_seen, first is not None)


def _more(signs: Signs) -> str | None:
    """Return the place that says whether a page follows: a yes or no, else the link to it."""
    if signs.more is not None:
        return signs.more[0]
    places = [place for place, _ in signs.next if place != LINK_HEADER]
    places += [signs.next_page[0]] if signs.next_page else []
    return next(iter([*places, *signs.ends]), None)


def _size(signs: Signs, param: str | None, query: dict[str, str]) -> tuple[str | None, bool, int]:
    """Return the parameter of the page size, whether an answer names it, and the size."""
    count = signs.layout.count
    places = sorted(signs.sizes, key=lambda each: each[0].count("."))
    stated = [(name_of(place), n) for place, n in places if n >= count]
    size = min((n for _, n in stated), default=count)
    for name, value in query.items():
        if _SIZE.fullmatch(name) and name != param and value.isdecimal():
            return name, True, int(value) if int(value) >= count else size
    if param == "$skip" and "limit" in signs.names:
        return "$limit", True, size
    beside = _SIZE_BESIDE.get(param or "")
    for name, n in stated:
        if beside is None and n == size and not name.lower().startswith("x-"):
            return name, True, size
    names = {name.lower() for name in signs.names} | {signs.layout.records}
    by_maker = next((name for known, name in _SIZE_BY_MAKER if known <= names), "per_page")
    return beside or by_maker, False, size


def _cursor_param(place: str) -> str:
    name = name_of(place)
    for pattern, snake, camel in _CURSOR_PARAMS:
        if pattern.match(name):
            return camel if "_" not in name and name != name.lower() else snake
    return "cursor"


def _param_of_page(place: str) -> str:
    name = name_of(place)
    return "page" if name.lower() in _NO_PARAMS or name.lower().startswith("x-") else name


def _as_told(guess: PagingGuess, told: Told) -> PagingGuess:
    """Return the guess with what a person told of it."""
    values: dict[str, Any] = {}
    kind = guess.pagination.type
    if told.param is not None and kind in PLACE_KEYS:
        values[PLACE_KEYS[kind]] = told.param
    if told.size_param is not None:
        values["size_param"] = told.size_param or None
    if told.first is not None and kind in _FIRST_KEYS:
        values[_FIRST_KEYS[kind]] = told.first
    return replace(
        guess,
        pagination=replace(guess.pagination, **values),
        size_is_seen=guess.size_is_seen or told.size_param is not None,
        first_is_seen=guess.first_is_seen or told.first is not None,
    )


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
