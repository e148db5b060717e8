"""The login: what is sent, and where the answer holds the token and its end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from carsync.config.api_sections import Api, Auth
from carsync.errors import FailureKind, PageError
from carsync.redaction import Hidden, Secret
from carsync.source.auth.base import TokenAccess
from carsync.source.auth.login import LoginAuthenticator
from carsync.source.auth.token_store import Token, TokenStore
from carsync.source.request import Answer, ApiRequest
from tests.support.fake_clock import FakeClock


class Sender:
    """Answers each request with `body`, and keeps what was sent."""

    def __init__(self, body: bytes, date: str = "") -> None:
        self._answer = Answer(body, 0, 0.0, 0.0, date)
        self.sent: list[ApiRequest] = []

    def send(self, request: ApiRequest) -> Answer:
        self.sent.append(request)
        return self._answer

    def exchange(self, prepared: Any) -> Answer:
        raise AssertionError("a login is a request to the API")


def log_in(answer: Any, date: str = "", **auth: Any) -> tuple[Token, ApiRequest]:
    body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
    sender = Sender(body, date)
    keys = {"username": Secret("me"), "password": Secret("hush"), "path": "/login", **auth}
    api = Api(auth=Auth(type="login", **keys))
    token = LoginAuthenticator(api, TokenAccess(sender, TokenStore(FakeClock()))).fetch(None)
    return token, sender.sent[0]


def test_user_and_password_are_sent_where_there_is_no_body() -> None:
    token, request = log_in({"access_token": "t-1"})
    assert (token.text.reveal(), token.life_s) == ("t-1", None)
    assert request.path == "/login"
    assert msgspec.json.decode(request.body or b"") == {"username": "me", "password": "hush"}


def test_the_body_has_dotted_places_and_the_answer_dotted_paths() -> None:
    body = {"auth.key": Hidden("k"), "auth.secret": Hidden("s")}
    answer = {"data": {"jwt": "t-1", "ttl": "900"}}
    token, request = log_in(answer, body=body, token="data.jwt", expires_in="data.ttl")
    assert msgspec.json.decode(request.body or b"") == {"auth": {"key": "k", "secret": "s"}}
    assert (token.text.reveal(), token.life_s) == ("t-1", 900)


@pytest.mark.parametrize("at", [1_700_000_900, "1700000900000", "2023-11-14T22:28:20Z"])
def test_a_time_of_expiry_is_compared_with_the_server_s_own_clock(at: Any) -> None:
    date = "Tue, 14 Nov 2023 22:13:20 GMT"
    token, _ = log_in({"access_token": "t-1", "until": at}, date, expires_at="until")
    assert token.life_s == 900


@pytest.mark.parametrize(
    ("answer", "auth", "key"),
    [
        ({"token": "t-1"}, {}, "api.auth.token"),
        ({"access_token": 7}, {}, "api.auth.token"),
        ([], {}, "api.auth.token"),
        ({"access_token": "t-1"}, {"expires_in": "expires_in"}, "api.auth.expires_in"),
        ({"access_token": "t-1", "u": "soon"}, {"expires_at": "u"}, "api.auth.expires_at"),
    ],
)
def test_what_is_not_found_is_named_by_its_key(answer: Any, auth: Any, key: str) -> None:
    with pytest.raises(PageError) as caught:
        log_in(answer, **auth)
    assert caught.value.kind is FailureKind.AUTH
    assert key in caught.value.hint


def test_an_answer_that_is_no_json_may_be_another_one_next_time() -> None:
    with pytest.raises(PageError) as caught:
        log_in(b"<html>We will be back soon</html>")
    assert caught.value.kind is FailureKind.BAD_PAGE
