"""`api.auth.type: bearer`: the key is a bearer token (RFC 6750, section 2.1)."""

from __future__ import annotations

from carsync.source.auth.base import Authenticator
from carsync.source.request import ApiRequest


class BearerAuthenticator(Authenticator):
    """Sends the key as `Authorization: Bearer KEY`; nothing where there is no key."""

    hint = "check API_KEY (api.auth.key)"

    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` with the Authorization header."""
        if self._auth.key is None:
            return request
        return request.with_header("Authorization", f"Bearer {self._auth.key.reveal()}")
