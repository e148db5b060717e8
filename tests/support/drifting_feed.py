"""A feed that moves while it is read, and the engine that reads it: no process, no socket.

The engine takes the place of `carsync.engine.local.fleet.Fleet`. All else of a run is carsync's
own: what a worker decides of an answer (`FeedReader`), how it stages, and the whole parent.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from msgspec.structs import replace

from carsync.config.sections import Config
from carsync.destination.stage_writer import StageWriter
from carsync.engine.base import Engine
from carsync.engine.messages import (
    EngineLost,
    Event,
    Lease,
    PageFailed,
    PageLease,
    PagesStaged,
    ProbeAnswered,
    ProbeLease,
)
from carsync.engine.reader import FeedReader, ProbeAnswer
from carsync.errors import FailureKind, PageError
from carsync.model import Column, MappedPage, ProbeVerdict
from carsync.postgres.wait import Connection
from carsync.run.signals import StopSignal
from carsync.source.client import Answer, ApiClient
from tests.conftest import ask

Lie = Literal[
    "none",
    "caps the total",
    "tells the page's total",
    "counts the last page from 0",
    "counts one too many",
    "lowers the page size",
    "repeats the last page",
    "is cut",
]
CUT_AT = 3
"""Pages of a feed that is cut, or whose total is capped."""
Kind = Literal["good", "unmappable", "nameless"]
Outcome = Literal["answer", "late", "fail", "crash", "stop"]
Move = tuple[str, int, int]
"""What happens to the feed or, by a rival, to the table: a name and two numbers to choose by."""

TOUCH = "UPDATE cars SET data_hash = 'rival', updated_at = {} WHERE id = %s"
RIVAL_SQL = {
    "rival writes": TOUCH.format("clock_timestamp()"),
    "rival writes from a fast clock": TOUCH.format("clock_timestamp() + '1 hour'::interval"),
    "rival retires": "UPDATE cars SET is_active = false, updated_at = clock_timestamp() "
    "WHERE id = %s",
    "rival inserts": "INSERT INTO cars (id, make, model, is_active, source_api, updated_at) "
    "VALUES (%s, 'Kia', 'Rio', true, 'external', clock_timestamp()) ON CONFLICT DO NOTHING",
    "rival inserts without a time": "INSERT INTO cars (id, make, model, is_active, source_api) "
    "VALUES (%s, 'Kia', 'Rio', true, 'external') ON CONFLICT DO NOTHING",
}


@dataclass
class Listing:
    """A car as the feed shows it."""

    id: str
    price: int = 1
    kind: Kind = "good"

    def record(self) -> dict[str, Any]:
        """Give the record of the API."""
        make = None if self.kind == "unmappable" else "Kia"
        shown_id = None if self.kind == "nameless" else self.id
        return {"id": shown_id, "make": make, "price": self.price}


class MovingFeed:
    """The feed, and the model's knowledge of one run: who was listed from its first request on."""

    def __init__(
        self, conn: Connection, page_size: int, has_totals: bool, lie: Lie = "none"
    ) -> None:
        self.listings: list[Listing] = []
        self.always: set[str] = set()
        """Cars listed without a break since the first request of the run `run_id`."""
        self.retired: set[str] = set()
        """Cars that a rival deactivated since then."""
        self.drifted = self.rivalled = False
        self.run_id = 0
        self._conn = conn
        self._size = page_size
        self._has_totals = has_totals
        self._lie = lie
        self._gone: list[Listing] = []
        self._born = 0

    @property
    def ids(self) -> set[str]:
        """The cars listed now."""
        return {listing.id for listing in self.listings}

    def add(self, number: int) -> None:
        """List new cars at the end."""
        for _ in range(number):
            self.listings.append(self._new())

    def begin(self, run_id: int) -> None:
        """Note a request for a page; the first one of a run begins the model's watch."""
        if run_id != self.run_id:
            self.run_id = run_id
            self.always = self.ids
            self.retired = set()
            self.drifted = self.rivalled = False

    def body(self, page: int) -> bytes:
        """Give the answer to a request for a page."""
        size = self._size - 1 if self._lie == "lowers the page size" else self._size
        last_page = max(1, math.ceil(len(self.listings) / size))
        if self._lie == "repeats the last page":
            page = min(page, last_page)
        shown = self.listings[(page - 1) * size : page * size]
        if self._lie == "is cut" and page > CUT_AT:
            shown = []
        answer: dict[str, Any] = {"data": [listing.record() for listing in shown]}
        if self._has_totals:
            answer["meta"] = self._meta(last_page, len(shown))
        return json.dumps(answer).encode()

    def _meta(self, last_page: int, shown: int) -> dict[str, Any]:
        total = len(self.listings)
        match self._lie:
            case "caps the total":
                most = CUT_AT * self._size
                return {"last_page": min(last_page, CUT_AT), "total": min(total, most)}
            case "tells the page's total":
                return {"total": shown}
            case "counts the last page from 0":
                return {"last_page": last_page - 1}
            case "counts one too many":
                return {"total": total + 1}
            case "lowers the page size":
                return {"total": total}
        return {"last_page": last_page, "total": total}

    def record(self, record_id: str) -> bytes | None:
        """Give the answer to a request by id; None: 404."""
        found = (x for x in self.listings if x.id == record_id)
        listing = next(found, None)
        return None if listing is None else json.dumps({"data": listing.record()}).encode()

    def whole(self) -> bytes:
        """Give all that is listed as one page."""
        return json.dumps({"data": [listing.record() for listing in self.listings]}).encode()

    # ── moving ──

    def move(self, move: Move) -> None:
        """Let one thing happen."""
        name, a, b = move
        if name in RIVAL_SQL:
            self._rival(name, a)
            return
        if not self.listings and name not in {"insert", "return"}:
            return
        self.drifted = True
        getattr(self, f"_{name.replace(' ', '_')}")(a, b)
        self.always &= self.ids

    def _new(self) -> Listing:
        self._born += 1
        return Listing(str(self._born))

    def _at(self, number: int) -> int:
        return number % len(self.listings)

    def _put(self, listing: Listing, number: int) -> None:
        self.listings.insert(number % (len(self.listings) + 1), listing)

    def _insert(self, a: int, b: int) -> None:
        self._put(self._new(), a)

    def _delete(self, a: int, b: int) -> None:
        self._gone.append(self.listings.pop(self._at(a)))

    def _return(self, a: int, b: int) -> None:
        if self._gone:
            self._put(self._gone.pop(a % len(self._gone)), b)

    def _replace(self, a: int, b: int) -> None:
        """One goes, another comes: no total moves."""
        self._delete(a, b)
        self._insert(b, a)

    def _reorder(self, a: int, b: int) -> None:
        self._put(self.listings.pop(self._at(a)), b)

    def _bump(self, a: int, b: int) -> None:
        self._reorder(a, 0)

    def _resort(self, a: int, b: int) -> None:
        self.listings.sort(key=lambda x: (int(x.id) * (a + 1)) % 31, reverse=bool(b % 2))

    def _swap_pages(self, a: int, b: int) -> None:
        pages = [self.listings[i : i + self._size] for i in range(0, len(self.listings), 3)]
        one, other = a % len(pages), b % len(pages)
        pages[one], pages[other] = pages[other], pages[one]
        self.listings = [x for page in pages for x in page]

    def _smuggle(self, a: int, b: int) -> None:
        """A car takes the place of one that goes, and a new one its place: no sign at all."""
        one, other = self._at(a), self._at(b)
        if one != other:
            self._gone.append(self.listings[other])
            self.listings[other] = self.listings[one]
            self.listings[one] = self._new()

    def _cut(self, a: int, b: int) -> None:
        """Many go at once, all controls among them."""
        keep = self._at(a)
        self._gone += self.listings[keep:]
        del self.listings[keep:]

    def _change(self, a: int, b: int) -> None:
        self.listings[self._at(a)].price += 1

    def _spoil(self, a: int, b: int) -> None:
        self.listings[self._at(a)].kind = ("unmappable", "nameless")[b % 2]

    def _mend(self, a: int, b: int) -> None:
        self.listings[self._at(a)].kind = "good"

    def _rival(self, name: str, a: int) -> None:
        record_id = f"rival {a}" if "inserts" in name else str(a)
        self.rivalled = True
        if name == "rival retires":
            self.retired.add(record_id)
        ask(self._conn, RIVAL_SQL[name], record_id)


