"""Combinations of `api.lists`: their names, their parameters, the numbers of their pages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from carsync.config.api_sections import Api, Pagination, Removals, Window
from carsync.source.pagination.lists import FeedLists, with_values

MAKES = {"make": ["Kia", "BMW"], "dealer": [1, 2]}


def api(**changes: Any) -> Api:
    return Api(base_url="http://h", lists=changes.pop("lists", MAKES), **changes)


def test_a_feed_without_lists_has_one_without_a_name_and_plain_numbers() -> None:
    lists = FeedLists(api(lists={}))
    assert (lists.names, len(lists.all)) == ((), 1)
    feed_list, page = lists.locate(1_000_017)
    assert (feed_list.name, page, feed_list.number(17)) == ("", 1_000_017, 17)
    assert lists.of_page(2, "HTTP 500") == "page 2: HTTP 500"
    assert -1 in feed_list.numbers


def test_pages_of_all_lists_lie_in_one_row_and_are_named_by_their_list() -> None:
    lists = FeedLists(api())
    assert lists.names[1:3] == ("make=Kia, dealer=2", "make=BMW, dealer=1")
    feed_list, page = lists.locate(2_000_017)
    assert (feed_list.name, page) == ("make=BMW, dealer=1", 17)
    assert lists.label(2_000_017) == "17 of make=BMW, dealer=1"
    assert lists.of_page(2_000_017, "page 17 of 20 is empty").startswith("make=BMW, dealer=1: page")
    assert feed_list.number(17) in feed_list.numbers
    assert lists.all[1].number(17) not in feed_list.numbers


def test_parameters_are_query_parameters_beside_those_of_the_feed() -> None:
    request = FeedLists(api(params={"sold": "no"})).all[3].request(7, None)
    assert request.params == {
        "sold": "no",
        "make": "BMW",
        "dealer": 2,
        "page": 7,
        "per_page": 100,
    }


def test_templates_and_places_in_a_body_take_the_values() -> None:
    filled = with_values(
        api(path="/dealers/{dealer}/cars", params={"q": "make:{make}"}),
        {"make": "Land Rover", "dealer": "a/b"},
    )
    assert (filled.path, filled.params) == ("/dealers/a%2Fb/cars", {"q": "make:Land Rover"})
    posted = api(method="POST", body={"filter": {"sold": False}}, lists={"filter.make": ["Kia"]})
    body = FeedLists(posted).all[0].request(1, None).body
    assert body is not None
    assert msgspec.json.decode(body)["filter"] == {"sold": False, "make": "Kia"}
    assert posted.body == {"filter": {"sold": False}}
    form = api(method="POST", form=True, lists={"make": ["Kia"]})
    assert b"make=Kia" in (FeedLists(form).all[0].request(1, None).body or b"")


def test_a_template_without_a_value_is_not_sent() -> None:
    """The window's in a run of the whole feed, say, and those of lists for tombstones."""
    lists = FeedLists(
        api(
            window=Window(param="since"),
            params={"q": "changed>{since}", "m": "{make}", "lang": "en"},
            removals=Removals(path="/sold"),
        )
    )
    assert lists.params == {"lang": "en"}
    assert lists.removals is not None
    assert lists.removals.request(1, None).params == {"page": 1, "per_page": 100}
    assert lists.all[0].request(1, None).params["m"] == "Kia"
    posted = FeedLists(
        Api(method="POST", window=Window(param="x"), body={"a": {"x": "{x}", "y": 1}})
    )
    assert b'"a":{"y":1}' in (posted.all[0].request(1, None).body or b"")


def test_a_value_may_be_several_parameters() -> None:
    bands = [{"price_min": 0, "price_max": 9999}, {"price_min": 10000}]
    lists = FeedLists(api(lists={"price": bands}))
    assert lists.names == ("price_min=0, price_max=9999", "price_min=10000")
    assert lists.all[1].request(1, None).params["price_min"] == 10000


@pytest.mark.parametrize(
    ("link", "added"),
    [
        ("/cars?page=2&per_page=100&make=Kia&dealer=1", {}),
        ("/cars?page=2&per_page=100", {"make": "Kia", "dealer": 1}),
        ("/cars?cursor=x", {"make": "Kia", "dealer": 1, "per_page": 100}),
    ],
)
def test_a_link_that_forgets_the_list_gets_its_parameters(link: str, added: Any) -> None:
    lists = FeedLists(api(pagination=Pagination(type="next_link")))
    assert lists.all[0].request(2, link).params == added


def test_a_link_that_forgets_a_template_gets_it_again() -> None:
    paging = Pagination(type="next_link")
    lists = FeedLists(api(pagination=paging, lists={"make": ["Kia"]}, params={"q": "make:{make}"}))
    assert lists.all[0].request(2, "/cars?page=2&per_page=100").params == {"q": "make:Kia"}
    assert lists.all[0].request(2, "/cars?page=2&q=make:Kia").params == {}
