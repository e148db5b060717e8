"""A kind is the one class of its module that is derived from the base."""

from __future__ import annotations

import pytest

from carsync.source.auth.base import Authenticator
from carsync.source.auth.header import HeaderAuthenticator
from carsync.source.kinds import load_kind
from carsync.source.pagination.base import Paginator
from carsync.source.pagination.page_number import PageNumberPaginator


def test_the_module_s_own_class_is_found_by_name() -> None:
    assert load_kind(Authenticator, "header") is HeaderAuthenticator
    assert load_kind(Paginator, "page_number") is PageNumberPaginator


def test_a_name_without_a_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        load_kind(Authenticator, "mystery")
