"""A feed that moves while it is read, and the engine that reads it: no process, no socket."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from carsync.config.api_sections import Api, Auth
from carsync.config.sections import Config
from carsync.demo.asked import CarAsked, PageAsked, Said
from carsync.demo.lies import CAR_LIES, PAGE_LIES
from carsync.engine.messages import EngineLost, Event, PageLease, ProbeLease
from carsync.errors import FailureKind, PageError
from carsync.model import Column, ProbeVerdict
from carsync.postgres.wait import Connection
from carsync.run.signals import StopSignal
from carsync.source.auth.base import load_authenticator
from carsync.source.client import ApiClient, RecordAnswer
from carsync.source.request import Answer
from tests.conftest import ask
from tests.support.in_process_engine import InProcessEngine

Kind = Literal["good", "unmappable", "nameless"]
Outcome = Literal["answer", "late", "fail", "crash", "stop"]
Move = tuple[str, int, int]
"""What happens to the feed or, by a rival, to the table: a name and two numbers to choose by."""

TOUCH = "UPDATE public.cars SET data_hash = 'rival', updated_at = {} WHERE id = %s"
RIVAL_SQL = {
    "rival writes": TOUCH.format("clock_timestamp()"),
    "rival writes from a fast clock": TOUCH.format("clock_timestamp() + '1 hour'::interval"),
    "rival retires": "UPDATE public.cars SET is_active = false, updated_at = clock_timestamp() "
    "WHERE id = %s",
    "rival inserts": "INSERT INTO public.cars (id, make, model, is_active, source_api, updated_at) "
    "VALUES (%s, 'Kia', 'Rio', true, 'external', clock_timestamp()) ON CONFLICT DO NOTHING",
    "rival inserts without a time": "INSERT INTO public.cars (id, make, model, is_active, "
    "source_api) VALUES (%s, 'Kia', 'Rio', true, 'external') ON CONFLICT DO NOTHING",
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
        self, conn: Connection, page_size: int, has_totals: bool, lies: tuple[str, ...] = ()
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
        self._page_lie = next((PAGE_LIES[x] for x in lies if x in PAGE_LIES), PageAsked.answer)
        self._car_lie = next((CAR_LIES[x] for x in lies if x in CAR_LIES), CarAsked.answer)
        self._pages_asked = 0
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

    def page(self, page: int) -> Said:
        """Give the answer to a request for a page."""
        self._pages_asked += 1
        asked = PageAsked(self, page, self._size, self._pages_asked, totals=self._has_totals)
        return self._page_lie(asked)

    def car(self, record_id: str) -> Said:
        """Give the answer to a request by id."""
        return self._car_lie(CarAsked(self, record_id))

    def __len__(self) -> int:
        return len(self.listings)

    def records(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Give the records from place `start` to before `stop`."""
        return [listing.record() for listing in self.listings[start:stop]]

    def record(self, record_id: str) -> dict[str, Any] | None:
        """Give the record with this id, where it is listed."""
        found = (x.record() for x in self.listings if x.id == record_id)
        return next(found, None)

    def whole(self) -> bytes:
        """Give all that is listed as one page."""
        return json.dumps({"data": self.records(0, len(self))}).encode()

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

    authenticator = load_authenticator(Api(auth=Auth(type="none")))

    def __init__(self, feed: MovingFeed) -> None:
        self._feed = feed

    def get_page(self, page: int, token: str | None = None) -> Answer:
        """Give a page."""
        said = self._feed.page(page)
        if said.status != 200:
            raise PageError(FailureKind.CLIENT, f"HTTP {said.status}", status=said.status)
        body = json.dumps(said.body).encode()
        return Answer(body, len(body), 0.0, time.monotonic())

    def probe(self, values: Sequence[str]) -> RecordAnswer:
        """Give the record with the id that is the one value."""
        said = self._feed.car(*values)
        if said.status == 200:
            return RecordAnswer(ProbeVerdict.ALIVE, json.dumps(said.body).encode())
        return RecordAnswer(ProbeVerdict.GONE if said.status == 404 else ProbeVerdict.NOTHING)

    def close(self) -> None:
        """Have no connection."""


class DriftingEngine(InProcessEngine):
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
    ) -> None:
        super().__init__(config, run_id, token, columns, conn)
        self._run_id = run_id
        self._feed = feed
        self._script = script
        self._reader.client = cast(ApiClient, FeedClient(feed))

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
        fails = step.outcome == "fail"
        if isinstance(lease, ProbeLease):
            return [self._probe(lease, fails=fails)]
        return self._read(lease, fails=fails, is_late=step.outcome == "late")
