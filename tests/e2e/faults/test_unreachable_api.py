"""A run whose first request cannot reach the API ends at once, with words for what is wrong."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.fake_api import Reply, ScriptedApi
from tests.support.site import Site


def test_a_port_that_refuses_ends_the_run_at_its_first_request(
    dsn: str, tmp_path: Path, scripted_api: ScriptedApi
) -> None:
    """With the deadlines and retries of production, 11 s otherwise. The monitor hears of it."""
    site = Site("http://127.0.0.1:9", "e2e", dsn, tmp_path)
    site.settings.clear()
    site.variables["CARSYNC_PING_URL"] = f"{scripted_api.base_url}/uu-id-of-a-check"
    scripted_api.on("/uu-id-of-a-check/start", Reply(200, b"OK"))
    scripted_api.on("/uu-id-of-a-check/fail", Reply(200, b"OK"))
    started_s = time.monotonic()
    ended = site.sync(expect=3)
    assert time.monotonic() - started_s < 8
    assert ended.report["problem"] == "the API cannot be reached"
    assert ended.report["detail"].startswith("the API's host refuses the connection")
    assert "api.base_url" in ended.report["hint"]
    paths = [arrival.path for arrival in scripted_api.arrivals]
    assert paths == ["/uu-id-of-a-check/start", "/uu-id-of-a-check/fail"]
    assert b"exit 3" in scripted_api.arrivals[1].body
    assert "uu-id" not in ended.said
    site.close()
