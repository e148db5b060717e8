"""The Link header, as RFC 8288 writes it."""

from __future__ import annotations

import pytest

from carsync.config.api_sections import Api, Pagination
from carsync.source.pagination.base import load_paginator
from carsync.source.pagination.link_header import find_link


@pytest.mark.parametrize(
    ("header", "link"),
    [
        ('<https://a.example/x?page=2>; rel="next", <https://a.example/x>; rel="first"',
         "https://a.example/x?page=2"),
        ("</x?ids=1,2;3>;rel=next", "/x?ids=1,2;3"),
        ('</a>; title="rel=next"; rel=prev, </b>; rel="prev NEXT"', "/b"),
        ('</a>; rel="prev"', None),
        ("</a>; rel=nextish", None),
        ("next", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_link_with_the_relation_is_found(header: str, link: str | None) -> None:
    assert find_link(header, "next") == link


def test_the_next_page_is_read_from_the_header() -> None:
    keys = Pagination(type="link_header", records="", total_records="header:X-Total")
    paginator = load_paginator(Api(base_url="https://a.example", pagination=keys))
    assert paginator.paths == ()
    info = paginator.read((), {"link": '</cars?page=2>; rel="next"', "x-total": "40"})
    assert (info.next_token, info.total_records) == ("/cars?page=2", 40)
    assert paginator.read((), {}).next_token is None
