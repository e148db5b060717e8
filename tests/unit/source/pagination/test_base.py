"""Paging: the type in the configuration chooses the kind, and totals are read with doubt."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from carsync.config.sections import Api, Pagination
from carsync.errors import FailureKind, PageError
from carsync.source.pagination.base import MAX_TOTAL, Paginator, load_paginator, read_total


@pytest.mark.parametrize("name", get_args(get_type_hints(Pagination)["type"]))
def test_every_type_of_the_configuration_has_its_module(name: Any) -> None:
    assert isinstance(load_paginator(Api(pagination=Pagination(type=name))), Paginator)


@pytest.mark.parametrize(
    ("value", "total"),
    [(0, 0), (7, 7), (MAX_TOTAL, MAX_TOTAL), (-1, None), (7.0, 7), (" 7 ", 7), (True, None),
     (7.5, None), (None, None), ([7], None), ("1,000", None), ("-7", None), ("9" * 400, None)],
)  # fmt: skip
def test_a_total_is_a_whole_number_from_0_on(value: Any, total: int | None) -> None:
    assert read_total(value) == total


def test_a_total_beyond_all_bounds_is_no_page() -> None:
    with pytest.raises(PageError) as caught:
        read_total(MAX_TOTAL + 1)
    assert caught.value.kind is FailureKind.BAD_PAGE
