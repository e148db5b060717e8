"""Access tokens over real sockets: what is sent to whom, and what a refusal leads to."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from carsync.config.api_sections import Api, Auth
from carsync.config.sections import Limits
from carsync.errors import FailureKind, PageError
from carsync.redaction import Hidden, Secret
from carsync.source.auth.base import Readiness
from carsync.source.auth.token_store import Token, TokenStore
from carsync.source.client import ApiClient
from carsync.source.single_page import Pacer, ask_page
from tests.support.fake_api import Arrival, Reply, ScriptedApi, page_reply
from tests.support.fake_clock import FakeClock

HUSH = "hush-7f3a-91bc"
LOGIN: dict[str, Any] = {
    "type": "login",
    "path": "/login",
    "username": Secret("me"),
    "password": Secret(HUSH),
}
CLIENT: dict[str, Any] = {"type": "oauth2", "client_id": "cid", "client_secret": Secret(HUSH)}
USER: dict[str, Any] = {"username": Secret("me"), "password": Secret(HUSH)}


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as api:
        api.on("/cars", page_reply([{"id": 1}]))
        yield api


@pytest.fixture
def issuer() -> Iterator[ScriptedApi]:
    """Another origin, which gives the tokens `t-1`, `t-2`, `t-3`."""
    with ScriptedApi() as issuer:
        issuer.on("/token", *(given(f"t-{n}", expires_in=3600) for n in (1, 2, 3)))
        yield issuer


def given(token: str, **more: Any) -> Reply:
    return Reply(body={"access_token": token, "token_type": "Bearer", **more})


def section(api: ScriptedApi, issuer: ScriptedApi | None = None, **auth: Any) -> Api:
    if issuer is not None:
        auth = {"token_url": f"{issuer.base_url}/token", **auth}
    return Api(base_url=api.base_url, auth=Auth(**auth), headers={"X-Client": Hidden("kr-9")})


def pacer() -> Pacer:
    return Pacer(Limits(requests_per_second=0))


def shown(arrivals: list[Arrival]) -> list[str]:
    return [arrival.headers.get("authorization", "") for arrival in arrivals]


def form(arrival: Arrival) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(arrival.body.decode()).items()}


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("auth", "sent", "header"),
    [
        ({}, {"grant_type": "client_credentials"}, basic(f"cid:{HUSH}")),
        (
            {"scope": "read", "body": {"audience": Hidden("cars")}},
            {"grant_type": "client_credentials", "scope": "read", "audience": "cars"},
            basic(f"cid:{HUSH}"),
        ),
        (
            {"client_auth": "body"},
            {"grant_type": "client_credentials", "client_id": "cid", "client_secret": HUSH},
            "",
        ),
        (
            {"grant": "password", **USER},
            {"grant_type": "password", "username": "me", "password": HUSH},
            basic(f"cid:{HUSH}"),
        ),
        (
            {"grant": "refresh_token", "refresh_token": Secret("r-0"), "client_auth": "body"},
            {
                "grant_type": "refresh_token",
                "refresh_token": "r-0",
                "client_id": "cid",
                "client_secret": HUSH,
            },
            "",
        ),
        (
            {"grant": "refresh_token", "refresh_token": Secret("r-0"), "client_id": None}
            | {"scope": "read cars"},
            {"grant_type": "refresh_token", "refresh_token": "r-0", "scope": "read cars"},
            "",
        ),
    ],
)
def test_each_grant_sends_what_rfc_6749_says_and_to_the_token_url_alone(
    api: ScriptedApi, issuer: ScriptedApi, auth: Any, sent: Any, header: str
) -> None:
    asked = pacer()
    ask_page(section(api, issuer, **{**CLIENT, **auth}), pacer=asked)
    (request,) = issuer.arrivals
    assert form(request) == sent
    assert request.headers.get("authorization", "") == header
    assert "x-client" not in request.headers, "the headers of the API are for the API"
    assert shown(api.arrivals) == ["Bearer t-1"]
    assert api.arrivals[0].headers["x-client"] == "kr-9"
    assert HUSH not in str(api.arrivals)
    assert asked.requests == 2


def test_a_narrower_scope_than_was_asked_for_is_no_error(
    api: ScriptedApi, issuer: ScriptedApi
) -> None:
    issuer.on("/token", given("t-1", scope="read", expires_in="3600", token_type="bearer"))
    ask_page(section(api, issuer, **CLIENT, scope="read write"))
    assert shown(api.arrivals) == ["Bearer t-1"]


def test_headers_of_the_configuration_win_over_ours(api: ScriptedApi) -> None:
    headers = {"accept": Hidden("application/vnd.api+json"), "User-Agent": Hidden("shop/1")}
    keys = Auth(key=Secret(HUSH))
    ask_page(Api(base_url=api.base_url, auth=keys, headers=headers))
    sent = api.arrivals[0].headers
    assert (sent["accept"], sent["user-agent"]) == ("application/vnd.api+json", "shop/1")
    assert (sent["accept-encoding"], sent["x-api-key"]) == ("gzip", HUSH)


def test_a_leave_to_send_is_used_for_the_token_that_expired_while_it_was_waited_for(
    api: ScriptedApi, issuer: ScriptedApi
) -> None:
    clock = FakeClock()
    store = TokenStore(clock, Token(Secret("t-0"), 3600))
    client = ApiClient(section(api, issuer, **CLIENT), connections=1, tokens=store)
    asked = client.authenticator
    assert (asked.wait_s(), asked.ready()) == (0, Readiness.READY)
    store.refuse(1)
    assert store.take().renews, "another thread has the turn, and waits for its own leave"
    asked.refused(again=False)
    assert asked.ready() is Readiness.USED
    assert asked.ready() is Readiness.READY
    client.get_page(1)
    client.close()
    assert shown(api.arrivals) == ["Bearer t-1"]
    assert not store.begin(1, 60)


def test_one_token_serves_the_requests_of_a_command(api: ScriptedApi, issuer: ScriptedApi) -> None:
    asked = pacer()
    for _ in range(3):
        ask_page(section(api, issuer, **CLIENT), pacer=asked)
    assert (len(issuer.arrivals), asked.requests) == (1, 4)


def test_a_token_that_is_refused_is_renewed_once(api: ScriptedApi, issuer: ScriptedApi) -> None:
    api.on("/cars", Reply(401, {"message": "expired"}), page_reply([{"id": 1}]))
    asked = pacer()
    ask_page(section(api, issuer, **CLIENT), pacer=asked)
    assert shown(api.arrivals) == ["Bearer t-1", "Bearer t-2"]
    assert (len(issuer.arrivals), asked.requests) == (2, 4)


def test_a_401_with_a_fresh_token_is_final(api: ScriptedApi, issuer: ScriptedApi) -> None:
    api.on("/cars", Reply(401, {"message": "no scope for t-2"}))
    with pytest.raises(PageError) as caught:
        ask_page(section(api, issuer, **CLIENT))
    assert (caught.value.kind, caught.value.status) == (FailureKind.AUTH, 401)
    assert "scope" in caught.value.hint
    assert len(issuer.arrivals) == 2


def test_a_login_is_a_request_to_the_api(api: ScriptedApi) -> None:
    api.on("/login", Reply(body={"access_token": "t-1", "expires_in": 900}))
    ask_page(section(api, **LOGIN, expires_in="expires_in", prefix="JWT"))
    login, page = api.arrivals
    assert login.body == b'{"username":"me","password":"hush-7f3a-91bc"}'
    assert login.headers["content-type"] == "application/json"
    assert login.headers["x-client"] == "kr-9"
    assert "authorization" not in login.headers
    assert page.headers["authorization"] == "JWT t-1"


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(400, {"error": "invalid_client"}), FailureKind.AUTH, "HTTP 400"),
        (
            Reply(400, {"error": "invalid_grant", "error_description": "it was used before"}),
            FailureKind.AUTH,
            "HTTP 400",
        ),
        (Reply(401, {"message": f"{HUSH} is wrong"}), FailureKind.AUTH, "HTTP 401"),
        (Reply(404, {}), FailureKind.AUTH, "HTTP 404"),
        (Reply(302, headers={"Location": "http://127.0.0.1:1/t"}), FailureKind.AUTH, "redirects"),
        (Reply(307, headers={"Location": "/elsewhere"}), FailureKind.AUTH, "redirects"),
        (Reply(503, {}), FailureKind.SERVER, "HTTP 503"),
        (Reply(429, headers={"Retry-After": "7"}), FailureKind.RATE_LIMITED, "slow down"),
        (Reply(body=b"<html>soon</html>"), FailureKind.BAD_PAGE, "not JSON"),
        (Reply(body=b"["), FailureKind.BAD_PAGE, "not JSON"),
        (Reply(body=b"[" * 60_000), FailureKind.BAD_PAGE, "not JSON"),
        (Reply(body=b"NaN"), FailureKind.BAD_PAGE, "not JSON"),
        (Reply(body=b"null"), FailureKind.BAD_PAGE, "no JSON object"),
        (Reply(body=["t-1"]), FailureKind.BAD_PAGE, "no JSON object"),
        (Reply(body={"token": "t-1"}), FailureKind.AUTH, "holds no token"),
        (Reply(body={"access_token": None}), FailureKind.AUTH, "holds no token"),
        (Reply(body={"access_token": ""}), FailureKind.AUTH, "holds no token"),
        (Reply(body={"access_token": {"jwt": "t-1"}}), FailureKind.AUTH, "holds no token"),
        (Reply(body={"error": "invalid_scope"}), FailureKind.AUTH, "holds no token"),
        (given("t-1\r\nX: y"), FailureKind.AUTH, "cannot be sent"),
    ],
)
def test_what_became_of_the_request_for_a_token_is_told_without_the_secret(
    api: ScriptedApi, issuer: ScriptedApi, reply: Reply, kind: FailureKind, words: str
) -> None:
    issuer.on("/token", reply)
    with pytest.raises(PageError) as caught:
        ask_page(section(api, issuer, **CLIENT))
    assert caught.value.kind is kind
    assert caught.value.problem.startswith("no access token: ")
    assert words in caught.value.problem
    assert HUSH not in str(caught.value)
    if kind is FailureKind.AUTH:
        assert "client_secret" in caught.value.hint
    assert len(issuer.arrivals) == 1
    assert api.arrivals == []


@pytest.mark.parametrize("life", [None, "", "soon", [3600], {"s": 1}, True])
def test_a_token_whose_life_cannot_be_read_is_used_until_it_is_refused(
    api: ScriptedApi, issuer: ScriptedApi, life: Any
) -> None:
    issuer.on("/token", given("t-1", expires_in=life))
    ask_page(section(api, issuer, **CLIENT))
    assert shown(api.arrivals) == ["Bearer t-1"]


def test_an_answer_to_a_login_that_is_nested_without_end_is_no_bug(api: ScriptedApi) -> None:
    api.on("/login", Reply(body=b"[" * 60_000))
    with pytest.raises(PageError, match="not JSON"):
        ask_page(section(api, **LOGIN))


def test_neither_secret_nor_token_is_logged(
    api: ScriptedApi, issuer: ScriptedApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ask_page(section(api, issuer, **CLIENT))
    assert HUSH not in caplog.text
    assert "t-1" not in caplog.text
