"""What became of a column's values is counted and told: unreadable, emptied, new or vanished."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_api import Reply
from tests.support.quick_site import QuickSite
from tests.support.site import ask
from tests.support.small_feed import SmallFeed, SmallSite

CARS = 40
WHY = {
    "a text": ("1,000", "'1,000' is not a number"),
    "a European text": ("1.000,00", "'1.000,00' is not a number"),
    "false": (False, "false is not a number"),
    "an object": ({"amount": 1000}, "an object is not a number"),
    "out of range": (-1, "-1 is outside 0.0..None"),
}


@pytest.fixture
def feed() -> Iterator[SmallFeed]:
    with SmallFeed(CARS, 20) as feed:
        yield feed


@pytest.fixture
def site(feed: SmallFeed, dsn: str, tmp_path: Path) -> Iterator[SmallSite]:
    site = QuickSite(feed, dsn, tmp_path)
    site.settings["sync.plausible"] = None
    yield site
    site.close()


def _lots(feed: SmallFeed, lot: Callable[[int], dict[str, Any]], **fields: Any) -> None:
    """Let each car have the lot that `lot` gives for its id, and these fields."""
    feed.show = lambda page: Reply(
        body={
            "data": [{**r, "lots": [lot(r["id"])], **fields} for r in feed.records(page)],
            "meta": feed.meta(page),
        }
    )


def _column(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(column for column in report["columns"] if column["name"] == name)


@pytest.mark.parametrize(("value", "why"), WHY.values(), ids=WHY)
def test_a_value_that_became_the_default_is_counted_and_told(
    feed: SmallFeed, site: SmallSite, value: object, why: str
) -> None:
    _lots(feed, lambda i: {"buy_now": value if i in {7, 31} else 1000})
    ended = site.sync()
    assert _column(ended.report, "price") == {
        "name": "price",
        "unread": 2,
        "unread_id": "7",
        "unread_why": why,
        "emptied": 0,
        "emptied_id": None,
        "emptied_from": None,
        "is_absent": False,
    }
    assert f"price: 2 of 40 values could not be read and became the default; car 7: {why}" in (
        " ".join(ended.said.split())
    )


def test_a_column_that_lost_values_is_told_by_the_run_its_report_and_runs_show(
    feed: SmallFeed, site: SmallSite
) -> None:
    _lots(feed, lambda i: {"buy_now": 1000 + i, "odometer": {"km": 5}})
    site.sync()
    _lots(feed, lambda i: {"buy_now": None if i in {7, 8} else 1000 + i, "odometer": {"km": 5}})
    ended = site.sync()
    column = _column(ended.report, "price")
    assert [column[n] for n in ("emptied", "emptied_id", "emptied_from")] == [2, "7", "1007"]
    told = "price: 2 of 40 known cars lost the value; car 7 had 1007"
    assert told in " ".join(ended.said.split())
    run_id = str(ended.report["run_id"])
    shown = site.run("runs", "show", run_id, "--json").report
    assert _column(shown["summary"], "price") == column
    assert "emptied in 2 cars, car 7 had 1007" in site.run("runs", "show", run_id).out
    assert _column(site.run("report", run_id, "--json").report, "price") == column
    page = site.run("report", run_id, "-o", "-").out
    assert "1007" in page
    assert "No price moved" not in page


def test_what_is_usual_is_counted_without_a_note(feed: SmallFeed, site: SmallSite) -> None:
    feed.ids = list(range(1, 202))
    _lots(feed, lambda i: {"buy_now": "ask" if i == 7 else 1000})
    ended = site.sync()
    assert _column(ended.report, "price")["unread"] == 1
    assert "could not be read and" not in ended.said


def test_a_resumed_run_keeps_the_counts_of_the_pages_that_it_had(
    feed: SmallFeed, site: SmallSite
) -> None:
    _lots(feed, lambda i: {"buy_now": "ask" if i in {7, 31} else 1000})
    whole = feed.show
    feed.show = lambda page: whole(page) if page == 1 else Reply(401, {})
    site.sync(expect=3)
    feed.show = whole
    ended = site.sync()
    assert ended.report["figures"]["pages_resumed"] == 1
    assert _column(ended.report, "price")["unread"] == 2


def test_new_fields_and_vanished_ones_are_told_once(feed: SmallFeed, site: SmallSite) -> None:
    path = "lots[status.name=sale | status.name=upcoming | status.name!=sold | 0].buy_now"
    _lots(feed, lambda i: {"buy_now": 1000}, vin="A")
    first = " ".join(site.sync().said.split())
    assert "no record of the feed has a value for" in first
    assert f"price ({path})" not in first
    _lots(feed, lambda i: {"Price": 1000})
    said = " ".join(site.sync().said.split())
    assert (
        f"no record of the feed has a value for buy_now_price ({path}), price ({path}), vin (vin): "
        "records of the last run had one"
    ) in said
    assert "the records have fields that are new: lots.0.Price" in said
    again = site.sync().said
    assert "no record of the feed" not in again
    assert "are new" not in again


def test_what_the_table_refuses_is_not_merged_again_but_read_anew(
    feed: SmallFeed, site: SmallSite
) -> None:
    _lots(feed, lambda i: {"lot": str(i)})
    site.sync()
    ask(site.dsn, "CREATE UNIQUE INDEX ON cars (lot_number)")
    _lots(feed, lambda i: {"lot": "1"})
    refused = site.sync(expect=4)
    assert "reads the feed anew" in refused.report["hint"]
    assert "resumes" not in refused.report["hint"]
    _lots(feed, lambda i: {"lot": str(i)})
    assert site.sync_again(0).report["figures"]["pages_resumed"] == 0
    assert feed.pages_asked()
    ask(
        site.dsn,
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';"
        "CREATE TRIGGER keep BEFORE UPDATE ON cars FOR EACH ROW WHEN (OLD.id = '7') "
        "EXECUTE FUNCTION keep()",
    )
    _lots(feed, lambda i: {"lot": "3" if i == 2 else str(100 * i if i > 3 else i)})
    told = site.sync(expect=5)
    counts = told.report["counts"]
    assert (counts["rejected"], counts["kept"], counts["updated"]) == (1, 1, CARS - 4)
    assert "1 car is not as the feed has them" in told.said
    assert "refuses car 2: duplicate key" in told.said
