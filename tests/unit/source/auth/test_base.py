"""Authentication: the type in the configuration chooses the kind."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from carsync.config.api_sections import Auth
from carsync.source.auth.base import Authenticator, load_authenticator

TYPES = get_args(get_type_hints(Auth)["type"])


@pytest.mark.parametrize("name", TYPES)
def test_every_type_of_the_configuration_has_its_module(name: Any) -> None:
    loaded = load_authenticator(Auth(type=name))
    assert isinstance(loaded, Authenticator)
    assert type(loaded).__module__ == f"carsync.source.auth.{name}"
