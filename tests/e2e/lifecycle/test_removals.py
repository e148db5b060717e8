"""Tombstones: cars go by `api.removals`, in full and incremental runs, and nobody else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_api import Reply
from tests.support.site import ask
from tests.support.sold_feed import SoldFeed, SoldSite

pytestmark = pytest.mark.quick


@pytest.fixture
def feed() -> Iterator[SoldFeed]:
    with SoldFeed() as feed:
        yield feed


@pytest.fixture
def site(feed: SoldFeed, dsn: str, tmp_path: Path) -> Iterator[SoldSite]:
    site = SoldSite(feed, dsn, tmp_path)
    site.settings["sync.deactivate.max_share"] = 0.5
    yield site
    site.close()


def told(site: SoldSite, number: int) -> tuple[object, ...]:
    query = "SELECT is_active, status, final_bid::int FROM public.cars WHERE id = %s"
    return ask(site.dsn, query, (str(number),))[0]


def test_a_day_with_tombstones(site: SoldSite, feed: SoldFeed) -> None:
    site.check(site.start("sync", "--json"))
    assert feed.asked()[0] == "/archived-lots", "a car that is listed was listed after them"
    feed.sell(3)
    feed.sell(4, bid=None)
    feed.sell(99)
    ended = site.check(site.start("sync", "--json", "--mode", "incremental"))
    assert ended.counts["deactivated"] == ended.counts["removed"] == 2
    assert told(site, 3) == (False, "sold", 9000)
    assert told(site, 4) == (False, "sold", None)
    assert ended.report["snapshot"]["tombstones"] == 3
    assert site.living() == set(feed.ids)

    before = site.writes()
    site.sync_again(0, sync__mode="incremental")
    assert site.writes() == before

    feed.ids.append(3)
    feed.changed = [3]
    assert site.sync_again(0, sync__mode="incremental").counts["reactivated"] == 1
    assert told(site, 3)[0] is True
    feed.changed = []
    feed.tombstones = [t for t in feed.tombstones if t["car_id"] != 3]
    feed.sell(5)
    ended = site.sync_again(0)
    assert ended.counts["removed"] == 1
    assert site.living() == set(feed.ids)


def test_a_feed_of_removals_that_is_down_stops_nothing_else(site: SoldSite, feed: SoldFeed) -> None:
    site.sync()
    feed.sell(3)
    feed.remove = lambda page, reply: Reply(503, {})
    ended = site.sync_again(5, sync__mode="incremental")
    assert "the feed of removals: page 1: the API answered HTTP 503" in ended.said
    assert site.living() == {3, *feed.ids}
