"""Incremental runs as their user runs them: what changed since the last run, through kills."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.changing_api import ChangingApi
from tests.support.configs import SMALL_MAPPING
from tests.support.quick_site import QuickSync
from tests.support.site import Ended, Site, ask


@pytest.fixture
def api() -> Iterator[ChangingApi]:
    with ChangingApi() as api:
        api.change(*range(1, 31), ago=timedelta(days=9))
        yield api


@pytest.fixture
def site(api: ChangingApi, dsn: str, tmp_path: Path) -> Iterator[Site]:
    """A table that a full run has filled."""
    with closing(QuickSync(api.base_url, "none", dsn, tmp_path)) as site:
        site.variables["PAGE_SIZE"] = str(api.size)
        del site.variables["API_KEY"]
        site.settings |= {
            "api.auth.type": "none",
            "api.window": {"param": "minutes", "overlap": "1m"},
            **{f"mapping.{key}": value for key, value in SMALL_MAPPING.items()},
            "sync.deactivate.second_proof": "none",
        }
        site.sync()
        yield site


def prices(site: Site) -> dict[str, int]:
    return dict(ask(site.dsn, "SELECT id, price::int FROM public.cars WHERE is_active"))


def delta(site: Site) -> Ended:
    return site.sync("--mode", "incremental")


def test_a_killed_incremental_run_is_resumed_and_the_next_one_covers_it(
    site: Site, api: ChangingApi
) -> None:
    api.change(*range(1, 13))
    api.holds = lambda page: page > 2
    running = site.start("sync", "--mode", "incremental")
    site.await_staged(2)
    running.signal(signal.SIGKILL)
    running.end()
    site.await_no_process()
    api.holds = lambda _: False
    api.change(20)  # the last page grows
    assert prices(site)["1"] == 1, "nothing is merged yet"
    api.arrivals.clear()
    resumed = site.check(site.start("sync", "--json", "--mode", "incremental"))
    assert resumed.report["run_id"] == 2
    assert sorted(page for page, _ in api.asked()) == [3, 4, 5, 6]
    assert prices(site) == api.prices()
    runs = "SELECT run_id, mode, is_watermark FROM carsync.runs ORDER BY run_id"
    assert ask(site.dsn, runs) == [(1, "full", True), (2, "incremental", False)]
    assert delta(site).counts == {"seen": 13, "unchanged": 13}
    assert ask(site.dsn, runs)[-1] == (3, "incremental", True)


def test_incremental_runs_in_the_middle_of_a_full_one(site: Site, api: ChangingApi) -> None:
    api.change(1, price=5, ago=timedelta(days=1))
    api.holds = lambda page: page > 6
    running = site.start("sync")
    site.await_staged(6)
    running.signal(signal.SIGKILL)
    running.end()
    site.await_no_process()
    api.holds = lambda _: False
    api.change(1, price=1)
    api.change(2, price=9)
    ended = delta(site)
    assert ended.counts == {"seen": 2, "updated": 1, "unchanged": 1}
    assert "run 2 is not merged yet, and is left as it is" in ended.said
    resumed = site.sync()
    assert (resumed.report["run_id"], resumed.counts.get("deactivated", 0)) == (2, 0)
    assert prices(site) == api.prices()
