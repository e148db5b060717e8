"""A run whose first request cannot reach the API ends at once, with words for what is wrong."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.site import Site


def test_a_port_that_refuses_ends_the_run_at_its_first_request(dsn: str, tmp_path: Path) -> None:
    """With the deadlines and retries of production, 11 s otherwise."""
    site = Site("http://127.0.0.1:9", "e2e", dsn, tmp_path)
    site.settings.clear()
    started_s = time.monotonic()
    ended = site.sync(expect=3)
    assert time.monotonic() - started_s < 8
    assert ended.report["problem"] == "the API cannot be reached"
    assert ended.report["detail"].startswith("the API's host refuses the connection")
    assert "api.base_url" in ended.report["hint"]
    site.close()