@dataclass(frozen=True)
class Step:
    """What happens before a request is answered, which one it is, and how it ends."""

    moves: tuple[Move, ...] = ()
    pick: int = 0
    outcome: Outcome = "answer"


@dataclass
class Script:
    """What happens while a run reads the feed, request by request; then all is quiet."""

    steps: deque[Step] = field(default_factory=deque)
    stop: StopSignal = field(default_factory=StopSignal)
    crashes: int = 0
    at_proof: tuple[Move, ...] = ()
    """What happens just before the first request by id is answered."""

    def next(self) -> Step:
        """Take the next step."""
        return self.steps.popleft() if self.steps else Step()


class FeedClient:
    """Answers a reader's requests from the feed, in the place of `ApiClient`."""

    def __init__(self, feed: MovingFeed, answers_by_id: bool) -> None:
        self._feed = feed
        self._answers_by_id = answers_by_id

    def get_page(self, page: int, token: str | None = None) -> Answer:
        """Give a page."""
        body = self._feed.body(page)
        return Answer(body, len(body), 0.0, time.monotonic())

    def probe(self, record_id: str) -> tuple[ProbeVerdict, str, bytes]:
        """Give a record."""
        body = self._feed.record(record_id) if self._answers_by_id else None
        return (ProbeVerdict.GONE, "", b"") if body is None else (ProbeVerdict.ALIVE, "", body)


