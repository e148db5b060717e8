"""The preset against its own API as it is today: lots, prices, sold cars that answer 200."""

from __future__ import annotations

import pytest

from carsync.demo.cars import build_car, seed_key
from carsync.demo.feed import FIRST_ID, FeedOptions
from tests.e2e.conftest import OpenSite
from tests.support.folders import ROOT
from tests.support.site import ask

pytestmark = pytest.mark.quick

CARS = 400
FEED = FeedOptions(cars=CARS, seed=3, removed_share=0.05, changed_share=0.02, added_share=0)
CONFIG = str(ROOT / "config" / "auctionsapi.yaml")


def test_sold_cars_go_and_a_car_with_a_live_lot_shows_it(open_site: OpenSite) -> None:
    site = open_site(FEED, live=True, rate=400.0)
    del site.variables["PAGE_SIZE"], site.variables["RPS"]
    usual = {"limits.requests_per_second": 390, "api.pagination.page_size": 100}
    # Without totals and tombstones no run is complete by its counts: each absent car is asked for.
    site.settings.update({**usual, "api.params": {}, "api.removals.path": None})
    assert site.sync("--config", CONFIG).counts == {"seen": CARS, "inserted": CARS}
    rows = ask(
        site.dsn,
        "SELECT id::int, lot_number, is_live, current_bid, price, mileage, domain_name, image_url"
        " FROM cars ORDER BY id::int",
    )
    two_lots = [row for row in rows if row[0] % 14 == 0]
    assert len(two_lots) == 28
    for car_id, lot, is_live, bid, *_ in two_lots:
        assert (lot, is_live) == (f"{car_id * 10}", True)
        assert bid == build_car(seed_key(FEED.seed), car_id, 0)["lots"][0]["bid"]
    assert all(
        str(price).endswith(".1234") for i, *_, price, _, _, _ in rows if i % 10 == 0 and price
    )
    assert [row[5] for row in rows if row[0] % 100 == 0] == [0] * 4
    assert {row[6] for row in rows} == {"encar_com", "copart_com", "iaai_com"}

    site.api.show(1)
    site.api.reset()
    ended = site.sync("--config", CONFIG)
    gone = set(range(FIRST_ID, FIRST_ID + CARS)) - set(site.api.feed.at(1).ids)
    assert len(gone) == 20
    assert ended.counts["deactivated"] == 20
    inactive = ask(site.dsn, "SELECT id::int FROM cars WHERE NOT is_active")
    assert {car_id for (car_id,) in inactive} == gone
    asked = [path for _, path, _ in site.api.log if "/search-lot/" in path]
    assert {int(path.split("/")[-2]) // 10 for path in asked} >= gone
    assert not [path for _, path, status in site.api.log if status == 429]
