"""`api.auth.type: oauth2`: a token from the token endpoint (RFC 6749), by requests-oauthlib.

The library writes the request and reads the answer. Our client sends it, with its deadlines
and caps, to `api.auth.token_url` alone; no redirect is followed.
"""

from __future__ import annotations

import io
import logging
import os
from typing import Any
from urllib.parse import urlencode

import msgspec
import oauthlib.oauth2
import requests
import requests.adapters
import requests_oauthlib

from carsync.config.api_sections import Api
from carsync.errors import FailureKind, PageError
from carsync.redaction import Secret
from carsync.source.auth.base import Sender, TokenAccess
from carsync.source.auth.login import read_seconds
from carsync.source.auth.token_store import Token
from carsync.source.auth.tokens import TokenAuthenticator

for _name in ("requests_oauthlib", "oauthlib"):  # at DEBUG they write secrets and tokens
    logging.getLogger(_name).setLevel(logging.WARNING)

_NO_TOKEN = "the answer of the token endpoint holds no token (RFC 6749, section 5.1)"
_CLIENTS = {
    "client_credentials": oauthlib.oauth2.BackendApplicationClient,
    "password": oauthlib.oauth2.LegacyApplicationClient,
    "refresh_token": oauthlib.oauth2.WebApplicationClient,
}


class OAuth2Authenticator(TokenAuthenticator):
    """Gets its tokens by `api.auth.grant`; each renewal is another grant of the same kind."""

    def __init__(self, api: Api, access: TokenAccess | None = None) -> None:
        super().__init__(api, access)
        keys = {
            "client_credentials": "scope",
            "password": "scope, username, password",
            "refresh_token": "refresh_token (it may be used up)",
        }[api.auth.grant]
        self.hint = f"check api.auth: token_url, client_id, client_secret, client_auth, {keys}"
        if (api.auth.token_url or "").startswith("http:"):
            # oauthlib refuses plain http, which is the user's to decide; `carsync check` warns.
            os.environ.setdefault("OAUTHLIB_INSECURE_TRANSPORT", "1")

    def fetch(self, refresh: Secret | None) -> Token:
        """Ask the token endpoint once."""
        try:
            found = self._ask(refresh or self._auth.refresh_token)
        except (oauthlib.oauth2.OAuth2Error, requests.RequestException, ValueError) as exc:
            detail = getattr(exc, "description", "") or ""
            raise PageError(FailureKind.AUTH, _NO_TOKEN, detail=detail) from None
        if not isinstance(found["access_token"], str) or not found["access_token"]:
            raise PageError(FailureKind.AUTH, _NO_TOKEN)
        renewed = found.get("refresh_token") if self._auth.grant == "refresh_token" else None
        return Token(
            Secret(found["access_token"]),
            read_seconds(found.get("expires_in")),
            Secret(str(renewed)) if renewed else None,
        )

    def _ask(self, refresh: Secret | None) -> dict[str, Any]:
        auth = self._auth
        fields: dict[str, Any] = {name: value.reveal() for name, value in auth.body.items()}
        if auth.scope is not None and auth.grant != "refresh_token":
            fields["scope"] = auth.scope
        url, client_id = auth.token_url or "", auth.client_id or ""
        secret = auth.client_secret.reveal() if auth.client_secret else ""
        basic = None
        if client_id and auth.client_auth == "header":
            basic = requests.auth.HTTPBasicAuth(client_id, secret)
        elif client_id:
            fields |= {"client_id": client_id, **({"client_secret": secret} if secret else {})}
        with requests_oauthlib.OAuth2Session(client=_CLIENTS[auth.grant](client_id)) as session:
            session.trust_env = False
            session.mount("https://", _Transport(self._access.sender))
            session.mount("http://", _Transport(self._access.sender))
            if auth.grant == "refresh_token":
                token = refresh.reveal() if refresh else ""
                body = "" if auth.scope is None else urlencode({"scope": auth.scope})
                found = session.refresh_token(url, token, body, auth=basic, **fields)
                return dict(found)
            if auth.grant == "password":
                fields["username"] = auth.username.reveal() if auth.username else ""
                fields["password"] = auth.password.reveal() if auth.password else ""
            is_in_body = "client_id" in fields
            fields.pop("client_id", None)
            return dict(
                session.fetch_token(url, auth=basic, include_client_id=is_in_body, **fields)
            )


class _Transport(requests.adapters.BaseAdapter):
    """Lets the library's session send by our client, which raises `PageError` for no 200."""

    def __init__(self, sender: Sender) -> None:
        super().__init__()
        self._sender = sender

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Send a request of the library, and return the answer as the library reads it."""
        request.headers["Accept-Encoding"] = "gzip"
        answer = self._sender.exchange(request)
        response = requests.Response()
        response.status_code, response.encoding = 200, "utf-8"
        response.url, response.request = request.url or "", request
        response.raw = io.BytesIO(_legible(answer.body))
        return response

    def close(self) -> None:
        """Leave the connections open: they are our client's."""


def _legible(body: bytes) -> bytes:
    """Return an answer that the library can read: a life that is no number is not told.

    Raises `PageError` for one that is neither an object of JSON nor, as of old servers, a form.
    """
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        if b"=" not in body or body.lstrip()[:1] in {b"<", b"[", b"{"}:
            problem = "the answer of the token endpoint is not JSON"
            raise PageError(FailureKind.BAD_PAGE, problem) from None
        return body
    if not isinstance(found, dict):
        raise PageError(FailureKind.BAD_PAGE, "the answer of the token endpoint is no JSON object")
    life_s = read_seconds(found.pop("expires_in", None))
    return msgspec.json.encode(found if life_s is None else found | {"expires_in": life_s})
