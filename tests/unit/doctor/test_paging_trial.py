"""Every paging that servers have is found by its first page and at most two requests more."""

from __future__ import annotations

import pytest

from carsync.config.api_sections import Api
from carsync.doctor.paging_guesses import Told
from carsync.doctor.paging_trial import MOST_TRIALS, Found, find_paging, read_answer
from tests.support import feed_shapes as shapes
from tests.support.feed_shapes import ORIGIN, TOTAL, Shape, ShapedFeed

API = Api(base_url=ORIGIN)

EXPECTED: list[tuple[Shape, str, str | None, int]] = [
    # shape, kind and parameter, parameter of the size, size
    (shapes.drf_page, "page page", None, 20),
    (shapes.drf_limit_offset, "offset offset", "limit", 100),
    (shapes.drf_cursor, "next_link next", None, 20),
    (shapes.laravel, "page page", "per_page", 100),
    (shapes.laravel_resource_simple, "page page", "per_page", 50),
    (shapes.laravel_cursor, "cursor cursor", "per_page", 100),
    (shapes.fastapi_page, "page page", "size", 100),
    (shapes.fastapi_limit_offset, "offset offset", "limit", 100),
    (shapes.fastapi_cursor, "cursor cursor", "size", 100),
    (shapes.json_server, "none", None, TOTAL),
    (shapes.wordpress, "page page", "per_page", 100),
    (shapes.github, "page page", "per_page", 100),
    (shapes.shopify, "link_header", "limit", 100),
    (shapes.datasette, "cursor _next", None, 100),
    (shapes.json_api, "page page[number]", "page[size]", 100),
    (shapes.odata_skiptoken, "next_link @odata.nextLink", None, 40),
    (shapes.odata_skip, "offset $skip", None, 50),
    (shapes.spring_page, "page page", "size", 100),
    (shapes.spring_slice, "page page", "size", 100),
    (shapes.spring_hal, "page page", "size", 100),
    (shapes.flask_smorest, "page page", "page_size", 100),
    (shapes.flask_restx, "page page", "per_page", 50),
    (shapes.elasticsearch, "offset from", "size", 100),
    (shapes.market_check, "offset start", "rows", 50),
    (shapes.apibara, "cursor cursor", None, 20),
    (shapes.ebay, "offset offset", "limit", 100),
    (shapes.feathers, "offset $skip", "$limit", 50),
    (shapes.finn, "page page", None, 50),
    (shapes.counted_from_zero, "page page", "per_page", 100),
    (shapes.everything, "none", None, TOTAL),
    (shapes.slack, "cursor cursor", None, 100),
    (shapes.google, "cursor pageToken", "pageSize", 100),
]


def find(feed: ShapedFeed, told: Told = Told(), **query: str) -> Found:  # noqa: B008
    answer = feed.first(**query)
    page = read_answer(answer.body, answer.headers)
    assert page is not None
    return find_paging(page, API, told, feed.ask, None)


def shown(found: Found) -> str:
    keys = found.pagination
    value = {
        "page": keys.page_param,
        "offset": keys.offset_param,
        "cursor": keys.cursor_param,
        "next_link": keys.next,
    }.get(keys.type)
    return " ".join(filter(None, (keys.type, value)))


@pytest.mark.parametrize(
    ("shape", "kind", "size_param", "size"), EXPECTED, ids=[e[0].__name__ for e in EXPECTED]
)
def test_the_paging_is_found_and_reads_every_record_once(
    shape: Shape, kind: str, size_param: str | None, size: int
) -> None:
    feed = ShapedFeed(shape)
    found = find(feed)
    assert len(feed.asked) <= 1 + MOST_TRIALS
    assert shown(found) == kind, found
    assert (found.pagination.size_param, found.pagination.page_size) == (size_param, size), found
    assert found.is_proved is (kind != "none")
    api = Api(base_url=ORIGIN, pagination=found.pagination)
    records = list(feed.read_all(api))
    assert len(records) == TOTAL
    assert len({str(record) for record in records}) == TOTAL


@pytest.mark.parametrize("shape", [row[0] for row in EXPECTED if row[1] != "none"])
@pytest.mark.parametrize("total", [7, 60])
def test_a_small_feed_is_read_whole_too(shape: Shape, total: int) -> None:
    feed = ShapedFeed(shape, total)
    found = find(feed)
    assert len(feed.asked) <= 2 + MOST_TRIALS, "one more where nothing tells the first number"
    api = Api(base_url=ORIGIN, pagination=found.pagination)
    assert len({str(record) for record in feed.read_all(api)}) == total, found
