"""Links to the next page: whole or relative, on the configured origin, without the key."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.api_sections import Api, Auth, Pagination
from carsync.errors import FailureKind, PageError
from carsync.redaction import Secret
from carsync.source.pagination.base import Paginator, load_paginator
from carsync.source.request import ApiRequest


def paginator(**api: Any) -> Paginator:
    keys = Pagination(type="next_link", total_records=None)
    known = {"base_url": "https://api.example.com/v1", "pagination": keys, **api}
    return load_paginator(Api(**known))


def token_of(link: Any, **api: Any) -> str | None:
    return paginator(**api).read((link,), {}).next_token


@pytest.mark.parametrize(
    ("link", "token"),
    [
        ("https://api.example.com/v1/cars?page=2", "/v1/cars?page=2"),
        ("https://API.example.com:443/v1/cars?page=2#top", "/v1/cars?page=2"),
        ("http://api.example.com/v1/cars?page=2", "/v1/cars?page=2"),
        ("//api.example.com/v2/cars?c=a%2Fb==", "/v2/cars?c=a%2Fb=="),
        ("/v1/cars?page=2", "/v1/cars?page=2"),
        ("?page=2", "/v1/cars?page=2"),
        ("cars?page=2", "/v1/cars?page=2"),
        ({"href": "/v1/cars?page=2"}, "/v1/cars?page=2"),
        ("/v1/cars?make=Land Rover&x=\u00e9", "/v1/cars?make=Land%20Rover&x=%C3%A9"),
        ("?page[number]=2", "/v1/cars?page[number]=2"),
        (None, None), ("", None), (False, None), ({}, None),
    ],
)  # fmt: skip
def test_a_link_may_be_whole_or_relative(link: Any, token: str | None) -> None:
    assert token_of(link) == token


@pytest.mark.parametrize(
    "link",
    [
        "http://api.example.com:8080/v1/cars?page=2",
        "http://www.example.com/v1/cars?page=2",
        "https://api.example.com:8443/v1/cars",
        "https://evil.example/v1/cars",
        "//evil.example/cars",
        "https://api.example.com@evil.example/cars",
        "https://user@api.example.com/cars",
        "https://api.example.com\\@evil.example/",
        "https://[::1/cars",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://api.example.com/a\r\nX: y",
    ],
)
def test_a_link_to_another_origin_is_refused(link: str) -> None:
    with pytest.raises(PageError) as caught:
        token_of(link)
    assert caught.value.kind is FailureKind.CLIENT
    assert "another origin" in caught.value.problem
    assert "evil" not in caught.value.problem + caught.value.hint


def test_a_link_from_plain_http_to_https_is_refused() -> None:
    with pytest.raises(PageError) as caught:
        token_of("https://api.example.com/cars", base_url="http://api.example.com")
    assert caught.value.detail == "https://api.example.com:443"


def test_keys_in_the_query_are_not_kept_with_the_link_and_are_sent_again() -> None:
    auth = Auth(type="query", key=Secret("hush"))
    link = "/cars?api_key=masked&sort=id&token=t-9&make=Kia"
    known = {"auth": auth, "params": {"token": "t-9", "make": "Kia"}}
    token = token_of(link, **known)
    assert token == "/cars?sort=id&make=Kia"
    request = paginator(**known).request(2, token)
    assert request == ApiRequest(token, {"token": "t-9"}, is_link=True)


def test_the_key_is_not_kept_with_the_link() -> None:
    auth = Auth(key=Secret("s e/cret"))
    assert token_of("/cars?api_key=s+e%2Fcret&page=2", auth=auth) == "/cars?page=2"
    assert token_of("/cars?page=2&k=s%20e/cret", auth=auth) == "/cars?page=2"


def test_a_link_that_forgot_all_parameters_gets_them_again() -> None:
    made = paginator(params={"make": "Kia"})
    assert made.request(1, None) == ApiRequest("/cars", {"per_page": 100})
    forgot = made.request(2, "/v1/cars?page=2")
    assert (forgot.is_link, forgot.params) == (True, {"make": "Kia", "per_page": 100})
    for kept in ("/v1/cars?page=2&make=Kia", "/v1/cars?page_info=x&per_page=50"):
        assert made.request(2, kept).params == {}
