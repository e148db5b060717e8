"""Feeds that are read list by list: each is complete, or not, on its own."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from carsync.demo.cars import MAKES, build_car, seed_key
from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import OpenSite
from tests.support.site import SimulatedSite, ask, await_that

pytestmark = pytest.mark.quick

CARS = 120
FEED = FeedOptions(cars=CARS, seed=3, changed_share=0.05, added_share=0.03, removed_share=0.05)
NAMES = [make.name for make in MAKES]


def open_lists(open_site: OpenSite, kind: str = "page", **options: Any) -> SimulatedSite:
    site = open_site(FEED, list_params=("make",), paging=kind, page_size=4, **options)
    site.settings.update({"api.lists": {"make": NAMES}, "acceptance.max_error_rate": 1.0})
    site.settings["api.pagination.page_size"] = 4
    if kind != "page":
        site.settings.update({"api.pagination.type": kind, "api.pagination.total_pages": None})
    return site


def make_of(car_id: str) -> str:
    return str(build_car(seed_key(FEED.seed), int(car_id), 0)["manufacturer"]["name"])


@pytest.mark.parametrize("kind", ["page", pytest.param("next_link", marks=pytest.mark.long)])
def test_each_list_is_read_and_the_union_is_exact(open_site: OpenSite, kind: str) -> None:
    site = open_lists(open_site, kind)
    site.sync()
    site.assert_exact()
    site.api.show(1)
    site.sync()
    site.assert_exact(1)
    assert site.writes() == site.writes_of_a_move()


def test_a_list_that_fails_keeps_its_own_cars_and_the_others_let_theirs_go(
    open_site: OpenSite,
) -> None:
    site = open_lists(open_site)
    site.sync()
    before = site.active()
    site.api.show(1)
    gone = before.keys() - site.truth(1).keys()
    failed = make_of(next(iter(sorted(gone))))
    site.api.change(broken_lists=(failed,))
    ended = site.sync(expect=5)
    kept = {i for i in gone if make_of(i) == failed}
    assert kept
    assert gone > kept
    assert site.inactive() == gone - kept
    assert f"of make={failed}" in ended.report["detail"]
    site.api.change(broken_lists=())
    site.sync()
    site.assert_exact(1)


def test_a_killed_run_goes_on_in_each_list(open_site: OpenSite) -> None:
    site = open_lists(open_site, "next_link")
    site.api.hold(20)
    running = site.start("sync", "--json")
    staged = site.await_staged(20)
    assert len({page // 1_000_000 for page in staged}) > 1
    await_that(lambda: len(site.api.log) > 20, "further requests")
    running.signal(signal.SIGKILL)
    running.end()
    site.api.release()
    site.api.reset()
    ended = site.sync()
    assert "20 pages are staged already" in ended.said
    site.assert_exact()
    ledger = ask(site.dsn, "SELECT lists FROM carsync.runs ORDER BY run_id DESC LIMIT 1")
    assert ledger == [([f"make={name}" for name in NAMES],)]
