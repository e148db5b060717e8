"""The simulated API's clock, and what changed in its feed at which time."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from carsync.demo.feed import Feed, FeedSnapshot

HOUR_S = 3600
_KEPT_PARTS = 8


class Lateness(Struct, frozen=True):
    """This share (0 to 1) of the changes is shown only so many minutes after its time."""

    share: float = 0.0
    minutes: float = 10.0


class Change(Struct, frozen=True):
    """A change of a car from one version to another; None: the car is not listed."""

    car_id: int
    old: int | None
    new: int | None
    at_s: float
    shown_s: float


class Tombstone(Struct, frozen=True):
    """A car that left the feed at this time, with its last version, and which of its lots."""

    car_id: int
    version: int
    at_s: float
    lot: int = -1


class Timeline:
    """Shows snapshot after snapshot of a feed, one an hour of the API's own clock.

    The clock is the machine's, or stands at `clock_s` seconds since 1970 until it is moved.
    """

    def __init__(
        self,
        feed: Feed,
        number: int,
        clock_s: float | None = None,
        late: Lateness | None = None,
        machine_clock: Callable[[], float] = time.time,
    ) -> None:
        self._feed = feed
        self._newest = self._shown = feed.at(number)
        self._late = late or Lateness()
        self._machine_clock = machine_clock if clock_s is None else lambda: 0.0
        self._ahead_s = clock_s or 0.0
        self._hidden: dict[int, Change] = {}
        self._times: dict[int, float] = {}
        self._tombstones: list[Tombstone] = []
        self._editions = 0
        self._parts: dict[tuple[int, float], FeedSnapshot] = {}

    @property
    def now_s(self) -> float:
        """The time of the API's clock in seconds since 1970."""
        return self._machine_clock() + self._ahead_s

    def set_clock(self, at_s: float) -> None:
        """Set the clock, backwards too; nothing that was shown is hidden again."""
        self._ahead_s = at_s - self._machine_clock()

    @property
    def shown(self) -> FeedSnapshot:
        """What the API lists now: the newest snapshot without the changes that are late."""
        now_s = self.now_s
        due = [change for change in self._hidden.values() if change.shown_s <= now_s]
        if due:
            for change in due:
                self._show(change)
            self._renew()
        return self._shown

    def jump(self, number: int) -> None:
        """Show snapshot `number`; all that differs changes now, at one time."""
        snapshot, now_s = self._feed.at(number), self.now_s
        changes = (Change(*each, now_s, now_s) for each in _differing(self._newest, snapshot))
        self._take(snapshot, changes)

    def advance(self, hours: int, *, at_once: bool = False) -> None:
        """Move the clock on, a snapshot an hour, each change at a second of its hour.

        With `at_once` all changes of an hour have one time, in its middle.
        """
        for _ in range(hours):
            self._take_hour(at_once=at_once)
            self._ahead_s += HOUR_S

    def changed_since(self, since_s: float) -> FeedSnapshot:
        """Return the part of what is shown that was added or changed at `since_s` or later."""
        shown = self.shown
        key = (shown.edition, since_s)
        if key not in self._parts:
            while len(self._parts) >= _KEPT_PARTS:
                del self._parts[next(iter(self._parts))]
            ids = sorted(car_id for car_id, at_s in self._times.items() if at_s >= since_s)
            cars = [(car_id, v) for car_id in ids if (v := shown.version(car_id)) is not None]
            self._parts[key] = self._edit(shown, dict(cars))
        return self._parts[key]

    def removed_since(self, since_s: float | None) -> list[Tombstone]:
        """Return who left at `since_s` or later, or ever, in the order of time."""
        self.shown  # noqa: B018 - what is due is shown first
        found = [t for t in self._tombstones if since_s is None or t.at_s >= since_s]
        return sorted(found, key=lambda tombstone: (tombstone.at_s, tombstone.car_id))

    def _take_hour(self, *, at_once: bool) -> None:
        snapshot = self._feed.at(self._newest.number + 1)
        draw = random.Random(f"{self._feed.options.seed}:{snapshot.number}:times")
        begin_s = float(int(self.now_s))

        def changes() -> Iterator[Change]:
            for each in _differing(self._newest, snapshot):
                second = HOUR_S // 2 if at_once else draw.randint(1, HOUR_S)
                is_late = draw.random() < self._late.share
                at_s = begin_s + second
                yield Change(*each, at_s, at_s + is_late * 60 * self._late.minutes)

        self._take(snapshot, changes(), until_s=begin_s + HOUR_S)

    def _take(
        self, snapshot: FeedSnapshot, changes: Iterator[Change], until_s: float | None = None
    ) -> None:
        """Make `snapshot` the newest, hiding the changes that are shown after `until_s` only."""
        for change in changes:
            if (before := self._hidden.get(change.car_id)) is not None:
                self._show(before)
            if until_s is not None and change.shown_s > until_s:
                self._hidden[change.car_id] = change
            else:
                self._show(change)
        self._newest = snapshot
        self._renew()

    def _show(self, change: Change) -> None:
        self._hidden.pop(change.car_id, None)
        if change.new is not None:
            self._times[change.car_id] = change.at_s
            return
        self._times.pop(change.car_id, None)
        self._tombstones.append(Tombstone(change.car_id, change.old or 0, change.at_s))

    def _renew(self) -> None:
        newest = replace(self._newest, times=dict(self._times))
        cars = dict(zip(newest.ids, newest.versions, strict=True)) if self._hidden else None
        if cars is None:
            self._editions += 1
            self._shown = replace(newest, edition=self._editions)
            return
        for change in self._hidden.values():
            cars.pop(change.car_id, None)
            if change.old is not None:
                cars[change.car_id] = change.old
        self._shown = self._edit(newest, cars)

    def _edit(self, snapshot: FeedSnapshot, cars: dict[int, int]) -> FeedSnapshot:
        """Return an edition of a snapshot that lists these cars, id → version."""
        self._editions += 1
        ids = array("q", sorted(cars))
        versions = array("i", (cars[car_id] for car_id in ids))
        return replace(snapshot, ids=ids, versions=versions, edition=self._editions)


def _differing(
    old: FeedSnapshot, new: FeedSnapshot
) -> Iterator[tuple[int, int | None, int | None]]:
    """Give (id, old version, new version) of each car that differs, in the order of ids."""
    before, after = (dict(zip(each.ids, each.versions, strict=True)) for each in (old, new))
    pairs = ((i, before.get(i), after.get(i)) for i in sorted(before.keys() | after.keys()))
    return (pair for pair in pairs if pair[1] != pair[2])
