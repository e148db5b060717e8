"""Lists: the combinations of `api.lists`, each of which is read as a feed of its own. Pure.

The pages of all lists lie in one row of numbers: a page's number is that of the page in its list,
and `PAGES_EACH` more for each list before it. Leases, ledger and rejects know pages by it. Behind
all lists lie the pages of the feed of removals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.api_sections import Api, Value
from carsync.config.lists import (
    MOST_LISTS,
    PAGES_EACH,
    REMOVALS_FROM,
    combine,
    is_removal,
    name_of,
)
from carsync.source.pagination.base import Paginator, load_paginator
from carsync.source.pagination.placing import fill, names_in, put, without
from carsync.source.request import ApiRequest, query_pairs

_ALL = range(-(2**31), REMOVALS_FROM)
REMOVALS = "the feed of removals"
"""What people call the list of tombstones."""


class FeedList(Struct, frozen=True):
    """One list of a feed: its place among the others, its name, its parameters, its paging.

    The name is empty where the feed has no lists: it is its only list then.
    """

    index: int
    name: str
    values: Mapping[str, Value]
    api: Api
    paginator: Paginator
    own_params: tuple[str, ...]
    """The parameters that hold its values, be it in a template, and that of the window."""

    def number(self, page: int) -> int:
        """Return the number among the pages of all lists that a page of this one has."""
        return self.index * PAGES_EACH + page

    @property
    def numbers(self) -> range:
        """All numbers that pages of this list may have."""
        return range(self.number(0), self.number(PAGES_EACH)) if self.name else _ALL

    def request(self, page: int, token: str | None) -> ApiRequest:
        """Return the request of a page of this list.

        A link gets those parameters that its server forgot: it would leave the list, or the window.
        """
        request = self.paginator.request(page, token)
        if not self.own_params:
            return request
        params: dict[str, Any] = dict(self.api.params)
        if request.is_link:
            named = dict(query_pairs(request.path))
            params = {name: params[name] for name in self.own_params if name not in named}
        return replace(request, params={**params, **request.params})


class FeedLists:
    """All lists of a feed, in the order of the configuration: at least one."""

    def __init__(self, api: Api) -> None:
        combinations = combine(api.lists)
        self.names = tuple(map(name_of, combinations)) if api.lists else ()
        """The lists' names; empty where the feed has no lists."""
        kind = type(load_paginator(api))
        self._unfilled = set(filter(None, [api.window.param])).union(*combinations)
        self.params = without(api.params, self._unfilled)
        """The parameters of every request; not those that have a value in some only."""
        self.all = tuple(
            self._make(i, name_of(v), v, api, kind) for i, v in enumerate(combinations)
        )
        self.removals: FeedList | None = None
        """The tombstones, which are no list of the feed; None: the API has none."""
        if (path := api.removals.path) is not None:
            theirs = replace(api, path=path)
            own = (MOST_LISTS, REMOVALS, api.removals.params)
            self.removals = self._make(*own, theirs, kind)

    def _make(
        self, index: int, name: str, values: Mapping[str, Value], api: Api, kind: type[Paginator]
    ) -> FeedList:
        """Make a list; a template without a value, of the window in a full run say, is not sent."""
        own = with_values(api, values)
        params, body = (without(each, self._unfilled) for each in (own.params, own.body))
        own = replace(own, params=params, body=body)
        named = [n for n, v in params.items() if n == api.window.param or api.params.get(n) != v]
        return FeedList(index, name, values, own, kind(own), tuple(named))

    @property
    def paginator(self) -> Paginator:
        """The paging of the first list; that of the others differs in its parameters alone."""
        return self.all[0].paginator

    def locate(self, number: int) -> tuple[FeedList, int]:
        """Return the list that a page belongs to, and its number there."""
        if self.removals is not None and is_removal(number):
            return self.removals, number - REMOVALS_FROM
        index, page = split(number, self.names)
        return self.all[index], page

    def label(self, number: int) -> int | str:
        """Return what people call a page; see `label`."""
        if is_removal(number):
            return f"{number - REMOVALS_FROM:,} of {REMOVALS}"
        return label(number, self.names)

    def place(self, number: int) -> dict[str, Any]:
        """Return a page as the log names it, with its list where the feed has any."""
        feed_list, page = self.locate(number)
        return {"page": page, **({"list": feed_list.name} if feed_list.name else {})}

    def of_page(self, number: int, problem: str) -> str:
        """Write what is wrong with a page, which is named once."""
        feed_list, page = self.locate(number)
        words = formatting.of_page(page, problem)
        return f"{feed_list.name}: {words}" if feed_list.name else words


def split(number: int, names: Sequence[str]) -> tuple[int, int]:
    """Return the index of a page's list, and the page's number there.

    >>> split(2_000_017, ["make=Kia", "make=BMW", "make=Opel"]), split(2_000_017, [])
    ((2, 17), (0, 2000017))
    """
    return divmod(number, PAGES_EACH) if names and number >= 0 else (0, number)


def label(number: int, names: Sequence[str]) -> int | str:
    """Return what people call a page: its number, and where there are `names` that of its list.

    >>> label(17, []), label(1_000_017, ["make=Kia", "make=BMW"])
    (17, '17 of make=BMW')
    """
    index, page = split(number, names)
    return f"{page:,} of {names[index]}" if index < len(names) else number


def with_values(
    api: Api,
    values: Mapping[str, Value],
    lists: Mapping[str, list[Value | dict[str, Value]]] | None = None,
) -> Api:
    """Return the section with a combination's parameters, where those of paging go, too.

    That is in the path's, parameters' and body's templates; else they are parameters of their
    own, or with POST at their dotted place in the body. The section is of one list then, unless
    `lists` are left to be read.
    """
    if not values:
        return api
    texts = {name: quote(str(value), safe="") for name, value in values.items()}
    placed = names_in([api.path, api.params, api.body], values)
    own = {name: value for name, value in values.items() if name not in placed}
    params: dict[str, Any] = fill(api.params, values)
    body: dict[str, Any] = fill(api.body, values)
    if api.method == "GET":
        params |= own
    elif api.form:
        body |= own
    else:
        for name, value in own.items():
            put(body, name, value)
    path = str(fill(api.path, texts))
    return replace(api, path=path, params=params, body=body, lists=dict(lists or {}))
