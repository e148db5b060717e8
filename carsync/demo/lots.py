"""Cars by their lots, as the preset's own API shows them today.

About 7 of 100 cars have two lots, one of them sold; prices may be wrapped, and some mileages fit
no integer column.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from carsync.demo.feed import Feed, FeedSnapshot

DOMAINS = ("encar_com", "copart_com", "iaai_com")
HUGE_KM = 2_553_571_660
RESOLD_EVERY, _WRAPPED_EVERY, _HUGE_EVERY = 14, 10, 100
LOTS_A_CAR = 10
_Record = dict[str, Any]


class LotListing(Struct, frozen=True):
    """A snapshot as a list of cars with their lots."""

    feed: Feed
    snapshot: FeedSnapshot

    def __len__(self) -> int:
        return len(self.snapshot.ids)

    def records(self, start: int, stop: int) -> list[_Record]:
        """Return the records from place `start` to before `stop`."""
        return [as_live(each) for each in self.feed.records(self.snapshot, slice(start, stop))]

    def record(self, record_id: str) -> _Record | None:
        """Return the record with this id, or None where the snapshot does not list it."""
        is_id = record_id.isascii() and record_id.isdigit() and len(record_id) < 19
        record = self.feed.record(self.snapshot, int(record_id)) if is_id else None
        return None if record is None else as_live(record)


def as_live(record: _Record) -> _Record:
    """Give a car its lots: the one on sale is the last one where there is another."""
    car_id = record["id"]
    lot = record["lots"][0]
    photos = lot["images"]
    domain = car_id % len(DOMAINS)
    lot |= {
        "lot": str(car_id * LOTS_A_CAR),
        "domain": {"id": domain + 1, "name": DOMAINS[domain]},
        "archived": None,
        "images": {**photos, "downloaded": photos["normal"][:2] if car_id % 2 else None},
    }
    if lot["buy_now"] is not None and car_id % _WRAPPED_EVERY == 0:
        price = {"value": lot["buy_now"] + 0.1234, "updated_at": lot["buy_now_updated_at"]}
        lot["buy_now"] = price
    if car_id % _HUGE_EVERY == 0:
        lot["odometer"] = {**lot["odometer"], "km": HUGE_KM}
    if car_id % RESOLD_EVERY == 0:
        lot["status"] = {"id": 3, "name": "sale"}
        before = {
            **lot,
            "id": lot["id"] + 1,
            "lot": str(car_id * LOTS_A_CAR + 1),
            "status": {"id": 4, "name": "sold"},
            "bid": 1,
            "buy_now": 2,
            "final_bid": lot["bid"],
        }
        record["lots"] = [before, lot]
    return record


def as_sold(record: _Record) -> _Record:
    """Return the record of a car that was sold: 200, and each of its lots is archived."""
    sold = {"status": {"id": 4, "name": "sold"}, "archived": True}
    return {**record, "lots": [{**lot, **sold, "final_bid": lot["bid"]} for lot in record["lots"]]}
