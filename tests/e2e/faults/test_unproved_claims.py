"""What a feed says of itself is tried before anything rests on it: totals, ends, pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_api import Reply
from tests.support.small_feed import Meta, SmallFeed, SmallSite, car

NO_BY_ID = {"api.record_path": None}
PROOFS = [pytest.param(False, id="no by-id"), pytest.param(True, id="404 to every id")]


@pytest.fixture
def feed() -> Iterator[SmallFeed]:
    with SmallFeed() as feed:
        yield feed


@pytest.fixture
def site(feed: SmallFeed, dsn: str, tmp_path: Path) -> Iterator[SmallSite]:
    site = SmallSite(feed, dsn, tmp_path)
    yield site
    site.close()


def _without_path(site: SmallSite, has_path: bool) -> None:
    if not has_path:
        site.settings["api.record_path"] = None


# ── totals ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("has_path", PROOFS)
@pytest.mark.parametrize("meta", [{"total": 10}, {"total": 10, "last_page": 10}, {"last_page": 10}])
def test_a_capped_total_hides_no_car(
    feed: SmallFeed, site: SmallSite, meta: Meta, has_path: bool
) -> None:
    _without_path(site, has_path)
    site.sync()
    feed.meta = lambda page: meta
    site.sync()
    assert site.living() == set(range(1, 12))


@pytest.mark.parametrize("meta", [{"total": 1}, {"total": 1, "last_page": None}])
def test_a_total_that_is_only_the_pages_is_not_the_feeds(
    feed: SmallFeed, site: SmallSite, meta: Meta
) -> None:
    feed.ids = [1, 2]
    feed.meta = lambda page: meta
    site.sync()
    assert site.living() == {1, 2}


def test_a_last_page_counted_from_0_loses_no_page(feed: SmallFeed, site: SmallSite) -> None:
    feed.meta = lambda page: {"last_page": len(feed.ids) - 1}
    site.sync()
    assert site.living() == set(feed.ids)


@pytest.mark.parametrize("total", [True, False])
def test_a_page_size_that_the_api_lowers_loses_no_page(
    feed: SmallFeed, site: SmallSite, total: bool
) -> None:
    site.variables["PAGE_SIZE"] = "4"
    feed.meta = lambda page: {"total": len(feed.ids)} if total else None
    site.sync()
    assert site.living() == set(feed.ids)


def test_pages_that_count_from_0_and_are_read_from_1_are_told(
    feed: SmallFeed, site: SmallSite
) -> None:
    """A Spring Slice: no total, and page 0 is the first one."""
    feed.show = lambda page: Reply(body={"data": feed.records(page + 1)})
    ended = site.sync(expect=2)
    assert "api.pagination.first_page" in ended.said
    assert site.rows() == []


# ── ends ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("has_totals", [False, True])
def test_a_feed_cut_at_the_same_depth_every_night_lets_nobody_go(
    feed: SmallFeed, site: SmallSite, has_totals: bool
) -> None:
    """The tail is missing in each run alike, so that a second absence proves nothing."""
    site.settings["api.record_path"] = None
    feed.size, feed.ids = 500, list(range(1, 2501))
    site.variables["PAGE_SIZE"] = "500"
    if not has_totals:
        feed.meta = lambda page: None
    site.sync()
    cut = {"total": 2000, "last_page": 4} if has_totals else None
    feed.show = lambda page: Reply(
        body={"data": feed.records(page) if page < 5 else [], "meta": cut}
    )
    for _ in range(3):
        ended = site.sync(expect=6, sync__deactivate__max_share=1)
    assert site.inactive() == set()
    assert "cut" in ended.said


def test_one_car_listed_twice_holds_nobody_where_by_id_tells(
    feed: SmallFeed, site: SmallSite
) -> None:
    feed.size, feed.ids = 50, list(range(1, 200))
    site.variables["PAGE_SIZE"] = "50"
    feed.tell = feed.honest_record
    site.sync()
    feed.ids = [*range(1, 199), 7]  # 199 is sold
    site.sync()
    assert site.inactive() == {"199"}


def test_a_total_one_too_high_is_no_failure(feed: SmallFeed, site: SmallSite) -> None:
    feed.ids = [1]
    feed.meta = lambda page: {"total": 2}
    site.sync(acceptance__max_error_rate=1)  # the empty page is asked for again
    assert site.living() == {1}


@pytest.mark.parametrize("is_gone", [True, False])
def test_what_the_cap_holds_is_asked_for_by_id(
    feed: SmallFeed, site: SmallSite, is_gone: bool
) -> None:
    """Of the cars over the cap those that live are not shown for approval."""
    feed.tell = feed.honest_record
    site.sync()
    listed = [1, 2, 3, 4, 5, 6]
    if is_gone:
        feed.ids = listed
    else:
        feed.show = lambda page: Reply(
            body={
                "data": [car(i) for i in listed[page - 1 : page]],
                "meta": {"total": len(listed), "last_page": len(listed)},
            }
        )
    ended = site.sync(expect=6 if is_gone else 0)
    assert ended.counts.get("held", 0) == (5 if is_gone else 0)
    assert site.living() == set(range(1, 12))
