"""`api.auth.type: none`: the API asks for nothing."""

from __future__ import annotations

from carsync.source.auth.base import Authenticator
from carsync.source.request import ApiRequest


class NoAuthenticator(Authenticator):
    """Sends no key, not even one that is set."""

    hint = "no key is sent (api.auth.type: none); if the API wants one, set api.auth and API_KEY"

    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` as it is."""
        return request
