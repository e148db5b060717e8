"""`api.auth.type: header`: the key travels in a header of its own."""

from __future__ import annotations

from carsync.source.auth.base import Authenticator
from carsync.source.request import ApiRequest


class HeaderAuthenticator(Authenticator):
    """Sends the key as the header `api.auth.name`; nothing where there is no key."""

    hint = "check API_KEY (api.auth.key) and the header's name (api.auth.name)"

    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` with the key's header."""
        if self._auth.key is None:
            return request
        return request.with_header(
            self._auth.sent_name, self._auth.prefixed(self._auth.key.reveal())
        )
