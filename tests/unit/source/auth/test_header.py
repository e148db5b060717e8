"""The key in a header of its own."""

from __future__ import annotations

from carsync.config.api_sections import Auth
from carsync.redaction import Secret
from carsync.source.auth.header import HeaderAuthenticator
from carsync.source.request import ApiRequest

REQUEST = ApiRequest("/cars", {"page": 1}, {"X-Trace": "1"})


def test_the_key_travels_in_the_named_header_beside_the_others() -> None:
    auth = Auth(name="X-Token", key=Secret("hush"))
    sent = HeaderAuthenticator(auth).authorize(REQUEST)
    assert sent == ApiRequest("/cars", {"page": 1}, {"X-Trace": "1", "X-Token": "hush"})


def test_without_a_key_nothing_is_sent() -> None:
    assert HeaderAuthenticator(Auth()).authorize(REQUEST) == REQUEST
