"""A feed of a few cars that lies in one way, for the whole command to be tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.fake_api import Arrival, Reply, ScriptedApi
from tests.support.site import Ended, Site

Meta = dict[str, Any]


def car(number: int, **fields: Any) -> dict[str, Any]:
    """Return the record of a car as the preset reads it."""
    return {"id": number, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}, **fields}


class SmallFeed(ScriptedApi):
    """Lists `ids`, `size` to a page; a test replaces what of it lies.

    `meta(page)` are the totals, `show(page)` the whole answer of a page, `tell(id)` that of a
    record: None where there are no by-id requests.
    """

    def __init__(self, cars: int = 11, size: int = 1, *, is_by_id: bool = False) -> None:
        super().__init__()
        self.ids = list(range(1, cars + 1))
        self.size = size
        self.meta: Callable[[int], Meta | None] = self.honest_meta
        self.show: Callable[[int], Reply] = self.honest_page
        self.tell: Callable[[int], Reply] | None = self.honest_record if is_by_id else None

    def honest_meta(self, page: int) -> Meta | None:
        """Return the true totals."""
        return {"total": len(self.ids), "last_page": max(1, -(-len(self.ids) // self.size))}

    def records(self, page: int) -> list[dict[str, Any]]:
        """Return the records of a page; pages count from 1."""
        return [car(i) for i in self.ids[max(0, page - 1) * self.size : page * self.size]]

    def honest_page(self, page: int) -> Reply:
        """Answer a page with its records and `meta`."""
        body: dict[str, Any] = {"data": self.records(page)}
        if (meta := self.meta(page)) is not None:
            body["meta"] = meta
        return Reply(body=body)

    def honest_record(self, number: int) -> Reply:
        """Answer a record: 200 where the feed lists the car, 404 elsewhere."""
        return Reply(body={"data": car(number)}) if number in self.ids else Reply(404, {})

    def answer(self, arrival: Arrival) -> Reply:
        """Log the request and answer it."""
        self.arrivals.append(arrival)
        if arrival.page is not None or arrival.path == "/cars":
            return self.show(1 if arrival.page is None else arrival.page)
        number = arrival.path.rpartition("/")[2]
        if self.tell is None or not number.isdigit():
            return Reply(404, {"message": "no such path"})
        return self.tell(int(number))

    def pages_asked(self) -> list[int]:
        """Return the page of each request for one, in order of arrival."""
        return [arrival.page for arrival in self.arrivals if arrival.page is not None]


class SmallSite(Site):
    """A site of a small feed: a record to a page, no key, no rate limit."""

    def __init__(self, feed: SmallFeed, dsn: str, folder: Path) -> None:
        super().__init__(feed.base_url, "none", dsn, folder)
        self.feed = feed
        self.variables["PAGE_SIZE"] = str(feed.size)
        del self.variables["API_KEY"]
        self.settings["api.auth.type"] = "none"

    def listing(self) -> list[Reply]:
        """Return all pages as the feed shows them now; nothing of it may be out of order yet."""
        pages = range(1, 1 - (-len(self.feed.ids) // self.feed.size))
        return [self.feed.show(page) for page in pages]

    def living(self) -> set[int]:
        """Return the active ids of the table."""
        return {int(i) for i in self.active()}

    def sync_again(self, expect: int, **settings: Any) -> Ended:
        """Sync with what is asked counted from 0."""
        self.feed.arrivals.clear()
        return self.sync(expect=expect, **settings)
