"""Page drift: the feed moves while it is read, and no car that it always listed is lost."""

from __future__ import annotations

import pytest
import requests

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import Fill, OpenSite
from tests.support.site import Ended, SimulatedSite

pytestmark = pytest.mark.quick

SHRINKING = FeedOptions(cars=600, changed_share=0, added_share=0.02, removed_share=0.05)
BALANCED = FeedOptions(cars=600, changed_share=0, added_share=0.02, removed_share=0.02)


def _sync_across_snapshots(site: SimulatedSite, fill: Fill, expect: int = 0) -> Ended:
    """Fill the table with snapshot 0; sync, and show snapshot 1 when half the pages are read."""
    fill(site)
    site.api.hold(after=15)
    running = site.start("sync", "--json")
    site.await_staged(15)
    url = f"{site.server.origin}/_sim/snapshot"
    assert requests.post(url, params={"n": 1}, timeout=5).json()["snapshot"] == 1
    site.api.release()
    return site.check(running, expect)


@pytest.mark.parametrize(
    "feed",
    [pytest.param(SHRINKING, marks=pytest.mark.long), BALANCED],
    ids=["shrinking", "balanced"],
)
def test_a_car_that_slipped_between_pages_stays_and_a_gone_one_goes(
    open_site: OpenSite, fill: Fill, feed: FeedOptions
) -> None:
    """Where as many cars come as go, the totals add up and only the cars themselves can tell."""
    site = open_site(feed)
    ended = _sync_across_snapshots(site, fill)
    always = site.truth(0).keys() & site.truth(1).keys()
    gone = site.truth(0).keys() - site.truth(1).keys()
    assert always <= site.active().keys()
    assert site.inactive() <= gone
    assert site.inactive(), "those that the rest of the pages did not list are proven gone"
    assert ended.report["counts"]["deactivated"] == len(site.inactive())

    site.sync()
    site.assert_exact(1)


@pytest.mark.long
def test_without_by_id_requests_absent_cars_wait_for_the_next_run(
    open_site: OpenSite, fill: Fill
) -> None:
    site = open_site(SHRINKING)
    site.settings["sync.deactivate.second_proof"] = "next_run"
    ended = _sync_across_snapshots(site, fill, expect=6)
    assert site.inactive() == set()
    assert ended.report["counts"]["held"] > 0
    assert "the reported total moved" in ended.said

    site.sync()
    site.assert_exact(1)
