"""No authentication."""

from __future__ import annotations

from carsync.config.api_sections import Api, Auth
from carsync.redaction import Secret
from carsync.source.auth.none import NoAuthenticator
from carsync.source.request import ApiRequest


def test_not_even_a_key_that_is_set_is_sent() -> None:
    request = ApiRequest("/cars", {"page": 1})
    assert (
        NoAuthenticator(Api(auth=Auth(type="none", key=Secret("hush")))).authorize(request)
        == request
    )
