"""User name and password (RFC 7617)."""

from __future__ import annotations

from carsync.config.api_sections import Api, Auth
from carsync.redaction import Secret, clean
from carsync.source.auth.basic import BasicAuthenticator
from carsync.source.request import ApiRequest


def header(**auth: Secret) -> str:
    api = Api(auth=Auth(type="basic", **auth))  # type: ignore[arg-type]
    return BasicAuthenticator(api).authorize(ApiRequest("/")).headers["Authorization"]


def test_user_and_password_are_encoded_as_utf_8() -> None:
    # The example of RFC 7617, section 2.1.
    assert header(username=Secret("test"), password=Secret("123£")) == "Basic dGVzdDoxMjPCow=="


def test_a_missing_password_is_an_empty_one() -> None:
    assert header(username=Secret("sk-7f3a")) == "Basic c2stN2YzYTo="


def test_what_is_sent_is_a_secret_too() -> None:
    sent = header(username=Secret("Aladdin"), password=Secret("open sesame"))
    assert clean(f"you sent {sent}") == "you sent Basic ***"
