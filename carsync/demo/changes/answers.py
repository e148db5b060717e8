"""What the simulated API tells of changes, in windows and tombstones, and how it may lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import formatdate
from itertools import islice
from typing import Any

from msgspec import Struct

from carsync.demo.asked import Record
from carsync.demo.cars import moment
from carsync.demo.changes.timeline import HOUR_S, Timeline, Tombstone
from carsync.demo.changes.window import Window, WindowRefusedError
from carsync.demo.feed import Feed, FeedSnapshot
from carsync.demo.lots import RESOLD_EVERY, as_live

HANG_S = 120.0
CHANGE_LIES = {
    "window-ignored": "The window's parameter is ignored: all cars are listed.",
    "window-small": "A window of more than an hour is answered 400.",
    "date-missing": "No answer has a Date.",
    "date-ahead": "The Date of all answers is an hour ahead of the API's clock.",
    "date-behind": "The Date of all answers is an hour behind the API's clock.",
    "removals-404": "Tombstones are answered 404.",
    "removals-500": "Tombstones are answered 500.",
    "removals-hang": f"Tombstones are answered after {HANG_S:.0f} s.",
    "tombstones-unknown": "There are tombstones of cars that nobody ever listed.",
    "tombstones-other-lot": "Cars that are listed by one lot have a tombstone of another one.",
    "tombstones-older": "Cars that changed have a tombstone of the minute before.",
}
"""Lies about changes, each with its description; any of them go together."""
_UNKNOWN_IDS = (999_000_001, 999_000_002, 999_000_003)
_UNSOLD_EVERY = 10
_OTHER_LOTS = 3


class ChangeAnswers:
    """Tells what changed since a time of the API's clock."""

    def __init__(self, feed: Feed, timeline: Timeline, window: Window) -> None:
        self._feed = feed
        self._timeline = timeline
        self._window = window
        self.lies: frozenset[str] = frozenset()

    def listed(self, query: Mapping[str, str]) -> FeedSnapshot:
        """Return the cars that a request wants: all, or those changed in its window."""
        since_s = self._since_s(query)
        if since_s is None or "window-ignored" in self.lies:
            return self._timeline.shown
        return self._timeline.changed_since(since_s)

    def removed(self, query: Mapping[str, str]) -> TombstoneListing:
        """Return the tombstones that a request wants: all, or those of its window."""
        since_s = self._since_s(query)
        found = self._timeline.removed_since(since_s)
        if "tombstones-unknown" in self.lies:
            found += [Tombstone(i, 0, self._timeline.now_s - 60) for i in _UNKNOWN_IDS]
        if "tombstones-other-lot" in self.lies:
            found += self._other_lots()
        if "tombstones-older" in self.lies:
            found += self._older_tombstones(since_s or 0.0)
        return TombstoneListing(self._feed, found)

    def date(self) -> str | None:
        """Return the header `Date` of an answer (RFC 9110, 5.6.7)."""
        if "date-missing" in self.lies:
            return None
        off_s = HOUR_S * (("date-ahead" in self.lies) - ("date-behind" in self.lies))
        return formatdate(self._timeline.now_s + off_s, usegmt=True)

    def _since_s(self, query: Mapping[str, str]) -> float | None:
        text, now_s = query.get(self._window.param), self._timeline.now_s
        if text is None:
            return None
        since_s = self._window.since_s(text, now_s)
        if "window-small" in self.lies and now_s - since_s > HOUR_S:
            raise WindowRefusedError("the window is longer than an hour", 400)
        return since_s

    def _other_lots(self) -> Iterable[Tombstone]:
        shown, at_s = self._timeline.shown, self._timeline.now_s - 60
        resold = (car_id for car_id in shown.ids if car_id % RESOLD_EVERY == 0)
        for car_id in islice(resold, _OTHER_LOTS):
            yield Tombstone(car_id, shown.version(car_id) or 0, at_s, 0)

    def _older_tombstones(self, since_s: float) -> Iterable[Tombstone]:
        changed = self._timeline.changed_since(since_s + 60)
        for car_id, version in zip(changed.ids, changed.versions, strict=True):
            yield Tombstone(car_id, version, changed.times[car_id] - 60)


class TombstoneListing(Struct, frozen=True):
    """Tombstones as a list of flat records, whose prices and dates are wrapped."""

    feed: Feed
    tombstones: list[Tombstone]

    def __len__(self) -> int:
        return len(self.tombstones)

    def records(self, start: int, stop: int) -> list[Record]:
        """Return the records from place `start` to before `stop`."""
        return [self._record(tombstone) for tombstone in self.tombstones[start:stop]]

    def record(self, record_id: str) -> Record | None:
        """Return None: a tombstone has no address of its own."""
        return None

    def _record(self, tombstone: Tombstone) -> Record:
        car = as_live(self.feed.car(tombstone.car_id, tombstone.version))
        lot, at = car["lots"][tombstone.lot], moment(tombstone.at_s)
        is_sold = tombstone.car_id % _UNSOLD_EVERY != 0

        def wrap(value: Any) -> Record:
            return {"value": value, "updated_at": at}

        return {
            "lot_id": lot["id"],
            "car_id": tombstone.car_id,
            "lot": lot["lot"],
            "domain": lot["domain"],
            "vin": car["vin"],
            "status": {"name": "sold" if is_sold else "not sold"},
            "archived_at": at,
            "bid": wrap(lot["bid"]),
            "final_bid": wrap(lot["bid"] if is_sold else None),
            "sale_date": wrap(at),
        }
