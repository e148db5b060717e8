"""One answer is the feed."""

from __future__ import annotations

from carsync.config.sections import Api, Pagination
from carsync.model import PageInfo
from carsync.source.pagination.base import load_paginator
from carsync.source.request import ApiRequest


def test_nothing_of_paging_is_sent_and_no_page_follows() -> None:
    paginator = load_paginator(Api(pagination=Pagination(type="none", has_more="meta.more")))
    assert paginator.request(1, None) == ApiRequest("/cars")
    assert paginator.paths == ("meta.total",)
    assert paginator.read((7,), {}) == PageInfo(None, 7)
