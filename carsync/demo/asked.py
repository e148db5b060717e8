"""What a simulated feed is asked for, a page or a car, and what it says."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct

Record = dict[str, Any]


class Listing(Protocol):
    """The cars that a feed lists, in its order."""

    def __len__(self) -> int: ...

    def records(self, start: int, stop: int) -> list[Record]:
        """Return the records from place `start` (0 or more) to before `stop`."""
        ...

    def record(self, record_id: str) -> Record | None:
        """Return the record with this id; None where the feed does not list it."""
        ...


class Said(Struct, frozen=True):
    """An answer: `body` is JSON-ready data; an answer that is not `has_body` has none at all."""

    status: int = 200
    body: Any = None
    has_body: bool = True
    retry_after_s: int | None = None


_NO_CAR = Said(404, {"message": "no such car"})


class PageAsked(Struct, frozen=True):
    """A request for a page.

    `number` counts the requests for pages from 1. `depth` is the page from which on, or up to
    which, some lies lie. `totals`: the feed reports any.
    """

    listing: Listing
    page: int
    size: int
    number: int = 1
    depth: int = 3
    totals: bool = True

    @property
    def last_page(self) -> int:
        """The number of the true last page; an empty feed has one page."""
        return max(1, -(-len(self.listing) // self.size))

    @property
    def records(self) -> list[Record]:
        """The records of the page."""
        return self.listing.records(max(0, self.page - 1) * self.size, self.page * self.size)

    def answer(self, shown: list[Record] | None = None, **meta: int | None) -> Said:
        """Answer with the page's records, or `shown`, and the true totals but for `meta`."""
        body: Record = {"data": self.records if shown is None else shown}
        if self.totals:
            true = {"current_page": self.page, "last_page": self.last_page, "per_page": self.size}
            told = {**true, "total": len(self.listing), **meta}
            body["meta"] = {name: number for name, number in told.items() if number is not None}
        return Said(body=body)


class CarAsked(Struct, frozen=True):
    """A request for a car by its id, which has the form of one that may exist."""

    listing: Listing
    record_id: str

    def answer(self, absent: Said = _NO_CAR) -> Said:
        """Answer with the car's record; with `absent` where the feed does not list it."""
        record = self.listing.record(self.record_id)
        return absent if record is None else Said(body={"data": record})

    def like_a_listed(self, **fields: Any) -> Said:
        """Answer with a record of this id, made from a listed one where there is none."""
        model = self.listing.record(self.record_id) or next(iter(self.listing.records(0, 1)), {})
        is_number = self.record_id.isdecimal()
        return Said(
            body={
                "data": {
                    **model,
                    "id": int(self.record_id) if is_number else self.record_id,
                    **fields,
                }
            }
        )
