"""A feed of a few cars that tells what changed, and has tombstones for those that were sold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from tests.support.configs import REMOVALS
from tests.support.fake_api import Arrival, Reply
from tests.support.quick_site import QuickSite
from tests.support.small_feed import SmallFeed, car


def tombstone(number: int, bid: float | None = 9000, ago_s: float = 0.0) -> dict[str, Any]:
    """Return the tombstone of a car that went `ago_s` seconds ago."""
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    told = {"car_id": number, "archived_at": at.isoformat()}
    return told if bid is None else {**told, "final_bid": {"value": bid}}


class SoldFeed(SmallFeed):
    """Lists `ids`, and to who asks for minutes only `changed`; `tombstones` are five to a page.

    `remove(page, reply)` may change the answer of a page of tombstones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.size = 5
        self.changed: list[int] = []
        self.tombstones: list[dict[str, Any]] = []
        self.remove: Callable[[int, Reply], Reply] = lambda page, reply: reply

    def sell(self, *numbers: int, **told: Any) -> None:
        """Take cars out of the feed, and tell it."""
        self.ids = [i for i in self.ids if i not in numbers]
        self.tombstones += [tombstone(number, **told) for number in numbers]

    def answer(self, arrival: Arrival) -> Reply:
        """Log the request and answer it; each answer tells the time."""
        page = arrival.page or 1
        if arrival.path == "/archived-lots":
            self.arrivals.append(arrival)
            reply = self.remove(page, self._show(self.tombstones, page))
        elif arrival.path == "/cars" and "minutes" in arrival.query:
            self.arrivals.append(arrival)
            reply = self._show([car(i) for i in self.changed], page)
        else:
            reply = super().answer(arrival)
        date = format_datetime(datetime.now(UTC), usegmt=True)
        return Reply(reply.status, reply.body, {**reply.headers, "Date": date}, reply.delay_s)

    def _show(self, records: list[dict[str, Any]], page: int) -> Reply:
        meta = {"total": len(records), "last_page": max(1, -(-len(records) // self.size))}
        shown = records[(page - 1) * self.size : page * self.size]
        return Reply(body={"data": shown, "meta": meta})

    def asked(self) -> list[str]:
        """Return the path of each request, in order of arrival."""
        return [arrival.path for arrival in self.arrivals]


class SoldSite(QuickSite):
    """A site of such a feed; `feed` is the feed."""

    def __init__(self, feed: SoldFeed, dsn: str, folder: Path) -> None:
        super().__init__(feed, dsn, folder)
        self.settings["api.window.param"] = "minutes"
        self.settings["api.removals"] = REMOVALS
        self.settings["api.record"] = None
