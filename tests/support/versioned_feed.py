"""A feed whose cars change and go, which tells what changed since a time, and an engine for it.

Its cars keep their pages, so that no car slips between two: what a run reads is old, never
incomplete.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal, cast

from carsync.config.sections import Config
from carsync.engine.messages import Event, PageLease, ProbeLease
from carsync.errors import FailureKind, PageError
from carsync.model import Column
from carsync.postgres.wait import Connection
from carsync.run.signals import StopSignal
from carsync.source.client import ApiClient
from carsync.source.request import Answer
from tests.support.drifting_feed import FeedClient
from tests.support.in_process_engine import InProcessEngine

PAGE_SIZE = 2
UNREADABLE = 0
"""The price of a record that cannot be mapped."""

Move = tuple[Literal["change", "sell", "list"], int, int]
"""What happens to a car: a name, which car, and its new price."""
Outcome = Literal["answer", "fail", "stop", "kill"]


class KilledError(BaseException):
    """The process was killed in this moment."""


@dataclass
class Car:
    """A car with the prices of all of its versions; `changed_s` is by the API's clock."""

    id: str
    prices: list[int]
    changed_s: int
    is_listed: bool = True

    @property
    def version(self) -> int:
        """Which of its versions is listed."""
        return len(self.prices) - 1

    def record(self) -> dict[str, Any]:
        """Give the record of the API."""
        price = self.prices[-1]
        make = None if price == UNREADABLE else "Kia"
        return {"id": self.id, "make": make, "price": price, "year": self.version}


@dataclass
class VersionedFeed:
    """The API: car 0 of each page is always listed, so that no page is empty."""

    cars: list[Car] = field(default_factory=list)
    clock_s: int = 1_700_000_000

    def add(self, number: int) -> None:
        """List new cars."""
        start = len(self.cars)
        self.cars += [Car(str(i), [1], self.clock_s) for i in range(start, start + number)]

    def move(self, move: Move) -> None:
        """Let one thing happen."""
        name, which, price = move
        self.clock_s += 1
        car = self.cars[which % len(self.cars)]
        if name == "sell":
            car.is_listed = car.is_listed and int(car.id) % PAGE_SIZE == 0
            return
        if name == "change" or not car.is_listed:
            car.prices.append(price)
            car.changed_s = self.clock_s
        car.is_listed |= name == "list"

    def page(self, number: int, since_s: int | None) -> tuple[list[Car], int]:
        """Return the cars of a page, and how many pages there are."""
        if since_s is None:
            found: list[Car | None] = [car if car.is_listed else None for car in self.cars]
        else:
            found = [car for car in self.cars if car.is_listed and car.changed_s >= since_s]
        shown = found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
        return [car for car in shown if car], max(1, -(-len(found) // PAGE_SIZE))

    def listed(self) -> dict[str, Car]:
        """Return the cars that are listed now."""
        return {car.id: car for car in self.cars if car.is_listed}


@dataclass(frozen=True)
class Step:
    """What happens before a request is answered, and how it ends."""

    moves: tuple[Move, ...] = ()
    outcome: Outcome = "answer"


@dataclass
class Reading:
    """What happens while one run reads, request by request; then all is quiet."""

    steps: deque[Step] = field(default_factory=deque)
    stop: StopSignal = field(default_factory=StopSignal)
    moved: bool = False

    def next(self) -> Step:
        """Take the next step."""
        return self.steps.popleft() if self.steps else Step()


class VersionedClient(FeedClient):
    """Answers a reader's requests from the feed."""

    def __init__(self, feed: VersionedFeed, since_s: int | None) -> None:
        self._versions = feed
        self._since_s = since_s
        self.read: list[Car] = []

    def get_page(self, page: int, token: str | None = None) -> Answer:
        """Give a page."""
        self._versions.clock_s += 1
        self.read, last_page = self._versions.page(page, self._since_s)
        records = [car.record() for car in self.read]
        body = json.dumps({"data": records, "meta": {"last_page": last_page}}).encode()
        date = formatdate(self._versions.clock_s, usegmt=True)
        return Answer(body, len(body), 0.0, time.monotonic(), date)

    def probe(self, values: Sequence[str]) -> Any:
        """Have no path for single records."""
        raise PageError(FailureKind.CLIENT, "HTTP 404", status=404)


class Witness:
    """What each run has read and staged: of each car its version, newest last."""

    def __init__(self) -> None:
        self.reads: dict[int, list[tuple[str, int]]] = {}


class VersionedEngine(InProcessEngine):
    """Answers the parent's leases in the order of pages, and tells the witness."""

    def __init__(
        self,
        config: Config,
        run_id: int,
        token: str,
        columns: tuple[Column, ...],
        feed: VersionedFeed,
        reading: Reading,
        witness: Witness,
        conn: Connection,
    ) -> None:
        super().__init__(config, run_id, token, columns, conn)
        since = config.api.params.get("since")
        self._client = VersionedClient(feed, None if since is None else int(str(since)))
        self._reader.client = cast(ApiClient, self._client)
        self._feed = feed
        self._reading = reading
        self._reads = witness.reads.setdefault(run_id, [])

    def events(self, timeout_s: float) -> list[Event]:
        """Answer one lease."""
        if not self._waiting:
            return []
        step = self._reading.next()
        for move in step.moves:
            self._feed.move(move)
            self._reading.moved = True
        if step.outcome == "kill":
            raise KilledError
        if step.outcome == "stop":
            self._reading.stop.times = 1
            return []
        lease = self._waiting.pop(0)
        if isinstance(lease, ProbeLease):
            return [self._probe(lease)]
        assert isinstance(lease, PageLease)
        events = self._read(lease, fails=step.outcome == "fail")
        if step.outcome != "fail":
            self._reads += [(car.id, car.version) for car in self._client.read]
        return events
