"""`api.auth.type: header`: the key travels in a header of its own."""

from __future__ import annotations

from msgspec.structs import replace

from carsync.source.auth.base import Authenticator
from carsync.source.request import ApiRequest


class HeaderAuthenticator(Authenticator):
    """Sends the key as the header `api.auth.name`; nothing where there is no key."""

    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` with the key's header."""
        if self._auth.key is None:
            return request
        return replace(
            request, headers={**request.headers, self._auth.name: self._auth.key.reveal()}
        )
