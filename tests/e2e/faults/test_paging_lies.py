"""Feeds that are read page by page and have no end, or lead elsewhere; and offsets with gaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.fake_api import Arrival, Reply, ScriptedApi
from tests.support.site import PAGE_SIZE, Site
from tests.support.small_feed import car

pytestmark = pytest.mark.quick

PAGES = 4
Next = Callable[[int], str | None]


def records(page: int) -> list[dict[str, Any]]:
    return [car(i) for i in range((page - 1) * PAGE_SIZE, page * PAGE_SIZE)]


def serve(
    site: Site, api: ScriptedApi, name_next: Next, *, last: int = PAGES, beyond: str = "empty"
) -> None:
    """Serve pages 1 to `last` by cursor; behind them an empty page, or the last one again."""

    def answer(arrival: Arrival) -> Reply:
        api.arrivals.append(arrival)
        page = int(arrival.query.get("cursor", "1"))
        found = records(min(page, last)) if page <= last or beyond == "again" else []
        return Reply(body={"data": found, "meta": {"next_cursor": name_next(page)}})

    api.answer = answer  # type: ignore[method-assign]
    site.settings.update({"api.pagination.type": "cursor", "api.record": None})


def honest(page: int) -> str | None:
    return str(page + 1) if page < PAGES else None


@pytest.mark.parametrize(
    ("name_next", "words"),
    [
        (lambda page: str(min(page + 1, 3)), "page 3 names itself as the next one"),
        (lambda page: str(page + 1 if page < PAGES else 2), "page 4 names page 2 as the next one"),
    ],
)
def test_a_circle_is_named_and_nobody_goes(
    scripted_site: Site, scripted_api: ScriptedApi, name_next: Next, words: str
) -> None:
    serve(scripted_site, scripted_api, honest)
    scripted_site.sync()
    serve(scripted_site, scripted_api, name_next)
    ended = scripted_site.sync(expect=6)
    assert words in ended.said
    assert "deactivated" not in ended.counts
    assert len(scripted_site.active()) == PAGES * PAGE_SIZE


@pytest.mark.parametrize(("beyond", "asked"), [("again", PAGES + 2), ("empty", PAGES + 10)])
def test_a_next_page_for_ever_ends(
    scripted_site: Site, scripted_api: ScriptedApi, beyond: str, asked: int
) -> None:
    serve(scripted_site, scripted_api, lambda page: str(page + 1), beyond=beyond)
    ended = scripted_site.sync()
    assert ended.counts["inserted"] == PAGES * PAGE_SIZE
    assert len(scripted_api.arrivals) <= asked
    repeats = "lists the same records as page 4: the feed ends there" in ended.said
    assert repeats is (beyond == "again")


def test_a_parameter_that_the_api_does_not_know_is_named(
    scripted_site: Site, scripted_api: ScriptedApi
) -> None:
    serve(scripted_site, scripted_api, lambda page: str(page + 1))
    ended = scripted_site.sync(expect=2, api__pagination__cursor_param="after")
    assert "check that api.pagination.cursor_param (after)" in ended.said


def test_a_wrong_path_to_the_next_page_is_not_taken_for_the_end(
    scripted_site: Site, scripted_api: ScriptedApi
) -> None:
    serve(scripted_site, scripted_api, honest)
    scripted_site.sync()
    scripted_site.settings["api.pagination.next"] = "meta.nxt"
    ended = scripted_site.sync(expect=6)
    assert "the first page is full, and names no next one: check api.pagination.next" in ended.said
    assert len(scripted_site.active()) == PAGES * PAGE_SIZE


def test_a_link_to_another_origin_gets_no_request(
    scripted_site: Site, scripted_api: ScriptedApi
) -> None:
    with ScriptedApi() as elsewhere:
        for page, link in ((None, "?page=2"), (2, f"{elsewhere.base_url}/cars?page=3")):
            body = {"data": records(page or 1), "links": {"next": link}}
            scripted_api.on("/cars", Reply(body=body), page=page)
        scripted_site.settings["api.pagination.type"] = "next_link"
        ended = scripted_site.sync(expect=5)
        assert "leads to another origin than api.base_url" in ended.said
        assert "end_status" not in ended.said, "no error is the end where pages are named"
        assert elsewhere.arrivals == []


def test_offsets_whose_pages_are_smaller_than_asked_for_end_the_run(
    scripted_site: Site, scripted_api: ScriptedApi
) -> None:
    def answer(arrival: Arrival) -> Reply:
        start = int(arrival.query["offset"])
        listed = [record for page in range(1, 9) for record in records(page)]
        return Reply(body={"data": listed[start : start + PAGE_SIZE // 2]})

    scripted_api.answer = answer  # type: ignore[method-assign]
    ended = scripted_site.sync(expect=2, api__pagination__type="offset")
    assert "serves pages of 10 records instead of 20" in ended.said
    assert "api.pagination.page_size: 10" in ended.said
