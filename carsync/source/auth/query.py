"""`api.auth.type: query`: the key is a parameter of every URL, which is therefore never shown."""

from __future__ import annotations

from msgspec.structs import replace

from carsync.source.auth.base import Authenticator
from carsync.source.request import ApiRequest


class QueryAuthenticator(Authenticator):
    """Sends the key as the parameter `api.auth.name`; nothing where there is no key."""

    hint = "check API_KEY (api.auth.key) and the parameter's name (api.auth.name)"

    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` with the key's parameter."""
        if self._auth.key is None:
            return request
        key = {self._auth.sent_name: self._auth.key.reveal()}
        return replace(request, params={**request.params, **key})
