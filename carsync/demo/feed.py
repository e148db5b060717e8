"""Which cars a simulated feed lists, snapshot by snapshot, and its pages as bytes.

Everything follows from `FeedOptions`: the same options give the same ids,
changes and bytes in every process. A car costs twelve bytes of memory; a page's
records are built on request.
"""

from __future__ import annotations

import gzip
import os
import random
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from carsync.demo.cars import build_car, seed_key, stamp, vin_of

FIRST_ID = 7_000_001
GZIP_LEVEL = 4  # a page of 380 KB becomes 40 KB, as the real feed's do
_KEPT_SNAPSHOTS = 4
_KEPT_LISTS = 100
LIST_FIELDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "make": lambda record: record["manufacturer"]["name"],
    "model": lambda record: record["model"]["name"],
    "year": lambda record: record["year"],
}
"""Parameters by which a feed may be listed, each with what it means of a record."""
Result = TypeVar("Result")
_encode = msgspec.json.Encoder().encode


class FeedOptions(Struct, frozen=True):
    """A feed of `cars` cars at snapshot 0; the shares (0 to 1) are changes per snapshot.

    `relisted_share` counts cars that had left, each with a further change.
    """

    cars: int = 20_000
    seed: int = 1
    changed_share: float = 0.01
    added_share: float = 0.005
    removed_share: float = 0.005
    relisted_share: float = 0.0


class FeedSnapshot(Struct, frozen=True):
    """The cars listed at one moment: ascending `ids`, and `versions`: each car's changes so far.

    `gone` are the cars that are listed no more, with their last versions. `times` says of cars
    when they were changed, in seconds since 1970. `edition` is 0 for a snapshot itself, and tells
    its parts and states from each other.
    """

    number: int
    ids: array[int]
    versions: array[int]
    next_id: int
    gone: Mapping[int, int] = {}
    times: Mapping[int, float] = {}
    edition: int = 0

    def version(self, car_id: int) -> int | None:
        """Return a car's version, or None where it is not listed."""
        index = bisect_left(self.ids, car_id)
        is_listed = index < len(self.ids) and self.ids[index] == car_id
        return self.versions[index] if is_listed else None


class Truth(Struct, frozen=True):
    """What a sync must find: the ids of a snapshot, and the numbers of changes since another."""

    snapshot: int
    since: int
    ids: tuple[int, ...]
    added: int
    removed: int
    changed: int


