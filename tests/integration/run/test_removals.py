"""Whole runs with a feed of removals that is down, lies, or is read in two sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from carsync.config.parser import parse
from carsync.destination import staging
from carsync.errors import DatabaseError
from carsync.model import Mode, RunOptions
from carsync.postgres.wait import Connection
from carsync.run.report import RunReport
from carsync.run.signals import StopSignal
from carsync.state import rejects
from tests.conftest import TARGET, ask
from tests.support.configs import REMOVALS
from tests.support.fake_api import Reply
from tests.support.in_process_engine import CuttableEngine, await_last_session, sync_in_process
from tests.support.sold_feed import SoldFeed, tombstone

Remove = Callable[[int, Reply], Reply]


class Runs:
    """Runs in this process over a feed of 20 cars, whose table holds all of them."""

    def __init__(self, feed: SoldFeed, dsn: str, conn: Connection, folder: Path) -> None:
        self.feed, self._dsn, self.conn = feed, dsn, conn
        self._checkpoint = folder / "checkpoint.json"
        self.api: dict[str, Any] = {}
        self.deactivate: dict[str, Any] = {"max_share": 0.5}
        self.sync("full")

    def sync(self, mode: Mode = "incremental", stop_after: int = 0, **told: Any) -> RunReport:
        """Run once; the first signal comes once so many pages are staged."""
        self.feed.arrivals.clear()
        api: dict[str, Any] = {
            "base_url": self.feed.base_url,
            "auth": {"type": "none"},
            "record": None,
        }
        api |= {"window": {"param": "minutes"}, "removals": REMOVALS}
        api |= {"pagination": {"page_size": 5}, **self.api}
        limits: dict[str, Any] = {"requests_per_second": 0, "adaptive": False}
        limits |= {"retry": {"base_s": 1e-9, "cap_s": 1e-9}}
        database: dict[str, Any] = {"dsn": self._dsn, "auto_migrate": False}
        text: dict[str, Any] = {"api": api, "limits": limits, "database": database}
        text |= {"sync": {"deactivate": self.deactivate}, "acceptance": {"max_error_rate": None}}
        await_last_session(self.conn)
        stop = StopSignal()

        def new_engine(*key: Any) -> CuttableEngine:
            return CuttableEngine(*key, self.conn, stop=stop, after=stop_after or None)

        config = parse(yaml.safe_dump(text), {}, ())
        options = RunOptions(mode=mode, **told)
        return sync_in_process(config, self._checkpoint, new_engine, stop=stop, options=options)

    def active(self) -> set[int]:
        """Return the active cars."""
        return {int(i) for (i,) in ask(self.conn, "SELECT id FROM public.cars WHERE is_active")}

    def watermark(self) -> int:
        """Return the newest run that the next incremental run may go on from."""
        return int(ask(self.conn, "SELECT max(run_id) FROM carsync.runs WHERE is_watermark")[0][0])


@pytest.fixture
def feed() -> Iterator[SoldFeed]:
    with SoldFeed() as feed:
        feed.ids = list(range(1, 21))
        yield feed


@pytest.fixture
def runs(feed: SoldFeed, dsn: str, plain_conn: Connection, tmp_path: Path) -> Runs:
    return Runs(feed, dsn, plain_conn, tmp_path)


def down(reply: Reply, page: int = 1) -> Remove:
    """Answer the pages from this one on so."""
    return lambda number, honest: reply if number >= page else honest


FAILURES: list[tuple[Remove, int, str]] = [
    (down(Reply(503)), 0, "page 1: the API answered HTTP 503"),
    (down(Reply(404)), 0, "page 1: the API answered HTTP 404"),
    (down(Reply(401)), 0, "HTTP 401"),
    (down(Reply(body=b"<html>")), 0, "page 1"),
    (down(Reply(cut_after=10, body=b"x" * 99)), 0, "page 1"),
    (down(Reply(500), 2), 5, "page 2: the API answered HTTP 500"),
]


def test_nobody_goes_by_tombstones_that_were_not_read_and_the_rest_is_merged(
    runs: Runs, feed: SoldFeed
) -> None:
    mark = runs.watermark()
    feed.sell(*range(1, 8))
    for number, (remove, gone, words) in enumerate(FAILURES, start=21):
        feed.ids.append(number)
        feed.changed = [number]
        feed.remove = remove
        report = runs.sync()
        assert (report.exit_code, words in report.detail) == (5, True), report
        assert report.counts is not None
        assert (report.counts.inserted, report.counts.removed) == (1, gone)
        assert runs.watermark() == mark
    feed.remove = lambda page, reply: reply
    assert runs.sync().exit_code == 0
    assert runs.active() == set(feed.ids)
    assert runs.watermark() > mark


@pytest.mark.parametrize("step", ["create", "create_tombstones"])
def test_a_run_that_ends_while_its_tables_are_made_stops_no_later_one(
    runs: Runs, feed: SoldFeed, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: object) -> None:
        raise DatabaseError("the connection broke")

    feed.sell(1)
    with monkeypatch.context() as patch:
        patch.setattr(staging, step, die)
        assert runs.sync().exit_code == 4
    assert runs.sync().exit_code == 0
    assert runs.active() == set(feed.ids)


def test_absent_cars_are_judged_where_the_tombstones_are_down(runs: Runs, feed: SoldFeed) -> None:
    feed.sell(1, 2)
    feed.remove = down(Reply(500))
    report = runs.sync("full")
    assert (report.exit_code, runs.active()) == (5, set(feed.ids))


def once_more(page: int, reply: Reply) -> Reply:
    body = {**reply.body, "data": reply.body["data"] if page == 1 else FIRST}
    return Reply(body={**body, "meta": {"total": 99, "last_page": 99}})


FIRST = [tombstone(i) for i in (1, 2, 3, 4, 5)]


LIES: list[tuple[float, Remove | None, str]] = [
    (-3600, None, "5 tombstones lie in the future"),
    (-3600, None, "check api.removals.at (its zone)"),
    (0, once_more, "only one page can be read"),
    (0, lambda page, reply: Reply(body={"data": [None]}), "of two pages cannot be read"),
    (0, lambda page, reply: Reply(body={"data": [{"car_id": 1}]}), "of two pages cannot be read"),
]


def test_tombstones_that_cannot_be_what_they_say_are_named(runs: Runs, feed: SoldFeed) -> None:
    for ago_s, remove, words in LIES:
        feed.tombstones = [tombstone(i, ago_s=ago_s) for i in (1, 2, 3, 4, 5)]
        feed.remove = remove or (lambda page, reply: reply)
        report = runs.sync()
        assert (report.exit_code, words in report.detail) == (5, True), report
        assert len(feed.arrivals) < 20
    stored = rejects.list_open(runs.conn, TARGET, "external", None, 1, 99)[0]
    assert (stored.in_list, stored.page, stored.record_id) == ("removals", 1, "1")
    assert rejects.list_pages(runs.conn, stored.run_id) == [], "none of them is replayed"


def test_a_total_that_counts_only_the_page_hides_no_tombstone(runs: Runs, feed: SoldFeed) -> None:
    def count_page(page: int, reply: Reply) -> Reply:
        return Reply(body={**reply.body, "meta": {"total": 5, "last_page": 1}})

    feed.sell(*range(1, 8))
    feed.remove = count_page
    assert runs.sync().exit_code == 0
    assert runs.active() == set(feed.ids)


def test_more_than_the_cap_are_held(runs: Runs, feed: SoldFeed) -> None:
    feed.sell(*range(1, 13))
    report = runs.sync()
    assert report.exit_code == 6
    assert "by tombstones 12 of 20 active cars would be deactivated (60.0 %)" in report.detail
    assert report.counts is not None
    assert (report.counts.held, len(runs.active())) == (12, 20)


@pytest.mark.parametrize(
    ("deactivate", "options"), [({"enabled": False}, {}), ({}, {"max_pages": 1})]
)
def test_no_tombstone_is_asked_for_where_nobody_may_go(
    runs: Runs, feed: SoldFeed, deactivate: dict[str, Any], options: dict[str, Any]
) -> None:
    feed.sell(1)
    runs.deactivate = deactivate
    runs.sync("full", **options)
    assert "/archived-lots" not in feed.asked()
    assert 1 in runs.active()


def test_a_failed_page_of_the_feed_may_hold_a_car_that_has_a_tombstone(
    runs: Runs, feed: SoldFeed
) -> None:
    feed.tombstones = [tombstone(20)]
    honest = feed.show
    feed.show = lambda page: Reply(500) if page == 4 else honest(page)
    report = runs.sync("full")
    assert (report.exit_code, len(runs.active())) == (5, 20)
    assert any(note.startswith("1 tombstone counts for nothing yet") for note in report.notes)


@pytest.mark.parametrize(
    ("mode", "stop_after"), [("full", 1), ("full", 4), ("incremental", 2), ("incremental", 4)]
)
def test_a_run_that_was_stopped_asks_for_no_staged_tombstone_again(
    runs: Runs, feed: SoldFeed, mode: Mode, stop_after: int
) -> None:
    feed.sell(*range(1, 8))
    feed.changed = feed.ids[:9]
    assert runs.sync(mode, stop_after).exit_code in {130, 143}
    before = [(arrival.path, arrival.page) for arrival in feed.arrivals]
    mark = runs.watermark()
    report = runs.sync(mode)
    again = [(arrival.path, arrival.page) for arrival in feed.arrivals]
    assert ("/archived-lots", 1) in before
    assert not {a for a in again if a[0] == "/archived-lots"} & set(before)
    assert report.exit_code == 0
    if mode == "incremental":
        assert runs.watermark() == mark, "its pages are of different times"
        runs.sync(mode)
    assert runs.active() == set(feed.ids)


def test_a_feed_that_is_read_list_by_list_has_one_feed_of_removals(
    runs: Runs, feed: SoldFeed
) -> None:
    kept, down = feed.answer, set[str]()

    def by_make(arrival: Any) -> Reply:
        numbers = feed.ids
        if arrival.query.get("make") in down:
            return Reply(500)
        if "make" in arrival.query:
            feed.ids = [i for i in numbers if i % 2 == int(arrival.query["make"])]
        try:
            return kept(arrival)
        finally:
            feed.ids = numbers

    feed.answer = by_make  # type: ignore[method-assign]
    runs.api = {"lists": {"make": [0, 1]}}
    assert runs.sync("full", adopt_source=True).exit_code == 0
    feed.sell(3, 4)
    report = runs.sync("full")
    assert report.counts is not None
    assert (report.exit_code, report.counts.removed) == (0, 2)
    assert feed.asked().count("/archived-lots") == 1
    feed.sell(5)
    assert runs.sync().exit_code == 0
    assert runs.active() == set(feed.ids)
    # A list fails: no tombstone counts, and the absent cars of the others are as any other.
    feed.sell(7)
    down.add("0")
    report = runs.sync("full")
    assert any("1 tombstone counts for nothing yet" in note for note in report.notes)
    assert report.counts is not None
    assert (report.exit_code, report.counts.held, 7 in runs.active()) == (5, 1, True)


def test_a_tombstone_in_the_overlap_of_two_windows_takes_no_car_that_came_back(
    runs: Runs, feed: SoldFeed
) -> None:
    feed.sell(1)
    runs.sync()
    assert 1 not in runs.active()
    time.sleep(1)  # the API's clock is known to the second
    feed.ids.append(1)
    feed.changed = [1]
    runs.sync()
    assert 1 in runs.active()
    feed.changed = []
    assert runs.sync().exit_code == 0
    assert 1 in runs.active()


def test_a_car_that_a_later_run_saw_goes_by_no_tombstone_that_was_read_before(
    runs: Runs, feed: SoldFeed
) -> None:
    """It is where the unfinished run had read already, as it was: nothing of it is written."""
    feed.sell(1)
    assert runs.sync("full", stop_after=2).exit_code in {130, 143}
    feed.ids.insert(0, 1)
    feed.changed = [1]
    assert runs.sync().exit_code == 0
    runs.sync("full")
    assert 1 in runs.active()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (tombstone(3, ago_s=-1e9), "1 tombstone lies in the future and cannot be believed"),
        ({"car_id": 3, "archived_at": "soon"}, ""),
    ],
)
def test_one_bad_tombstone_is_not_asked_for_for_ever(
    runs: Runs, feed: SoldFeed, bad: dict[str, Any], words: str
) -> None:
    before = runs.watermark()
    feed.sell(1)
    feed.tombstones.append(bad)
    report = runs.sync()
    assert (report.exit_code, runs.active()) == (0, set(feed.ids))
    assert runs.watermark() > before
    assert any(words in note for note in (*report.notes, ""))