class DriftingEngine(Engine):
    """Answers the parent's leases from the feed, one a turn, in the script's order."""

    def __init__(
        self,
        config: Config,
        run_id: int,
        token: str,
        columns: tuple[Column, ...],
        feed: MovingFeed,
        script: Script,
        conn: Connection,
        answers_by_id: bool,
    ) -> None:
        self._run_id = run_id
        self._feed = feed
        self._script = script
        self._reader = FeedReader(config, 1)
        self._reader.client = cast(ApiClient, FeedClient(feed, answers_by_id))
        self._stage_writer = StageWriter(conn, run_id, token, columns, "execute_values")
        self._waiting: list[Lease] = []
        self._queue: list[MappedPage] = []

    def start(self, *, silence_s: float = 0.0, lowered_to: float | None = None) -> None:
        """Start nothing."""

    def kill(self) -> None:
        """Lose what was not staged."""
        self._waiting.clear()
        self._queue.clear()

    def stop(self) -> None:
        """Answer no more; what is on the queue is staged."""
        self._waiting.clear()

    def is_running(self) -> bool:
        """Have no worker."""
        return False

    def memory(self) -> dict[str, int]:
        """Weigh nothing."""
        return {}

    def queue_depth(self) -> int:
        """Count the pages that wait to be staged."""
        return len(self._queue)

    def room(self) -> int:
        """Take six leases in hand."""
        return 6 - len(self._waiting)

    def lease(self, leases: Sequence[Lease]) -> None:
        """Take leases."""
        self._waiting += leases

    def events(self, timeout_s: float) -> list[Event]:
        """Answer one lease, or stage what waits."""
        if not self._waiting:
            return self._stage_queue()
        if isinstance(self._waiting[0], PageLease):
            self._feed.begin(self._run_id)
        step = self._script.next()
        moves = step.moves
        first = self._waiting[0]
        if isinstance(first, ProbeLease) and first.record_id is not None:
            moves += self._script.at_proof
            self._script.at_proof = ()
        for move in moves:
            self._feed.move(move)
        if step.outcome == "stop":
            self._script.stop.times = 1
            return []
        if step.outcome == "crash" and not self._script.crashes:
            self._script.crashes += 1
            return [EngineLost("fetcher 1", "was killed")]
        lease = self._waiting.pop(step.pick % len(self._waiting))
        if isinstance(lease, ProbeLease):
            return [self._probe(lease, step)]
        return self._read(lease, step)

    def _probe(self, lease: ProbeLease, step: Step) -> ProbeAnswered:
        answer = ProbeAnswer(ProbeVerdict.NOTHING)
        if step.outcome != "fail":
            answer = self._reader.probe(lease)
        told = ProbeAnswered(lease.record_id, lease.attempt, answer.verdict, 0.0)
        return replace(told, ids=answer.ids, info=answer.info)

    def _read(self, lease: PageLease, step: Step) -> list[Event]:
        try:
            if step.outcome == "fail":
                raise PageError(FailureKind.SERVER, "503")
            read = self._reader.read_page(lease)
        except PageError as exc:
            words = (exc.kind, exc.problem, "", None, None, 0.0)
            return [PageFailed(lease.page, lease.attempt, *words)]
        self._queue.append(read.mapped)
        staged = [] if step.outcome == "late" else self._stage_queue()
        return [read.fetched(), *staged]

    def _stage_queue(self) -> list[Event]:
        if not self._queue:
            return []
        staged = self._stage_writer.stage(self._queue)
        self._queue.clear()
        return [PagesStaged(staged, sum(page.rows for page in staged), 0.0)]
