"""Feeds that want another key than a header: exact, polite, and no secret is written anywhere."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import OpenSite
from tests.support.oracle import KEY, assert_no_canary, database_texts
from tests.support.site import Ended, SimulatedSite, await_that, worst_burst

pytestmark = pytest.mark.quick

CARS = 245
FEED = FeedOptions(cars=CARS, seed=3)
USER = {"API_USERNAME": "demo", "API_PASSWORD": KEY}
CLIENT = {"API_CLIENT_ID": "demo", "API_CLIENT_SECRET": KEY}
TOKEN_PATHS = {"oauth2": "/api/oauth/token", "login": "/api/login"}


def open_kind(
    open_site: OpenSite, kind: str, feed: FeedOptions = FEED, **options: Any
) -> SimulatedSite:
    site = open_site(feed, auth=kind, **options)
    site.settings["api.auth.type"] = kind
    if kind in {"basic", "login", "oauth2"}:
        del site.variables["API_KEY"]
        site.variables.update(CLIENT if kind == "oauth2" else USER)
    if kind == "login":
        site.settings["api.auth.path"] = "/login"
    if kind == "oauth2":
        site.settings["api.auth.token_url"] = f"{site.variables['API_BASE_URL']}/oauth/token"
    return site


def token_requests(site: SimulatedSite) -> list[float]:
    """Return when each request for a token arrived."""
    return [at for at, path, _ in list(site.api.log) if path in TOKEN_PATHS.values()]


def assert_hidden(site: SimulatedSite, *ended: Ended) -> None:
    """No secret and no token is in what was printed, or in a file that is left."""
    written = "".join(each.out + each.err for each in ended)
    files = [path for path in Path(site.folder).rglob("*") if path.is_file()]
    written += "".join(path.read_text("utf-8", "replace") for path in files)
    assert KEY not in written
    for token in site.api.door.issued:
        assert token not in written


def test_a_key_in_the_query_is_in_no_link_that_is_kept(open_site: OpenSite) -> None:
    site = open_kind(open_site, "query", paging="next_link")
    site.settings.update({"api.pagination.type": "next_link", "api.pagination.total_pages": None})
    site.api.hold(6)
    running = site.start("sync", "--json", "-v")
    site.await_staged(5)
    stored = list(database_texts(site.dsn))
    assert any("cursor=" in text for text in stored), "the ledger holds the links"
    assert_no_canary(stored)
    site.api.release()
    ended = site.check(running)
    assert ended.counts == {"seen": CARS, "inserted": CARS}
    site.assert_exact()
    assert all(f"api_key={KEY}" in path for _, path, _ in site.api.log)
    assert_hidden(site, ended)


def run_with_short_tokens(
    open_site: OpenSite, *, pages: int, rate: int, life_s: float
) -> list[float]:
    """Read a feed with tokens that expire; return when each request for one arrived."""
    feed = FeedOptions(cars=pages * 4, seed=3)
    site = open_kind(open_site, "oauth2", feed, access_token_life_s=life_s, rate=rate, page_size=4)
    site.settings["limits.fetcher_processes"] = 2
    site.variables.update({"CONCURRENCY": "16", "RPS": str(rate), "PARALLEL_BATCHES": "2"})
    site.variables["PAGE_SIZE"] = "4"
    ended = site.sync("-v")
    assert ended.counts == {"seen": pages * 4, "inserted": pages * 4}
    site.assert_exact()
    assert_hidden(site, ended)
    log = list(site.api.log)
    lasted_s = log[-1][0] - log[0][0]
    refused = [status for _, _, status in log if status != 200]
    if lasted_s < 1.5 * pages / rate:  # on a busy machine a request is long on its way
        assert len(refused) <= len(log) / 50, "a token that expires on its way is a rare thing"
    assert worst_burst([at for at, _, _ in log], rate) <= 2 * rate
    times = token_requests(site)
    assert len(times) <= 2 + lasted_s / (0.75 * life_s), "one token a life"
    return times


@pytest.mark.quick(False)
def test_tokens_that_live_a_second_are_renewed_once_a_life(open_site: OpenSite) -> None:
    times = run_with_short_tokens(open_site, pages=150, rate=50, life_s=1.0)
    assert len(times) >= 2


@pytest.mark.long
def test_two_thousand_pages_with_tokens_that_live_three_seconds(open_site: OpenSite) -> None:
    times = run_with_short_tokens(open_site, pages=2000, rate=100, life_s=3.0)
    assert 5 <= len(times) <= 9


def test_a_token_that_is_revoked_is_renewed_once_and_the_run_is_exact(
    open_site: OpenSite,
) -> None:
    site = open_kind(open_site, "login")
    site.settings["limits.fetcher_processes"] = 2
    site.variables["CONCURRENCY"] = "8"
    site.api.hold(5)
    running = site.start("sync", "--json", "-v")
    await_that(lambda: len(site.api.log) >= 12, "requests in progress")
    site.api.door.revoke()
    site.api.release()
    ended = site.check(running)
    site.assert_exact()
    assert len(site.api.door.issued) == 2
    assert "the API refused" not in ended.said
    assert site.counted() == {"pages": len(site.api.log) - 2, "token": 2}
    assert_hidden(site, ended)


@pytest.mark.quick(False)
def test_a_key_that_gives_tokens_without_rights_ends_the_run(open_site: OpenSite) -> None:
    site = open_kind(open_site, "login", access_token_life_s=-1.0)
    ended = site.sync("-v", expect=3)
    assert "the API refused the key (HTTP 401)" in ended.said
    assert len(token_requests(site)) == 2
    assert_hidden(site, ended)


def test_a_refresh_token_that_changes_is_kept_for_the_run(open_site: OpenSite) -> None:
    site = open_kind(open_site, "oauth2", access_token_life_s=1.0, latency_ms=(150.0, 150.0))
    site.settings.update({"api.auth.grant": "refresh_token", "limits.concurrency": 1})
    site.variables["API_REFRESH_TOKEN"] = KEY
    running = site.start("sync", "--json", "-v")
    await_that(lambda: site.api.door.issued, "a token")
    site.await_staged(1)
    running.children()[1].send_signal(signal.SIGKILL)
    ended = site.check(running)
    site.assert_exact()
    assert len(site.api.door.issued) >= 2
    assert "the API replaced the refresh token" in ended.said
    assert_hidden(site, ended)
