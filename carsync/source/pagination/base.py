"""Pagination: how a feed is cut into pages, and what an answer says of the others."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import msgspec

from carsync.config.api_sections import Api, Pagination
from carsync.errors import FailureKind, PageError
from carsync.model import PageInfo
from carsync.source.kinds import load_kind
from carsync.source.pagination.placing import fill, names_in, put, value_at
from carsync.source.request import ApiRequest

MAX_TOTAL = 2**31 - 1
"""A feed that reports more pages or records than this is not to be believed."""

_TOTAL = re.compile(r"\s*[0-9]{1,20}\s*")
_MODULES = {"page": "page_number"}
HEADER = "header:"
_NO_MORE: tuple[Any, ...] = ("", "false", 0, {})


class Paginator(ABC):
    """One kind of paging. Pure; shared by all threads of a process.

    A page is known everywhere by its ordinal, an integer that counts from `first`. A kind that
    is not `parallel` finds a page by a token too, which only the page before it tells.
    """

    parallel: ClassVar[bool]
    """Whether any page can be asked for without knowing the one before it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pagination = api.pagination

    @property
    def first(self) -> int:
        """The ordinal of the first page."""
        return 1

    @property
    def page_size(self) -> int:
        """How many records a page is asked to hold."""
        return self._pagination.page_size

    @property
    def places(self) -> tuple[str, ...]:
        """Where the values stand that `interpret` wants: dotted paths, or `header:NAME`."""
        return ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Those of the `places` that are paths in the body."""
        return tuple(place for place in self.places if not place.startswith(HEADER))

    @property
    def is_exact(self) -> bool:
        """Whether pages lie `page_size` records apart, however many the API serves."""
        return False

    @property
    def next_key(self) -> str:
        """The key that says where an answer names the page after it; empty where none does."""
        return "" if self._pagination.has_more is None else "api.pagination.has_more"

    @property
    def repeat_hint(self) -> str:
        """Where to look when every page holds the same records."""
        return ""

    @abstractmethod
    def request(self, page: int, token: str | None) -> ApiRequest:
        """Return the request of a page; `token` is None for the first one and where parallel."""

    @abstractmethod
    def interpret(self, found: Mapping[str, Any]) -> PageInfo:
        """Return what an answer says of the feed; `found` has a value for each of the `places`.

        Raises `PageError` (`BAD_PAGE`) for what cannot be believed.
        """

    def read(self, values: Sequence[Any], headers: Mapping[str, str]) -> PageInfo:
        """Return what an answer says of the feed; `values` stand at `paths` (None: nowhere).

        Raises `PageError` (`BAD_PAGE`) for what cannot be believed.
        """
        found = dict(zip(self.paths, values, strict=True))
        for place in self.places:
            if place.startswith(HEADER):
                found[place] = _read_header(place.removeprefix(HEADER), headers)
        return self.interpret(found)

    @abstractmethod
    def is_end(self, page: int, status: int, expected_pages: int | None) -> bool:
        """Say whether an answer with this error status means that the feed ended before `page`.

        `expected_pages` is what the feed reported before (None: not known). Status 200 is an
        answer that is no page.
        """

    @abstractmethod
    def find_fault(
        self, page: int, records: int, info: PageInfo, expected_pages: int | None, attempt: int = 1
    ) -> str | None:
        """Return why an answer of `records` records cannot be the page asked for, or None.

        What the `attempt` before may have got by accident, the next one may believe.
        """

    def _ask(self, **values: tuple[str | None, Any]) -> ApiRequest:
        """Return the request that holds `values` of paging, each with its parameter's name.

        Templates in `api.params` and `api.body` take their values; a value that stands in one,
        or whose parameter is None, is no parameter of its own.
        """
        api = self._api
        known = {name: value for name, (_, value) in values.items()}
        placed = names_in(api.params) | names_in(api.body)
        own = {
            param: value
            for name, (param, value) in values.items()
            if param is not None and value is not None and name not in placed
        }
        params = {n: fill(v, known) for n, v in api.params.items() if names_in(v)}
        if api.method == "GET":
            return ApiRequest(api.path, {**params, **own})
        body = fill(api.body, known)
        if api.form:
            kind, encoded = "application/x-www-form-urlencoded", urlencode({**body, **own}).encode()
        else:
            for place, value in own.items():
                put(body, place, value)
            kind, encoded = "application/json", msgspec.json.encode(body)
        return ApiRequest(api.path, params, {"Content-Type": kind}, encoded)

    def _says_more(self, found: Mapping[str, Any]) -> bool | None:
        """Return whether an answer says that a page follows; None where no key tells its place."""
        place = self._pagination.has_more
        if place is None:
            return None
        value = found[place]
        return isinstance(value, str | int | float | dict) and value not in _NO_MORE

    def _total(self, found: Mapping[str, Any], place: str | None) -> int | None:
        """Return the total at a place; None where no key tells the place, or where it is none."""
        return None if place is None else read_total(found[place])

    def _listed(self, *places: str | None) -> tuple[str, ...]:
        """Return the places that there are, each once."""
        return tuple(dict.fromkeys(place for place in places if place is not None))


def _read_header(name: str, headers: Mapping[str, str]) -> Any:
    """Return a header's text, or the value at a dotted path in the JSON that it holds."""
    name, dot, path = name.partition(".")
    text = next((v for known, v in headers.items() if known.lower() == name.lower()), None)
    if not dot or text is None:
        return text
    try:
        return value_at(msgspec.json.decode(text), path)
    except msgspec.MsgspecError:
        return None


def load_paginator(api: Api) -> Paginator:
    """Return the paginator of `api.pagination.type`.

    It is the class in the module of that name; `page` lies in `page_number.py`.
    """
    name = api.pagination.type
    kind: type[Paginator] = load_kind(Paginator, _MODULES.get(name, name))
    return kind(api)


def read_total(value: Any) -> int | None:
    """Return a total that an answer states, None where it is no whole number from 0 on.

    Raises `PageError` (`BAD_PAGE`) where it is larger than `MAX_TOTAL`.

    >>> read_total(1200), read_total("1200"), read_total(1200.0), read_total("1,200")
    (1200, 1200, 1200, None)
    """
    is_whole = isinstance(value, float) and value.is_integer()
    if is_whole or (isinstance(value, str) and _TOTAL.fullmatch(value)):
        value = int(value)
    if value.__class__ is not int or value < 0:
        return None
    if value > MAX_TOTAL:
        raise PageError(FailureKind.BAD_PAGE, f"the page reports a total of {value:.3g}")
    return int(value)


def end_status_hint(pagination: Pagination, status: int | None) -> str:
    """Name the key by which an answer with this status (None: 200) is the feed's end.

    >>> end_status_hint(Pagination(), 400)
    'if the API answers so where its feed ends, set api.pagination.end_status: [404, 400]'
    """
    statuses = ", ".join(str(known) for known in (*pagination.end_status, status or 200))
    return f"if the API answers so where its feed ends, set api.pagination.end_status: [{statuses}]"
