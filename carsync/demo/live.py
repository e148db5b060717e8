"""The simulated API as the preset's own one is today: pages without totals, cars by their lots.

    GET {prefix}/cars?page=N&per_page=S       {"data": [record…], "links": {…}, "meta": {…}}
    GET {prefix}/search-lot/{lot}/{domain}    {"data": record}; a sold lot too, archived
    GET {prefix}/search-vin/{vin}             the same by the car's number

`simple_paginate=0` in the query brings the totals. Past the end there is no record, and
`links.next` is null. About 7 of 100 cars have two lots, one of them sold; prices may be wrapped,
and some mileages fit no integer column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from carsync.demo.asked import Said
from carsync.demo.feed import FIRST_ID, Feed, FeedSnapshot

DOMAINS = ("encar_com", "copart_com", "iaai_com")
HUGE_KM = 2_553_571_660
_RESOLD_EVERY, _WRAPPED_EVERY, _HUGE_EVERY = 14, 10, 100
_LOTS_A_CAR = 10
_Record = dict[str, Any]
_GONE = Said(404, {"message": "Not found"})


class LiveFeed:
    """A feed as the live API shows it; what left a snapshot is sold."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def answer(
        self,
        snapshot: FeedSnapshot,
        route: str,
        query: Mapping[str, str],
        address: str,
        page_size: int,
        max_page_size: int,
    ) -> Said:
        """Answer a request for `route`, the path behind the prefix; `address` is the feed's own."""
        match route.strip("/").split("/"):
            case ["cars"]:
                try:
                    page, size = int(query.get("page", 1)), int(query.get("per_page", page_size))
                except ValueError:
                    page = size = 0
                if page < 1 or size < 1:
                    return Said(422, {"message": "page and per_page are whole numbers from 1 on"})
                has_totals = query.get("simple_paginate") == "0"
                return self._page(snapshot, page, min(size, max_page_size), address, has_totals)
            case ["search-lot", lot, domain]:
                return self._by_lot(snapshot, lot, domain)
            case ["search-vin", vin]:
                return self._by_vin(snapshot, vin)
        return _GONE

    def _page(
        self, snapshot: FeedSnapshot, page: int, size: int, address: str, has_totals: bool
    ) -> Said:
        start, total = (page - 1) * size, len(snapshot.ids)
        records = [
            _as_live(each) for each in self._feed.records(snapshot, slice(start, start + size))
        ]
        last = self._feed.page_count(snapshot, size)

        def link(number: int | None) -> str | None:
            query = urlencode({"page": number, "per_page": size})
            return None if number is None else f"{address}?{query}"

        links = {
            "first": link(1),
            "last": link(last) if has_totals else None,
            "prev": link(page - 1 if page > 1 else None),
            "next": link(page + 1 if page < last else None),
        }
        meta = {
            "current_page": page,
            "from": start + 1 if records else None,
            "path": address,
            "per_page": size,
            "to": start + len(records) if records else None,
        }
        totals = {"last_page": last, "total": total} if has_totals else {}
        return Said(body={"data": records, "links": links, "meta": {**meta, **totals}})

    def _by_lot(self, snapshot: FeedSnapshot, lot: str, domain: str) -> Said:
        number = int(lot) if lot.isascii() and lot.isdecimal() and len(lot) < 19 else 0
        record = self._find(snapshot, number // _LOTS_A_CAR)
        lots = record["lots"] if record else []
        is_known = any(each["lot"] == lot and each["domain"]["name"] == domain for each in lots)
        return Said(body={"data": record}) if is_known else _GONE

    def _by_vin(self, snapshot: FeedSnapshot, vin: str) -> Said:
        for car_id in range(FIRST_ID, snapshot.next_id):
            if self._feed.car(car_id, 0)["vin"] == vin:
                return Said(body={"data": self._find(snapshot, car_id)})
        return _GONE

    def _find(self, snapshot: FeedSnapshot, car_id: int) -> _Record | None:
        """Return a car of the snapshot or, sold, one of an earlier snapshot."""
        listed = self._feed.record(snapshot, car_id)
        if listed is not None:
            return _as_live(listed)
        if not FIRST_ID <= car_id < snapshot.next_id:
            return None
        return _sold(_as_live(self._feed.car(car_id, 0)))


def _as_live(record: _Record) -> _Record:
    """Give a car its lots: the one on sale is the last one where there is another."""
    car_id = record["id"]
    lot = record["lots"][0]
    photos = lot["images"]
    domain = car_id % len(DOMAINS)
    lot |= {
        "lot": str(car_id * _LOTS_A_CAR),
        "domain": {"id": domain + 1, "name": DOMAINS[domain]},
        "archived": None,
        "images": {**photos, "downloaded": photos["normal"][:2] if car_id % 2 else None},
    }
    if lot["buy_now"] is not None and car_id % _WRAPPED_EVERY == 0:
        price = {"value": lot["buy_now"] + 0.1234, "updated_at": lot["buy_now_updated_at"]}
        lot["buy_now"] = price
    if car_id % _HUGE_EVERY == 0:
        lot["odometer"] = {**lot["odometer"], "km": HUGE_KM}
    if car_id % _RESOLD_EVERY == 0:
        lot["status"] = {"id": 3, "name": "sale"}
        before = {
            **lot,
            "id": lot["id"] + 1,
            "lot": str(car_id * _LOTS_A_CAR + 1),
            "status": {"id": 4, "name": "sold"},
            "bid": 1,
            "buy_now": 2,
            "final_bid": lot["bid"],
        }
        record["lots"] = [before, lot]
    return record


def _sold(record: _Record) -> _Record:
    """Return the record of a car that was sold: 200, and each of its lots is archived."""
    sold = {"status": {"id": 4, "name": "sold"}, "archived": True}
    return {**record, "lots": [{**lot, **sold, "final_bid": lot["bid"]} for lot in record["lots"]]}
