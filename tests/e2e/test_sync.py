"""Whole runs: what the table holds after them, and what they wrote to get there."""

from __future__ import annotations

import pytest

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import OpenSite
from tests.e2e.harness import ask

FEED = FeedOptions(cars=600, changed_share=0.05, added_share=0.03, removed_share=0.04)


@pytest.mark.parametrize("load_method", ["execute_values", "copy"])
def test_the_table_follows_the_feed_and_no_row_is_written_without_need(
    open_site: OpenSite, empty_dsn: str, load_method: str
) -> None:
    site = open_site(FEED, dsn=empty_dsn)
    site.settings["database.load_method"] = load_method

    first = site.sync()
    site.assert_exact(0)
    assert first.counts == {"seen": 600, "inserted": 600}
    assert site.writes() == (600, 0, 0)

    unchanged = site.sync()
    site.assert_exact(0)
    assert unchanged.counts == {"seen": 600, "unchanged": 600}
    assert site.writes() == (600, 0, 0)

    site.api.show(1)
    changed = site.sync()
    site.assert_exact(1)
    assert changed.counts == {
        "seen": 594,
        "inserted": 18,
        "updated": 30,
        "unchanged": 546,
        "deactivated": 24,
    }
    assert site.inactive() == site.truth(0).keys() - site.truth(1).keys()
    assert site.writes() == (618, 54, 0)

    site.api.show(0)
    back = site.sync()
    site.assert_exact(0)
    assert back.counts == {
        "seen": 600,
        "updated": 30,
        "reactivated": 24,
        "unchanged": 546,
        "deactivated": 18,
    }
    assert site.inactive() == site.truth(1).keys() - site.truth(0).keys()
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs WHERE state = 'complete'") == [(4,)]
