"""How the simulated API tells who asks: one way a kind of `api.auth.type`, and its tokens.

header   X-API-Key: KEY                bearer   Authorization: Bearer KEY
basic    user name demo, password KEY  query    ?api_key=KEY
oauth2   POST {prefix}/oauth/token     login    POST {prefix}/login
none     everybody is let in

`login` takes {"username": "demo", "password": KEY}. Of `oauth2` the client is `demo` with the
secret KEY, the user `demo` with the password KEY, and KEY is the first refresh token; each
refresh token is good for one use, and brings the next one.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal, get_args
from urllib.parse import quote

DoorKind = Literal["header", "bearer", "basic", "query", "oauth2", "login", "none"]
DOOR_KINDS: tuple[str, ...] = get_args(DoorKind)
USER = "demo"
_TOKEN_PATHS = {"oauth2": "/oauth/token", "login": "/login"}


class Door:
    """Lets in whoever shows the `key`, or a token that was given for it and lives `life_s`."""

    def __init__(self, kind: DoorKind, key: str | None, life_s: float | None) -> None:
        self._kind: DoorKind = "none" if key is None else kind
        self._key = key or ""
        self._life_s = life_s
        self._refresh = self._key
        self._tokens: dict[str, float | None] = {}  # and when each expires
        self.token_path = _TOKEN_PATHS.get(self._kind)
        """Where tokens are given, below the prefix."""
        self.echo = f"?api_key={quote(self._key)}" if self._kind == "query" else ""
        """What links to a next page repeat of the request, as those of many APIs do."""
        self.issued: list[str] = []
        """All tokens that were given, in order."""

    def revoke(self) -> None:
        """Let no token be valid any more."""
        self._tokens.clear()

    def refuse(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """Return why a request is not let in, None where it is."""
        authorization = headers.get("authorization", "")
        match self._kind:
            case "none":
                shown = True
            case "header":
                shown = headers.get("x-api-key") == self._key
            case "query":
                shown = query.get("api_key") == self._key
            case "basic":
                shown = authorization == _basic(USER, self._key)
            case "bearer":
                shown = authorization == f"Bearer {self._key}"
            case _:
                shown = self._is_valid(authorization.removeprefix("Bearer "))
        return None if shown else f"missing or wrong {_SHOWN.get(self._kind, 'access token')}"

    def give(self, headers: Mapping[str, str], fields: Mapping[str, str]) -> tuple[int, Any]:
        """Answer a request for a token: its status and its body."""
        if self._kind == "login":
            if fields.get("username") != USER or fields.get("password") != self._key:
                return 401, {"message": "wrong user name or password"}
            return 200, self._token()
        grant = fields.get("grant_type")
        client = (fields.get("client_id"), fields.get("client_secret"))
        is_client = client == (USER, self._key) or headers.get("authorization") == _basic(
            USER, self._key
        )
        if grant == "client_credentials":
            return (200, self._token()) if is_client else (401, {"error": "invalid_client"})
        if grant == "password":
            user = (fields.get("username"), fields.get("password"))
            is_user = user == (USER, self._key)
            return (200, self._token()) if is_user else (400, {"error": "invalid_grant"})
        if grant == "refresh_token":
            if fields.get("refresh_token") != self._refresh:
                return 400, {"error": "invalid_grant", "error_description": "it was used before"}
            self._refresh = f"rt-{secrets.token_hex(12)}"
            return 200, {**self._token(), "refresh_token": self._refresh}
        return 400, {"error": "unsupported_grant_type"}

    def _token(self) -> dict[str, Any]:
        token = f"at-{len(self.issued) + 1}-{secrets.token_hex(12)}"
        self.issued.append(token)
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        self._tokens[token] = None
        if self._life_s is not None:
            self._tokens[token] = time.monotonic() + self._life_s
            answer |= {"expires_in": self._life_s, "expires_at": time.time() + self._life_s}
        return answer

    def _is_valid(self, token: str) -> bool:
        if token not in self._tokens:
            return False
        end_s = self._tokens[token]
        return end_s is None or time.monotonic() < end_s


_SHOWN = {"header": "X-API-Key", "query": "api_key", "basic": "password"}


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode("ascii")
