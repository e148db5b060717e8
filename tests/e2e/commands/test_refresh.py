"""`carsync refresh`: single cars by their ids, beside the runs that read the feed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import Fill, OpenSite
from tests.support.fake_api import Reply
from tests.support.folders import ROOT
from tests.support.quick_site import QuickSite
from tests.support.site import CARSYNC, Ended, Site, ask, await_that, worst_burst
from tests.support.small_feed import SmallFeed, SmallSite, car

pytestmark = pytest.mark.quick

SOLD = FeedOptions(cars=60, seed=3, removed_share=0.05, changed_share=0.02, added_share=0)
CONFIG = str(ROOT / "config" / "auctionsapi.yaml")


@pytest.fixture
def feed() -> Iterator[SmallFeed]:
    with SmallFeed(30, 20, is_by_id=True) as feed:
        yield feed


@pytest.fixture
def site(feed: SmallFeed, dsn: str, tmp_path: Path, fill: Fill) -> Iterator[SmallSite]:
    """Give a site in step with its feed."""
    site = QuickSite(feed, dsn, tmp_path)
    fill(site)
    feed.arrivals.clear()
    yield site
    site.close()


def told(ended: Ended) -> dict[str, str]:
    """Return what became of each car."""
    return {each["id"]: each["action"] for each in ended.report["refreshed"]}


def refresh(site: Site, *arguments: str, expect: int = 0, **settings: Any) -> Ended:
    """Run `carsync refresh --json`, which must end so."""
    ended = site.run("refresh", "--json", *arguments, **settings)
    assert ended.exit_code == expect, ended
    return ended


def refresh_in_processes(site: Site, *arguments: str, expect: int, **settings: Any) -> Ended:
    """Do so with a fleet, of which no process may be left."""
    return site.check(site.start("refresh", "--json", *arguments, **settings), expect)


def test_single_cars_are_asked_for_and_merged_as_a_run_of_their_own(
    feed: SmallFeed, site: SmallSite
) -> None:
    before = site.rows_by_id()
    feed.ids = [i for i in [*feed.ids, 77] if i != 3]
    newer = Reply(body={"data": car(5, year=2024)})
    feed.tell = lambda i: newer if i == 5 else feed.honest_record(i)
    ended = refresh_in_processes(site, "5", "77", "3", "8", "99", "5", expect=5)
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

    modes = "SELECT mode, state FROM carsync.runs ORDER BY run_id"
    assert ask(site.dsn, modes) == [("full", "complete"), ("refresh", "partial")]
    run = str(ended.report["run_id"])
    assert site.run("revert", run, "--yes").exit_code == 0
    assert {i: row for i, row in site.rows_by_id().items() if i in site.active()} == {
        i: row for i, row in site.rows_by_id().items() if i in before
    }
    assert set(site.active()) == set(before)


def test_ids_come_from_standard_input(feed: SmallFeed, site: SmallSite) -> None:
    feed.tell = lambda i: Reply(404, {}) if i in {1, 2, 3} else feed.honest_record(i)
    piped = ["sh", "-c", 'printf \'1\\n\\n 2 \\n3\\n2\\n\\0\\n\' | "$0" "$@"', *CARSYNC]
    running = site.start("refresh", "-", "--json", program=piped, sync__deactivate__max_share=0.05)
    ended = site.check(running, expect=5)
    assert told(ended) == dict.fromkeys(["1", "2", "3", "\0"], "unclear")
    assert "more than sync.deactivate.max_share" in ended.report["detail"]
    assert site.inactive() == set()

    before = site.rows()
    asked = len(feed.arrivals)
    empty = refresh(site, "", " ", "--dry-run", expect=5)
    assert told(empty) == {"": "unclear", " ": "unclear"}
    assert len(feed.arrivals) == asked, "the address of no car is that of all"

    tried = refresh(site, "1", "2", "--dry-run")
    assert tried.counts == {"deactivated": 2}
    assert site.rows() == before
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs") == [(2,)]


def test_an_api_that_is_down_changes_nothing(feed: SmallFeed, site: SmallSite) -> None:
    feed.tell = lambda i: Reply(500, {})
    before = site.rows()
    ended = refresh(site, "1", expect=3)
    assert ended.report["counts"] is None
    assert "HTTP 500" in ended.report["detail"]
    assert site.rows() == before


def test_a_refresh_that_a_budget_cuts_short_says_so(feed: SmallFeed, site: SmallSite) -> None:
    feed.tell = lambda i: Reply(404, {}) if i == 1 else feed.honest_record(i)
    budget: dict[str, Any] = {"limits__budget__requests": 8, "limits__budget__per": "month"}
    hour = "date_trunc('hour', now())"
    used = f"VALUES ('public', 'cars', 'external', {hour}, 'pages', 5)"
    ask(site.dsn, f"DELETE FROM carsync.requests; INSERT INTO carsync.requests {used}")
    ended = refresh_in_processes(site, "1", "2", expect=5, **budget)
    assert told(ended) == {"1": "unclear", "2": "unchanged"}
    assert len(feed.arrivals) == 3
    assert "limits.budget is used up: 8 of 8" in ended.report["refreshed"][0]["reason"]
    assert "run again after" in ended.report["hint"]
    assert site.inactive() == set()


def test_the_preset_asks_by_lot_and_a_sold_lot_is_gone(open_site: OpenSite) -> None:
    site = open_site(SOLD, live=True, rate=400.0)
    del site.variables["PAGE_SIZE"], site.variables["RPS"]
    usual = {"limits.requests_per_second": 390, "api.params": {}, "api.pagination.page_size": 100}
    site.settings.update(usual)
    site.sync("--config", CONFIG)
    site.api.show(1)
    sold = sorted(set(site.api.feed.at(0).ids) - set(site.api.feed.at(1).ids))[0]
    alive = site.api.feed.at(1).ids[0]
    asked = (str(sold), str(alive), "1")
    ended = refresh_in_processes(site, *asked, "--config", CONFIG, expect=5)
    actions = told(ended)
    assert actions.pop("1") == "unclear", "its lot is not known"
    assert actions[str(sold)] == "deactivated"
    assert actions[str(alive)] in {"unchanged", "updated"}
    assert site.inactive() == {str(sold)}
    assert "api.record.path" in ended.said


@pytest.mark.long
def test_it_waits_for_a_run_and_the_api_sees_one_bucket(open_site: OpenSite, fill: Fill) -> None:
    site = open_site(FeedOptions(cars=200))
    site.variables["RPS"] = "50"
    site.settings["limits.burst"] = 10
    fill(site)
    site.api.reset()
    site.api.hold(after=5)
    syncing = site.start("sync", "--json")
    await_that(lambda: len(site.api.log) > 5, "the first pages")
    asked = sorted(site.truth())[:20]
    refreshing = site.start("refresh", "--json", *asked)
    waiting = site.start("sync", "--json", "--wait", "1m")
    for each in (refreshing, waiting):
        assert each.process.stderr is not None
        line = each.process.stderr.readline()
        assert "is going on since" in line, line
    site.api.release()
    assert syncing.end().exit_code == 0
    ended, later = refreshing.end(), waiting.end()
    assert (ended.exit_code, later.exit_code) == (0, 0)
    assert set(told(ended)) == set(asked)
    assert worst_burst([at for at, _, _ in site.api.log], rate=50) <= 10
    site.await_no_process()


@pytest.mark.long
def test_an_unfinished_run_goes_on_after_a_refresh(open_site: OpenSite, fill: Fill) -> None:
    site = open_site(FeedOptions(cars=200))
    fill(site)
    site.api.hold(after=3)
    running = site.start("sync")
    site.await_staged(3)
    running.close()
    site.api.release()
    site.await_no_process()
    unfinished = site.checkpoint()
    car_id = sorted(site.truth())[0]
    assert told(refresh(site, car_id)) == {car_id: "unchanged"}
    after = site.checkpoint()
    assert unfinished is not None
    assert after is not None
    asked = unfinished.api_use  # by then; what has cost a request since is told in the file, too
    assert replace(after, tried=None, api_use=asked) == unfinished
    site.api.reset()
    site.api.hold(after=0)
    killed = site.start("refresh", car_id)
    await_that(lambda: site.api.log, "a request")
    killed.close()
    site.await_no_process()
    site.api.release()
    ended = site.sync()
    assert ended.report["run_id"] == unfinished.run_id
    states = ask(site.dsn, "SELECT state FROM carsync.runs WHERE mode = 'refresh' ORDER BY run_id")
    assert states == [("complete",), ("abandoned",)]
    assert ended.report["figures"]["pages_resumed"] > 0
    site.assert_exact()
