"""`carsync approve` from end to end: a capped run holds, a human looks and says yes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import Fill, OpenSite
from tests.support.fake_api import Reply
from tests.support.oracle import Oracle
from tests.support.quick_site import QuickSite
from tests.support.site import SimulatedSite
from tests.support.site_templates import Shelf
from tests.support.small_feed import SmallFeed, SmallSite, car

SHRINKING = FeedOptions(cars=200, changed_share=0.05, added_share=0, removed_share=0.2)


def _show(site: SimulatedSite, snapshot: int) -> None:
    url = f"{site.server.origin}/_sim/snapshot"
    assert requests.post(url, params={"n": snapshot}, timeout=5).ok


@pytest.mark.quick
def test_approve_deactivates_exactly_the_cars_that_a_capped_run_held(
    open_site: OpenSite, fill: Fill
) -> None:
    site = open_site(SHRINKING)
    fill(site)
    _show(site, 1)
    gone = site.truth(0).keys() - site.truth(1).keys()
    oracle = Oracle(site, snapshots=(1,))
    held = site.sync(expect=6)
    still_there = {i: h for i, h in site.truth(0).items() if i in gone}
    oracle.judge(held, after={**still_there, **oracle.truth})

    run = str(held.report["run_id"])
    assert f"carsync approve {run}" in held.said
    before = site.rows()
    look = site.run("approve", run, "--dry-run", "--json")
    assert {car["id"] for car in look.report["cars"]} == gone
    assert site.rows() == before

    approved = site.run("approve", run, "--yes", "--json")
    assert approved.report["deactivated"] == len(gone)
    assert site.inactive() == gone
    oracle.judge(approved)
    assert site.run("approve", run, "--yes").out.startswith(f"Run {run} was already approved")

    oracle.recover()
    late = site.run("approve", run, "--yes")
    assert late.exit_code == 0, "the record of the approval outlives later runs"


# ── the API is asked once more ───────────────────────────────────────────────

HELD = {"2", "3", "5", "8"}


@pytest.fixture
def feed() -> Iterator[SmallFeed]:
    with SmallFeed(30, 20, is_by_id=True) as feed:
        yield feed


@pytest.fixture
def held(feed: SmallFeed, dsn: str, tmp_path: Path, shelf: Shelf) -> Iterator[SmallSite]:
    """Give a site whose second run holds four cars that the API calls gone."""
    site = QuickSite(feed, dsn, tmp_path)
    left = [i for i in feed.ids if str(i) not in HELD]

    def hold() -> None:
        site.sync()
        feed.ids = left
        site.sync(expect=6)

    shelf.leave(site, "held", hold)
    feed.ids = left
    yield site
    site.close()


def test_a_held_car_that_the_api_has_again_is_left_out_and_named(
    feed: SmallFeed, held: SmallSite
) -> None:
    feed.tell = lambda i: Reply(body={"data": car(i)}) if i == 3 else feed.honest_record(i)
    feed.arrivals.clear()
    before = held.counted().get("by_id", 0)
    look = held.start("approve", "2", "--dry-run", "--json").end().report  # its fleet counts
    assert {each["id"] for each in look["cars"]} == HELD - {"3"}
    assert look["by_id"] == {"alive": 1, "gone": 3, "unclear": 0, "objection": ""}
    assert feed.pages_asked() == []
    assert len(feed.arrivals) < 30
    assert held.counted()["by_id"] == before + len(feed.arrivals)
    approved = held.run("approve", "2", "--yes", "--json").report
    assert approved["left_out"] == [{"id": "3", "reason": "the API, asked by id, still has it"}]
    assert approved["deactivated"] == 3
    assert held.inactive() == HELD - {"3"}


def test_without_a_listed_car_what_is_alive_is_told_all_the_same(
    feed: SmallFeed, dsn: str, tmp_path: Path, fill: Fill
) -> None:
    site = QuickSite(feed, dsn, tmp_path)
    fill(site)
    everything, feed.ids = feed.ids, []
    site.sync(expect=6)
    feed.tell = lambda i: Reply(body={"data": car(i)}) if i in everything[1:] else Reply(404, {})
    approved = site.run("approve", "2", "--yes", "--json").report
    assert approved["by_id"]["alive"] == 29
    assert site.inactive() == {"1"}


ANSWERS = {
    "down": (Reply(500, {}), "the API gave no usable answer"),
    "404 to every id": (Reply(404, {}), "404 even for each car that it listed"),
    "200 to every id": (None, "for a car that cannot exist"),
}


@pytest.mark.parametrize(("answer", "why"), ANSWERS.values(), ids=ANSWERS)
def test_an_api_that_proves_nothing_is_told_and_the_answer_decides(
    feed: SmallFeed, held: SmallSite, answer: Reply | None, why: str
) -> None:
    feed.tell = lambda i: answer or Reply(body={"data": car(i)})
    held.variables["CARSYNC_TIMING"] = "probe_patience_s=2"
    approved = held.run("approve", "2", "--yes", "--json")
    assert "has not confirmed of 4 of 4 cars that it is gone" in approved.err
    assert why in approved.report["by_id"]["objection"]
    assert held.inactive() == HELD


def test_where_by_id_requests_are_not_configured_nothing_is_asked(
    feed: SmallFeed, held: SmallSite
) -> None:
    feed.arrivals.clear()
    held.settings["api.record"] = None
    look = held.run("approve", "2", "--dry-run")
    assert [line.split()[0] for line in look.out.splitlines()] == [*sorted(HELD), "4"]
    assert "it is gone: api.record is null" in look.err, "what a run without --yes tells as well"
    approved = held.run("approve", "2", "--yes")
    assert "it is gone: api.record is null" in approved.err
    assert held.inactive() == HELD
    assert feed.arrivals == []
