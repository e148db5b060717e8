"""`api.auth.type: login`: one call with a user's secrets gives a token."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from carsync.errors import FailureKind, PageError
from carsync.redaction import Secret
from carsync.source.auth.token_store import Token
from carsync.source.auth.tokens import TokenAuthenticator
from carsync.source.pagination.placing import put, value_at
from carsync.source.request import Answer, ApiRequest
from carsync.source.retry_after import epoch_s, parse_date, parse_iso_date

_LONGEST_S = 10 * 365 * 86400.0


class LoginAuthenticator(TokenAuthenticator):
    """Sends `api.auth.body` as JSON to `api.auth.path`, and finds the token in the answer.

    Without a body it sends `username` and `password`.
    """

    hint = "check api.auth.path, body and token: POST {base_url}{path} must give a token"

    def fetch(self, refresh: Secret | None) -> Token:
        """Log in once and return the token."""
        auth, body = self._auth, dict[str, Any]()
        user = {"username": auth.username or Secret(), "password": auth.password or Secret()}
        for place, value in (auth.body or user).items():
            put(body, place, value.reveal())
        header = {"Content-Type": "application/json"}
        request = ApiRequest(auth.path or "", {}, header, msgspec.json.encode(body))
        answer = self._access.sender.send(request)
        try:
            found = msgspec.json.decode(answer.body)
        except (ValueError, RecursionError):
            problem = "the answer to the login is not JSON"
            raise PageError(FailureKind.BAD_PAGE, problem) from None
        text = value_at(found, auth.token)
        if not isinstance(text, str) or not text:
            raise _lacks("token", auth.token)
        return Token(Secret(text), self._life_s(found, answer))

    def _life_s(self, found: Any, answer: Answer) -> float | None:
        auth = self._auth
        if auth.expires_in is not None:
            life_s = read_seconds(value_at(found, auth.expires_in))
            if life_s is None:
                raise _lacks("expires_in", auth.expires_in)
            return life_s
        if auth.expires_at is None:
            return None
        end_s = read_time(value_at(found, auth.expires_at))
        if end_s is None:
            raise _lacks("expires_at", auth.expires_at)
        sent_s = parse_date(answer.date)  # the server's clock, which made that time, too
        return min(end_s - (time.time() if sent_s is None else sent_s), _LONGEST_S)


def read_seconds(value: Any) -> float | None:
    """Return a number of seconds, which may be a text; None for anything else.

    >>> read_seconds("3600"), read_seconds(900), read_seconds(True), read_seconds("soon")
    (3600.0, 900.0, None, None)
    """
    if isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(seconds, _LONGEST_S) if seconds == seconds else None


def read_time(value: Any) -> float | None:
    """Return a time, epoch or ISO 8601, as seconds since 1970; one without a zone is UTC.

    >>> read_time(1700000000), read_time("1700000000000"), read_time("2023-11-14T22:13:20Z")
    (1700000000.0, 1700000000.0, 1700000000.0)
    >>> read_time("soon") is None
    True
    """
    if isinstance(value, bool):
        return None
    try:
        return epoch_s(float(value))
    except (TypeError, ValueError, OverflowError):
        return parse_iso_date(value) if isinstance(value, str) else None


def _lacks(key: str, path: str) -> PageError:
    return PageError(
        FailureKind.AUTH,
        f"the answer to the login has nothing usable at {path!r}",
        hint=f"set api.auth.{key} to the dotted path of it",
    )
