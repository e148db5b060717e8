"""`api.auth.type: none`: the API asks for nothing."""

from __future__ import annotations

from carsync.source.auth.base import Authenticator
from carsync.source.request import ApiRequest


class NoAuthenticator(Authenticator):
    """Sends no key, not even one that is set."""

    hint = "check whether the API wants a key: api.auth.type is none; set it, and API_KEY"

    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` as it is."""
        return request
