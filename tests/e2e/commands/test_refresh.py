"""`carsync refresh`: single cars by their ids, beside the runs that read the feed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Fill
from tests.support.fake_api import Reply
from tests.support.site import Ended, ask
from tests.support.small_feed import SmallFeed, SmallSite, car


@pytest.fixture
def feed() -> Iterator[SmallFeed]:
    with SmallFeed() as feed:
        feed.size = 20
        feed.ids = list(range(1, 31))
        feed.tell = feed.honest_record
        yield feed


@pytest.fixture
def site(feed: SmallFeed, dsn: str, tmp_path: Path, fill: Fill) -> Iterator[SmallSite]:
    """Give a site in step with its feed."""
    site = SmallSite(feed, dsn, tmp_path)
    fill(site)
    feed.arrivals.clear()
    yield site
    site.close()


def told(ended: Ended) -> dict[str, str]:
    """Return what became of each car."""
    return {each["id"]: each["action"] for each in ended.report["cars"]}


def refresh(site: SmallSite, *arguments: str, expect: int = 0, **settings: Any) -> Ended:
    ended = site.run("refresh", "--json", *arguments, **settings)
    assert ended.exit_code == expect, ended
    site.await_no_process()
    return ended


def test_single_cars_are_asked_for_and_merged_as_a_run_of_their_own(
    feed: SmallFeed, site: SmallSite
) -> None:
    before = site.rows_by_id()
    feed.ids = [i for i in [*feed.ids, 77] if i != 3]
    changed = {5: car(5, year=2024)}
    feed.tell = lambda i: (
        Reply(body={"data": changed[i]}) if i in changed else feed.honest_record(i)
    )
    ended = refresh(site, "5", "77", "3", "8", "99", "5", expect=5)
    assert told(ended) == {
        "5": "updated",
        "77": "inserted",
        "3": "deactivated",
        "8": "unchanged",
        "99": "unclear",
    }
    assert ended.counts == {
        "seen": 3,
        "inserted": 1,
        "updated": 1,
        "unchanged": 1,
        "deactivated": 1,
    }
    assert site.inactive() == {"3"}
    after = site.rows_by_id()
    assert {i for i in after if after[i] != before.get(i)} == {"3", "5", "77"}
    assert not feed.pages_asked()
    assert "refresh" in site.run("runs").out
