"""The key as a parameter of every URL."""

from __future__ import annotations

from carsync.config.api_sections import Api, Auth
from carsync.redaction import Secret
from carsync.source.auth.query import QueryAuthenticator
from carsync.source.request import ApiRequest


def test_the_key_is_a_parameter_beside_the_others_of_a_link_too() -> None:
    request = ApiRequest("/cars?cursor=1", {"page": 1}, is_link=True)
    api = Api(auth=Auth(type="query", key=Secret("hush")))
    assert QueryAuthenticator(api).authorize(request) == ApiRequest(
        "/cars?cursor=1", {"page": 1, "api_key": "hush"}, is_link=True
    )


def test_the_name_of_the_parameter_is_the_configured_one() -> None:
    api = Api(auth=Auth(type="query", name="apikey", key=Secret("hush")))
    assert QueryAuthenticator(api).authorize(ApiRequest("/")).params == {"apikey": "hush"}


def test_without_a_key_nothing_is_sent() -> None:
    api = Api(auth=Auth(type="query"))
    assert QueryAuthenticator(api).authorize(ApiRequest("/")) == ApiRequest("/")
