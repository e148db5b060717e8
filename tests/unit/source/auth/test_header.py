"""The key in a header of its own."""

from __future__ import annotations

from carsync.config.api_sections import Api, Auth
from carsync.redaction import Secret
from carsync.source.auth.header import HeaderAuthenticator
from carsync.source.request import ApiRequest

REQUEST = ApiRequest("/cars", {"page": 1}, {"X-Trace": "1"})


def test_the_key_travels_in_the_named_header_beside_the_others() -> None:
    auth = Auth(name="X-Token", key=Secret("hush"))
    sent = HeaderAuthenticator(Api(auth=auth)).authorize(REQUEST)
    assert sent == ApiRequest("/cars", {"page": 1}, {"X-Trace": "1", "X-Token": "hush"})


def test_without_a_key_nothing_is_sent() -> None:
    assert HeaderAuthenticator(Api(auth=Auth())).authorize(REQUEST) == REQUEST


def test_a_prefix_goes_before_the_key_with_a_blank_behind_a_word() -> None:
    for prefix in ("Token", "Token "):
        auth = Auth(name="Authorization", key=Secret("hush"), prefix=prefix)
        sent = HeaderAuthenticator(Api(auth=auth)).authorize(ApiRequest("/"))
        assert sent.headers == {"Authorization": "Token hush"}
