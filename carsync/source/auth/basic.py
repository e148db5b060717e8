"""`api.auth.type: basic`: user name and password (RFC 7617)."""

from __future__ import annotations

import base64

from carsync.config.api_sections import Api
from carsync.redaction import Secret
from carsync.source.auth.base import Authenticator, TokenAccess
from carsync.source.request import ApiRequest


class BasicAuthenticator(Authenticator):
    """Sends `Authorization: Basic …`; without a password, as some APIs want, an empty one."""

    hint = "check api.auth.username and api.auth.password"

    def __init__(self, api: Api, access: TokenAccess | None = None) -> None:
        super().__init__(api, access)
        auth = api.auth
        name, password = (text.reveal() if text else "" for text in (auth.username, auth.password))
        # Known as a secret, too: an answer may quote the header.
        self._encoded = Secret(base64.b64encode(f"{name}:{password}".encode()).decode("ascii"))

    def authorize(self, request: ApiRequest) -> ApiRequest:
        """Return `request` with the Authorization header."""
        return request.with_header("Authorization", f"Basic {self._encoded.reveal()}")
