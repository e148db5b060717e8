"""One answer is the feed."""

from __future__ import annotations

import pytest

from carsync.config.api_sections import Api, Pagination
from carsync.errors import PageError
from carsync.model import PageInfo
from carsync.source.pagination.base import load_paginator
from carsync.source.request import ApiRequest


def test_nothing_of_paging_is_sent_and_no_page_follows() -> None:
    paginator = load_paginator(Api(pagination=Pagination(type="none", has_more="meta.more")))
    assert paginator.request(1, None) == ApiRequest("/cars")
    with pytest.raises(PageError, match="one answer"):
        paginator.request(2, None)
    assert paginator.paths == ("meta.total",)
    assert paginator.read((7,), {}) == PageInfo(None, 7)
