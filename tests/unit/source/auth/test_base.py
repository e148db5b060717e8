"""Authentication: the type in the configuration chooses the kind."""

from __future__ import annotations

import time
from typing import Any, get_args, get_type_hints

import pytest

from carsync.config.api_sections import Api, Auth
from carsync.source.auth.base import Authenticator, Readiness, TokenAccess, load_authenticator
from carsync.source.auth.token_store import TokenStore

TYPES = get_args(get_type_hints(Auth)["type"])


@pytest.mark.parametrize("name", TYPES)
def test_every_type_of_the_configuration_has_its_module(name: Any) -> None:
    access = TokenAccess(NoSender(), TokenStore(time.monotonic))
    loaded = load_authenticator(Api(auth=Auth(type=name)), access)
    assert isinstance(loaded, Authenticator)
    assert type(loaded).__module__ == f"carsync.source.auth.{name}"
    assert loaded.hint.startswith("check ")


def test_a_kind_without_tokens_never_waits_and_takes_a_refusal_for_final() -> None:
    loaded = load_authenticator(Api(auth=Auth()))
    assert loaded.wait_s() == 0
    assert loaded.ready() is Readiness.READY
    assert not loaded.refused(again=False)


class NoSender:
    """Sends nothing."""

    def send(self, request: Any) -> Any:
        raise AssertionError("no request is expected")

    exchange = send
