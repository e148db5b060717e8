"""An API that tells its limits: carsync keeps to them before the first 429, and reads the feed."""

from __future__ import annotations

import pytest

from carsync.demo.feed import FeedOptions
from carsync.demo.window_limit import RATE_HEADERS
from tests.e2e.conftest import OpenSite

WINDOW_S = 1.0
COUNT = 15
LONG = [pytest.param(kind, marks=pytest.mark.long) for kind in RATE_HEADERS if kind != "draft"]


@pytest.mark.parametrize("kind", ["draft", *LONG])
def test_a_limit_that_is_told_is_kept(open_site: OpenSite, kind: str) -> None:
    """Two fetchers with eight threads each, asked for 200 requests a second."""
    site = open_site(
        FeedOptions(cars=300),
        page_size=10,
        rate=COUNT / WINDOW_S,
        rate_window_s=WINDOW_S,
        rate_headers=kind,
        latency_ms=(5.0, 60.0),
    )
    site.variables |= {"PAGE_SIZE": "10", "RPS": "200", "CONCURRENCY": "16"}
    site.widen()
    ended = site.sync()
    assert site.active() == site.truth()
    assert [status for _, _, status in site.api.log].count(429) == 0
    assert "the API tells its limit" in " ".join(ended.report["notes"])
    slowed = ended.report["snapshot"]["slowed"]
    assert slowed["is_told"]
    assert slowed["lowest"] <= COUNT / WINDOW_S
