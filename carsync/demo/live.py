"""The simulated API as the preset's own one is today: pages without totals, cars by their lots.

    GET {prefix}/cars?page=N&per_page=S       {"data": [record…], "links": {…}, "meta": {…}}
    GET {prefix}/archived-lots?page=N&…       the same with tombstones, flat
    GET {prefix}/search-lot/{lot}/{domain}    {"data": record}; a sold lot too, archived
    GET {prefix}/search-vin/{vin}             the same by the car's number

`minutes=N` in the query of the first two lists what was added or changed, or archived, in the
last N minutes of the API's clock. `simple_paginate=0` brings the totals. Past the end there is no
record, and `links.next` is null. `lots.py` has the cars' own oddities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from carsync.demo.asked import Listing, Said
from carsync.demo.changes.answers import ChangeAnswers
from carsync.demo.feed import FIRST_ID, Feed, FeedSnapshot
from carsync.demo.lots import LOTS_A_CAR, LotListing, as_live, as_sold

_Record = dict[str, Any]
_GONE = Said(404, {"message": "Not found"})


class LiveFeed:
    """A feed as the live API shows it; what left a snapshot is sold."""

    def __init__(self, feed: Feed, changes: ChangeAnswers) -> None:
        self._feed = feed
        self._changes = changes

    def answer(
        self,
        snapshot: FeedSnapshot,
        route: str,
        query: Mapping[str, str],
        address: str,
        page_size: int,
        max_page_size: int,
    ) -> Said:
        """Answer a request for `route`, the path behind the prefix, whose full one is `address`."""
        match route.strip("/").split("/"):
            case ["cars" | "archived-lots" as kind]:
                try:
                    page, size = int(query.get("page", 1)), int(query.get("per_page", page_size))
                except ValueError:
                    page = size = 0
                if page < 1 or size < 1:
                    return Said(422, {"message": "page and per_page are whole numbers from 1 on"})
                listing: Listing = (
                    LotListing(self._feed, self._changes.listed(query))
                    if kind == "cars"
                    else self._changes.removed(query)
                )
                return self._page(listing, page, min(size, max_page_size), address, query)
            case ["search-lot", lot, domain]:
                return self._by_lot(snapshot, lot, domain)
            case ["search-vin", vin]:
                return self._by_vin(snapshot, vin)
        return _GONE

    def _page(
        self, listing: Listing, page: int, size: int, address: str, query: Mapping[str, str]
    ) -> Said:
        start, total = (page - 1) * size, len(listing)
        records = listing.records(start, start + size)
        has_totals = query.get("simple_paginate") == "0"
        last = max(1, -(-total // size))
        kept = {"minutes": query["minutes"]} if "minutes" in query else {}

        def link(number: int | None) -> str | None:
            query = urlencode({"page": number, "per_page": size, **kept})
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
        record = self._find(snapshot, number // LOTS_A_CAR)
        lots = record["lots"] if record else []
        is_known = any(each["lot"] == lot and each["domain"]["name"] == domain for each in lots)
        return Said(body={"data": record}) if is_known else _GONE

    def _by_vin(self, snapshot: FeedSnapshot, vin: str) -> Said:
        for car_id in range(FIRST_ID, snapshot.next_id):
            if self._feed.vin(car_id) == vin:
                return Said(body={"data": self._find(snapshot, car_id)})
        return _GONE

    def _find(self, snapshot: FeedSnapshot, car_id: int) -> _Record | None:
        """Return a car of the snapshot or, sold, one of an earlier snapshot."""
        listed = self._feed.record(snapshot, car_id)
        if listed is not None:
            return as_live(listed)
        if not FIRST_ID <= car_id < snapshot.next_id:
            return None
        return as_sold(as_live(self._feed.car(car_id, snapshot.gone.get(car_id, 0))))