class Feed:
    """A deterministic feed of cars.

    >>> feed = Feed(FeedOptions(cars=1000, changed_share=0.02))
    >>> truth = feed.truth(1)
    >>> len(truth.ids), truth.added, truth.removed, truth.changed
    (1000, 5, 5, 20)
    """

    def __init__(self, options: FeedOptions) -> None:
        self.options = options
        self._key = seed_key(options.seed)
        ids = array("q", range(FIRST_ID, FIRST_ID + options.cars))
        first = FeedSnapshot(0, ids, array("i", bytes(4 * options.cars)), FIRST_ID + options.cars)
        self._known = {0: first}
        self._lists: dict[tuple[Any, ...], FeedSnapshot] = {}

    def at(self, number: int) -> FeedSnapshot:
        """Return snapshot `number` (0 or more), computing it from the nearest earlier one known."""
        snapshot = self._known[max(n for n in self._known if n <= number)]
        while snapshot.number < number:
            snapshot = self._follow(snapshot)
            self._known[snapshot.number] = snapshot
            if len(self._known) > _KEPT_SNAPSHOTS:
                del self._known[min(n for n in self._known if n > 0)]
        return snapshot

    def truth(self, number: int, since: int | None = None) -> Truth:
        """Return what differs between snapshots `since` (the one before by default) and `number`.

        Counted by comparing the two, so any pair will do: a car that is listed
        again counts as added, one with another version as changed.
        """
        since = max(number - 1, 0) if since is None else since
        snapshots = (self.at(since), self.at(number))
        old, new = (dict(zip(each.ids, each.versions, strict=True)) for each in snapshots)
        common = old.keys() & new.keys()
        return Truth(
            snapshot=number,
            since=since,
            ids=tuple(new),
            added=len(new) - len(common),
            removed=len(old) - len(common),
            changed=sum(old[car_id] != new[car_id] for car_id in common),
        )

    def record(self, snapshot: FeedSnapshot, car_id: int) -> dict[str, Any] | None:
        """Return the record of car `car_id`, or None where `snapshot` does not list it."""
        version = snapshot.version(car_id)
        return None if version is None else self._record(snapshot, car_id, version)

    def list_where(self, snapshot: FeedSnapshot, fields: Mapping[str, str]) -> FeedSnapshot:
        """Return the part of a snapshot whose cars have these values in their `LIST_FIELDS`."""
        key = (snapshot.number, snapshot.edition, *sorted(fields.items()))
        if key not in self._lists:
            while len(self._lists) >= _KEPT_LISTS:
                del self._lists[next(iter(self._lists))]
            cars = [
                car
                for car in zip(snapshot.ids, snapshot.versions, strict=True)
                if all(str(LIST_FIELDS[n](self.car(*car))) == v for n, v in fields.items())
            ]
            ids, versions = array("q", (i for i, _ in cars)), array("i", (v for _, v in cars))
            self._lists[key] = replace(snapshot, ids=ids, versions=versions)
        return self._lists[key]

    def car(self, car_id: int, version: int) -> dict[str, Any]:
        """Return the record of a car after so many changes."""
        return build_car(self._key, car_id, version)

    def vin(self, car_id: int) -> str:
        """Return the vehicle identification number of a car."""
        return vin_of(self._key, car_id)

    def records(self, snapshot: FeedSnapshot, span: slice) -> list[dict[str, Any]]:
        """Return the records at these places of a snapshot."""
        cars = zip(snapshot.ids[span], snapshot.versions[span], strict=True)
        return [self._record(snapshot, *car) for car in cars]

    def page_count(self, snapshot: FeedSnapshot, page_size: int) -> int:
        """Return the number of the last page; an empty feed has one page."""
        return max(1, -(-len(snapshot.ids) // page_size))

    def page_body(
        self, snapshot: FeedSnapshot, page: int, page_size: int, *, with_meta: bool = True
    ) -> bytes:
        """Return page `page` (from 1) as JSON bytes; a page past the last one holds no records."""
        span = slice((page - 1) * page_size, page * page_size)
        body: dict[str, Any] = {"data": self.records(snapshot, span)}
        if with_meta:
            body["meta"] = {
                "current_page": page,
                "last_page": self.page_count(snapshot, page_size),
                "per_page": page_size,
                "total": len(snapshot.ids),
            }
        return _encode(body)

    def _record(self, snapshot: FeedSnapshot, car_id: int, version: int) -> dict[str, Any]:
        record = self.car(car_id, version)
        at_s = snapshot.times.get(car_id)
        return record if at_s is None else stamp(record, at_s)

    def _follow(self, last: FeedSnapshot) -> FeedSnapshot:
        """Return the snapshot after `last`; all shares are of the cars listed in `last`."""
        options = self.options
        number = last.number + 1
        draw = random.Random(f"{options.seed}:{number}")
        count = len(last.ids)
        removed = set(draw.sample(range(count), round(count * options.removed_share)))
        kept = [index for index in range(count) if index not in removed]
        ids = array("q", (last.ids[index] for index in kept))
        versions = array("i", (last.versions[index] for index in kept))
        changes = min(round(count * options.changed_share), len(kept))
        for index in draw.sample(range(len(kept)), changes):
            versions[index] += 1
        next_id = last.next_id + round(count * options.added_share)
        ids.extend(range(last.next_id, next_id))
        versions.extend([0] * (next_id - last.next_id))
        gone = {**last.gone, **{last.ids[index]: last.versions[index] for index in removed}}
        back = draw.sample(
            sorted(last.gone), min(round(count * options.relisted_share), len(last.gone))
        )
        if back:
            cars = dict(zip(ids, versions, strict=True))
            cars |= {car_id: gone.pop(car_id) + 1 for car_id in back}
            ids = array("q", sorted(cars))
            versions = array("i", (cars[car_id] for car_id in ids))
        return FeedSnapshot(number, ids, versions, next_id, gone)


class SnapshotListing(Struct, frozen=True):
    """A snapshot as a list of records, which are built when they are asked for."""

    feed: Feed
    snapshot: FeedSnapshot

    def __len__(self) -> int:
        return len(self.snapshot.ids)

    def records(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return the records from place `start` to before `stop`."""
        return self.feed.records(self.snapshot, slice(start, stop))

    def record(self, record_id: str) -> dict[str, Any] | None:
        """Return the record with this id, or None where the snapshot does not list it."""
        is_id = record_id.isascii() and record_id.isdigit() and len(record_id) < 19
        return self.feed.record(self.snapshot, int(record_id)) if is_id else None


def compress(body: bytes) -> bytes:
    """Return `body` as one gzip member without a time stamp, so equal bodies give equal bytes."""
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


def in_parallel(work: Callable[[int], Result], numbers: Iterable[int]) -> Iterator[Result]:
    """Give `work(number)` in order, computed on as many threads as there are cores.

    Compression, half of a page's cost, runs without the GIL. Leaving early drops
    what has not begun.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            yield from pool.map(work, numbers)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
