"""Tables of a marketplace's own: numbers as ids, columns of other types, two dealers' cars."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_api import Reply
from tests.support.quick_site import QuickSite
from tests.support.site import ask
from tests.support.small_feed import SmallFeed, SmallSite, car

MARKETPLACE = """
CREATE TYPE lot_state AS ENUM ('sale', 'sold');
CREATE DOMAIN plate AS text CHECK (length(VALUE) < 9);
CREATE TABLE cars (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    make varchar(20), year smallint, price numeric(10,2), mileage bigint, vin character(17),
    images json, "Lot-State" lot_state, plate plate, seen date, dealer uuid, photos text[],
    updated_at timestamp
)
"""
DEALER = "2f1e9a7c-0000-4000-8000-00000000abcd"
COLUMNS = {
    "Lot-State": {"path": "state"},
    "plate": {"path": "plate"},
    "seen": {"path": "seen", "type": "date"},
    "dealer": {"path": "dealer", "type": "uuid"},
    "photos": {"path": "photos", "type": "text[]"},
    "mileage": {"path": "km", "type": "bigint"},
}
FULL = {
    "year": 2019,
    "state": "sale",
    "plate": "AB 123",
    "seen": "2026-05-01T23:59:00-08:00",
    "dealer": DEALER.upper(),
    "photos": ['a "b".jpg', "c\\d.jpg"],
    "km": 2553571660,
}


@pytest.fixture
def feed() -> Iterator[SmallFeed]:
    with SmallFeed(size=20) as feed:
        yield feed


@pytest.fixture
def site(feed: SmallFeed, empty_dsn: str, tmp_path: Path) -> Iterator[SmallSite]:
    site = QuickSite(feed, empty_dsn, tmp_path)
    site.settings["sync.plausible"] = None
    yield site
    site.close()


def _serve(feed: SmallFeed, records: list[dict[str, Any]]) -> None:
    feed.show = lambda page: Reply(
        body={"data": records if page == 1 else [], "meta": {"total": len(records), "last_page": 1}}
    )


def test_a_table_of_other_types_is_adopted_as_it_is(feed: SmallFeed, site: SmallSite) -> None:
    """Each value that a column cannot hold costs its record alone, each odd spelling is one car."""
    ask(site.dsn, MARKETPLACE)
    for name, rule in COLUMNS.items():
        site.settings[f"mapping.columns.{name}"] = rule
    site.settings["sync.max_reject_share"] = 1
    good = ["007", " 8", "+9", 10, 7.0]
    bad = ["7.5", "abc", 10**19]
    misfits: list[dict[str, Any]] = [
        {"state": "stolen"}, {"plate": "123456789"}, {"year": 40000}, {"dealer": "x"},
    ]  # fmt: skip
    records = [car(0, **{**FULL, "id": i}) for i in [*good, *bad]]
    records += [car(20 + n, **{**FULL, **misfit}) for n, misfit in enumerate(misfits)]
    _serve(feed, records)
    first = site.sync()
    assert first.report["counts"]["inserted"] == 4
    names = 'id, year, mileage, "Lot-State"::text, plate, seen::text, dealer::text, photos'
    rows = {i: rest for i, *rest in ask(site.dsn, f"SELECT {names} FROM cars")}
    assert rows.keys() == {7, 8, 9, 10}
    photos = ['a "b".jpg', "c\\d.jpg"]
    assert rows[7] == [2019, 2553571660, "sale", "AB 123", "2026-05-01", DEALER, photos]
    rejects = ask(site.dsn, "SELECT record_id, column_name FROM carsync.rejects ORDER BY ordinal")
    assert [i for i, _ in rejects] == ["7.5", "abc", str(10**19), "20", "21", "22", "23"]
    before = site.writes()
    assert site.sync().report["counts"]["unchanged"] == 4
    assert site.writes() == before
    _serve(feed, [r for r in records if r["id"] not in (10, 7.0)])
    feed.ids = [7, 8, 9]
    feed.tell = feed.honest_record
    site.settings["sync.deactivate.max_share"] = 1
    assert site.sync().report["counts"]["deactivated"] == 1
    assert ask(site.dsn, "SELECT id FROM cars WHERE is_active ORDER BY id") == [(7,), (8,), (9,)]


def test_two_dealers_with_the_same_numbers_share_a_table(feed: SmallFeed, site: SmallSite) -> None:
    """`{source}` is sync.source; a record that lacks a part of its id is rejected."""
    site.settings["mapping.columns.external_id"] = {"path": "id"}
    site.settings["mapping.columns.id"] = {"template": "{source}-{.id}"}
    feed.ids = [0, 1, 2]
    for source in ("north", "south"):
        counts = site.sync(sync__source=source).report["counts"]
        assert (counts["inserted"], counts["deactivated"]) == (3, 0)
    _serve(feed, [car(0), car(1), {**car(2), "id": None}])
    site.settings["sync.max_reject_share"] = 1
    ended = site.sync(expect=6, sync__source="south")
    assert ended.report["counts"]["rejected"] == 1
    found = ask(site.dsn, "SELECT id, external_id FROM cars WHERE is_active ORDER BY id")
    assert found == [(f"{s}-{i}", str(i)) for s in ("north", "south") for i in range(3)]
    reasons = ask(site.dsn, "SELECT column_name, reason FROM carsync.rejects")
    assert reasons == [("id", "id is missing, and the id needs it")]
