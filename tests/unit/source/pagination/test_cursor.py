"""Cursors: texts, numbers and lists come back as they were; none is made up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from carsync.config.api_sections import Api, Pagination
from carsync.errors import PageError
from carsync.model import PageInfo
from carsync.source.pagination.base import Paginator, load_paginator


def paginator(api: dict[str, Any] | None = None, **keys: Any) -> Paginator:
    keys = {"type": "cursor", "total_records": None, **keys}
    return load_paginator(Api(pagination=Pagination(**keys), **(api or {})))


def token_of(value: Any) -> str | None:
    return paginator().read((value,), {}).next_token


@pytest.mark.parametrize("cursor", ["abc==", "json:x", "7", 7, 7.5, [1722, "a"], {"id": 7}])
def test_a_cursor_comes_back_as_it_was(cursor: Any) -> None:
    token = token_of(cursor)
    asked = paginator({"method": "POST"}, cursor_param="search.after").request(2, token)
    assert asked.body is not None
    assert msgspec.json.decode(asked.body) == {"search": {"after": cursor}, "per_page": 100}


@pytest.mark.parametrize(("cursor", "sent"), [("a b", "a b"), (7, 7), ([1, "a"], '[1,"a"]')])
def test_it_is_a_parameter_of_the_query(cursor: Any, sent: Any) -> None:
    asked = paginator(cursor_param="after").request(2, token_of(cursor))
    assert asked.params == {"after": sent, "per_page": 100}
    assert paginator().request(1, None).params == {"per_page": 100}


@pytest.mark.parametrize("value", [None, "", False, [], {}, object()])
def test_without_a_cursor_the_feed_ends(value: Any) -> None:
    assert token_of(value) is None


def test_a_link_is_no_cursor() -> None:
    with pytest.raises(PageError, match="holds a link") as refused:
        token_of("https://api.example.com/cars?cursor=c2")
    assert refused.value.hint == "set api.pagination.type: next_link and next: meta.next_cursor"


def test_has_more_decides_where_it_is_given() -> None:
    told = paginator(has_more="meta.more")
    assert told.paths == ("meta.next_cursor", "meta.more")
    assert told.read(("c2", False), {}) == PageInfo(has_more=False)
    assert told.read(("c2", True), {}) == PageInfo(next_token="c2", has_more=True)
    with pytest.raises(PageError, match=r"more follow, but api\.pagination\.next names none"):
        told.read((None, True), {})


def test_a_page_that_no_answer_named_is_not_asked_for() -> None:
    with pytest.raises(PageError, match="only by reading the pages before"):
        paginator().request(5, None)


def test_a_cursor_that_no_ledger_can_hold_is_refused() -> None:
    with pytest.raises(PageError):
        token_of("a\x00b")


def test_an_empty_first_page_is_no_page_where_the_feed_reports_records() -> None:
    made = paginator()
    assert made.find_fault(1, 0, PageInfo(None, 9), None) is not None
    assert made.find_fault(1, 0, PageInfo(), None) is None
    assert made.find_fault(2, 0, PageInfo(None, 9), None) is None
    assert not made.is_end(3, 404, None)
