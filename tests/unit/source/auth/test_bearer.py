"""The key as a bearer token (RFC 6750, section 2.1)."""

from __future__ import annotations

from carsync.config.api_sections import Api, Auth
from carsync.redaction import Secret
from carsync.source.auth.bearer import BearerAuthenticator
from carsync.source.request import ApiRequest


def test_the_key_is_a_bearer_token() -> None:
    auth = Auth(type="bearer", name="X-Ignored", key=Secret("hush"))
    sent = BearerAuthenticator(Api(auth=auth)).authorize(ApiRequest("/cars"))
    assert sent == ApiRequest("/cars", {}, {"Authorization": "Bearer hush"})


def test_without_a_key_nothing_is_sent() -> None:
    assert BearerAuthenticator(Api(auth=Auth(type="bearer"))).authorize(
        ApiRequest("/")
    ) == ApiRequest("/")
