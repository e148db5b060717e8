"""Whole runs of feeds with lists, but for the processes: what each list tells, and of whom."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from carsync.config.parser import parse
from carsync.model import RunOptions
from carsync.postgres.wait import Connection
from carsync.run.report import RunReport
from carsync.state import rejects
from tests.conftest import ask
from tests.support.fake_api import Arrival, Reply, ScriptedApi
from tests.support.in_process_engine import InProcessEngine, sync_in_process
from tests.support.merge_rig import TARGET
from tests.support.small_feed import car

SIZE = 10


class ListedFeed(ScriptedApi):
    """Lists the ids of each make, ten to a page; no more than `depth` pages, if that is set."""

    def __init__(self) -> None:
        super().__init__()
        self.makes = {"Kia": list(range(1, 31)), "BMW": list(range(101, 126))}
        self.broken: set[str] = set()
        self.depth: int | None = None
        self.knows_make = True

    def answer(self, arrival: Arrival) -> Reply:
        """Log the request and answer it."""
        self.arrivals.append(arrival)
        make = arrival.query.get("make")
        if arrival.page is None:
            number = int(arrival.path.rpartition("/")[2])
            is_listed = any(number in ids for ids in self.makes.values())
            return Reply(body={"data": self._car(number)}) if is_listed else Reply(404, {})
        if make is None:
            return Reply(400, {"message": "make is obligatory"})
        if make in self.broken:
            return Reply(500, {})
        ids = self.makes[make] if self.knows_make else sorted(chain(*self.makes.values()))
        shown = ids[: SIZE * self.depth] if self.depth else ids
        page = shown[(arrival.page - 1) * SIZE : arrival.page * SIZE]
        body: dict[str, Any] = {"data": [self._car(i) for i in page]}
        if self.depth is None:
            body["meta"] = {"total": len(ids), "last_page": max(1, -(-len(ids) // SIZE))}
        return Reply(body=body)

    def _car(self, number: int) -> dict[str, Any]:
        return car(number, lots=[{"buy_now": 9000}])


class Shop:
    """A feed, a table, and runs from the one to the other."""

    def __init__(self, feed: ListedFeed, dsn: str, conn: Connection, folder: Path) -> None:
        self.feed = feed
        self.conn = conn
        self._checkpoint = folder / "checkpoint.json"
        self.settings: dict[str, Any] = {
            "api": {
                "base_url": feed.base_url,
                "auth": {"type": "none"},
                "lists": {"make": ["Kia", "BMW"]},
                "pagination": {"page_size": SIZE},
            },
            "limits": {
                "requests_per_second": 0,
                "retry": {"base_s": 1e-9, "cap_s": 1e-9, "max_attempts": 2},
            },
            "database": {"dsn": dsn},
            "acceptance": {"max_error_rate": None},
        }

    def sync(self, expect: int = 0, **options: Any) -> RunReport:
        config = parse(yaml.safe_dump(self.settings), {}, ())
        self.conn.rollback()
        new_engine = partial(InProcessEngine, conn=self.conn)
        report = sync_in_process(
            config, self._checkpoint, new_engine, options=RunOptions(**options)
        )
        assert report.exit_code == expect, (report.problem, report.detail, report.notes)
        return report

    def active(self) -> set[int]:
        found = ask(self.conn, "SELECT id FROM public.cars WHERE is_active")
        return {int(car) for (car,) in found}


@pytest.fixture
def shop(dsn: str, conn: Connection, tmp_path: Path) -> Iterator[Shop]:
    with ListedFeed() as feed:
        yield Shop(feed, dsn, conn, tmp_path)


def test_a_moved_car_is_never_gone_and_by_id_tells_the_sold_ones(shop: Shop) -> None:
    shop.sync()
    kia, bmw = shop.feed.makes["Kia"], shop.feed.makes["BMW"]
    bmw.append(kia.pop())
    sold = kia.pop()
    shop.feed.broken = {"BMW"}
    report = shop.sync(5)
    assert shop.active() == {*kia, *bmw}
    assert sold not in shop.active()
    assert "page 1 of make=BMW" in report.detail
    assert [(known.name, known.pages_failed) for known in report.lists] == [
        ("make=Kia", 0),
        ("make=BMW", 1),
    ]
    shop.feed.broken = set()
    shop.sync()
    assert shop.active() == {*kia, *bmw}


def test_a_depth_cap_is_told_with_its_list(shop: Shop) -> None:
    shop.settings["api"]["record"] = None
    shop.feed.makes["Kia"] = list(range(1, 36))
    shop.feed.depth = 3
    for _ in range(3):  # no car moves between the lists
        shop.sync()
    shop.feed.makes["Kia"].insert(0, 99)  # what was on the last page is behind the cap now
    shop.feed.makes["BMW"].pop()
    shop.sync(6)
    assert {29, 30, 125} <= shop.active()
    report = shop.sync(6)
    assert any("the last page (3) is full" in note and "make=Kia" in note for note in report.notes)
    assert 30 in shop.active()
    assert 125 not in shop.active(), "its own list was read twice without it"


def test_an_api_that_does_not_know_the_parameter_is_told(shop: Shop) -> None:
    shop.feed.knows_make = False
    report = shop.sync(2)
    assert "make=Kia and make=BMW begin with the same records" in report.problem
    assert "api.lists" in report.hint


def test_a_column_takes_the_value_of_the_list_and_the_last_list_wins(shop: Shop) -> None:
    shop.settings["mapping"] = {"columns": {"make": {"list": "make"}}}
    shop.feed.makes["BMW"].append(7)
    report = shop.sync()
    assert report.counts is not None
    assert report.counts.duplicate == 1
    makes = dict(ask(shop.conn, "SELECT id, make FROM public.cars"))
    assert (makes["1"], makes["7"], makes["101"]) == ("Kia", "BMW", "BMW")
    assert shop.sync().counts == type(report.counts)(seen=55, unchanged=55, duplicate=1)


def test_a_sample_reads_so_many_pages_of_all_lists_and_lets_nobody_go(shop: Shop) -> None:
    shop.sync()
    shop.feed.makes["Kia"].pop(0)
    shop.feed.arrivals.clear()
    report = shop.sync(5, max_pages=4, fresh=True)
    asked = [(a.query["make"], a.page) for a in shop.feed.arrivals]
    assert asked[:4] == [("Kia", 1), ("Kia", 2), ("Kia", 3), ("BMW", 1)]
    assert asked[4:] == [("Kia", 4)], "the page behind the end of a list that was read whole"
    assert "4 pages were read" in report.problem
    assert 1 in shop.active()


def test_a_dry_run_leaves_nothing_behind(shop: Shop) -> None:
    shop.sync()
    shop.feed.makes["Kia"].pop()
    before = ask(shop.conn, "SELECT count(*), max(xmin::text) FROM carsync.car_lists")
    report = shop.sync(dry_run=True)
    assert report.counts is not None
    assert report.counts.deactivated == 1
    assert ask(shop.conn, "SELECT count(*), max(xmin::text) FROM carsync.car_lists") == before


def test_a_list_that_loses_a_columns_values_is_named(shop: Shop) -> None:
    shop.feed.makes = {"Kia": list(range(1, 601)), "BMW": list(range(2001, 2121))}
    shop.sync()
    honest = shop.feed._car

    def without_price(number: int) -> dict[str, Any]:
        return honest(number) if number <= 600 else car(number, lots=[{}])

    shop.feed._car = without_price  # type: ignore[method-assign]
    report = shop.sync(6)
    assert "make=BMW: price would become empty" in report.detail
    assert "make=Kia" not in report.detail


def test_a_reject_is_listed_with_its_list(shop: Shop) -> None:
    honest = shop.feed._car

    def bad_year(number: int) -> dict[str, Any]:
        return honest(number) | ({"id": [1]} if number == 121 else {})

    shop.feed._car = bad_year  # type: ignore[method-assign]
    shop.settings["sync"] = {"max_reject_share": 0.5}
    shop.sync()
    (reject,) = rejects.list_open(shop.conn, TARGET, "external", None, 5, 100)
    assert (reject.page, reject.in_list) == (3, "make=BMW")
