"""An API that tells its limits: carsync keeps to them before the first 429, and reads the feed."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.demo.feed import FeedOptions
from carsync.demo.window_limit import RATE_HEADERS
from tests.e2e.conftest import OpenSite
from tests.support.site import SimulatedSite

WINDOW_S = 1.0
COUNT = 15
LONG = [pytest.param(kind, marks=pytest.mark.long) for kind in RATE_HEADERS if kind != "draft"]


def open_limited(open_site: OpenSite, kind: str, **options: Any) -> SimulatedSite:
    """Open a site with two fetchers of eight threads each, asked for 200 requests a second."""
    site = open_site(
        FeedOptions(cars=300),
        page_size=10,
        rate=COUNT / WINDOW_S,
        rate_window_s=WINDOW_S,
        rate_headers=kind,
        latency_ms=(5.0, 60.0),
        **options,
    )
    site.variables |= {"PAGE_SIZE": "10", "RPS": "200", "CONCURRENCY": "16"}
    site.widen()
    return site


def refused(site: SimulatedSite) -> int:
    """Return how many requests were answered 429."""
    return [status for _, _, status in site.api.log].count(429)


@pytest.mark.parametrize("kind", ["draft", *LONG])
def test_a_limit_that_is_told_is_kept(open_site: OpenSite, kind: str) -> None:
    site = open_limited(open_site, kind)
    ended = site.sync()
    assert site.active() == site.truth()
    assert refused(site) == 0
    assert "the API tells its limit" in " ".join(ended.report["notes"])
    slowed = ended.report["snapshot"]["slowed"]
    assert slowed["is_told"]
    assert slowed["lowest"] <= COUNT / WINDOW_S
    (quota,) = site.status()["quotas"]
    assert quota["limit"] == COUNT
    assert 0 <= quota["remaining"] <= COUNT


@pytest.mark.long
def test_a_feed_that_is_read_page_by_page_keeps_it_too(open_site: OpenSite) -> None:
    site = open_limited(open_site, "github", paging="next_link")
    site.settings |= {"api.pagination.type": "next_link", "api.pagination.next": "links.next"}
    site.sync()
    assert site.active() == site.truth()
    assert refused(site) == 0


@pytest.mark.long
def test_without_adaptive_headers_are_not_read(open_site: OpenSite) -> None:
    site = open_limited(open_site, "draft")
    ended = site.sync(limits__adaptive=False, acceptance__max_error_rate=None)
    assert ended.report["snapshot"]["slowed"] is None
    assert refused(site) > 0
