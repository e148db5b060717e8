"""The simulated auction API, a plain ASGI application; `server.py` runs it.

    GET  {prefix}/cars?page=N&per_page=S   {"data": [record…], "meta": {…}}; see `paging.py`
    POST {prefix}/cars                     the same, with paging in a form or a JSON body
    GET  {prefix}/cars/{id}                {"data": record}, or 404
    GET  {prefix}/archived-lots            tombstones, cut into pages as the feed is
                                           `--live`: see `live.py`
    POST {prefix}/oauth/token, /login      a token, where the door asks for one; see `door.py`

With `minutes=N` (see `changes/window.py`) the feed and the tombstones are those of the last N
minutes. The routes under /_sim (see `control.py`) are never limited, delayed, spoilt or logged.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from carsync.demo.arrival_limit import ArrivalLimit
from carsync.demo.asgi import (
    Message,
    Receive,
    Send,
    SimulatedAnswer,
    answer_of,
    as_json,
    error,
    header,
    params_in_body,
    params_in_query,
    read_body,
    respond,
)
from carsync.demo.asked import CarAsked, Listing, PageAsked
from carsync.demo.changes.answers import CHANGE_LIES, HANG_S, ChangeAnswers
from carsync.demo.changes.timeline import Lateness, Timeline
from carsync.demo.changes.window import Window, WindowRefusedError
from carsync.demo.control import answer_control
from carsync.demo.door import Door, DoorKind
from carsync.demo.faults import Faults, FaultShares
from carsync.demo.feed import Feed, FeedOptions, FeedSnapshot, SnapshotListing
from carsync.demo.lies import CAR_LIES, PAGE_LIES, CarLie, PageLie
from carsync.demo.live import LiveFeed
from carsync.demo.lots import LotListing
from carsync.demo.page_cache import PageCache
from carsync.demo.paging import Paging, read_cut, shape
from carsync.demo.window_limit import RateHeaders, WindowLimit


class SimulatorOptions(Struct, frozen=True):
    """How the simulated API behaves.

    Shares (0 to 1) are of requests, drawn from (seed, page or id, attempt), so that a run
    meets the same faults again. `broken_share` is a share of pages, which always answer
    500. `rate` is in requests per second, 0 for no limit; `burst` is twice the rate by
    default. With `rate_headers` the limit is one of `rate × rate_window_s` requests in each window
    of that length, and every answer tells in headers of that kind what is left. `key` None lets
    everyone in; `auth` is how the key is shown, `access_token_life_s` how long a token lives that
    is given for it. `lies` names lies of `lies.py`, one of pages and one by id at most, and any of
    `changes/answers.py`; some of them begin at page `lie_depth`. `paging` is the kind of paging;
    lies and the faults of pages are those of numbered pages. Tokens are valid for `token_life_s`.
    A page must be asked for with all `list_params`, of `LIST_FIELDS`, and lists the cars that
    have their values; where one of the values is in `broken_lists`, the answer is always 500.
    `live`: as the preset's own API is today; see `live.py`. `clock_s`, `late`: see `timeline.py`.
    """

    feed: FeedOptions = msgspec.field(default_factory=FeedOptions)
    snapshot: int = 0
    page_size: int = 100
    max_page_size: int = 1000
    prefix: str = "/api"
    key: str | None = "demo"
    with_meta: bool = True
    rate: float = 0.0
    burst: int | None = None
    rate_headers: RateHeaders | None = None
    rate_window_s: float = 10.0
    latency_ms: tuple[float, float] = (0.0, 0.0)
    error_share: float = 0.0
    html_share: float = 0.0
    cut_share: float = 0.0
    broken_share: float = 0.0
    empty_from: int | None = None
    lies: tuple[str, ...] = ()
    lie_depth: int = 3
    paging: Paging = "page"
    token_life_s: float | None = None
    list_params: tuple[str, ...] = ()
    broken_lists: tuple[str, ...] = ()
    auth: DoorKind = "header"
    access_token_life_s: float | None = None
    live: bool = False
    clock_s: float | None = None
    late: Lateness = Lateness()
    window: Window = Window()


class Simulator:
    """The ASGI application, which lists `snapshot`; all state lives on its one event loop."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.feed = Feed(options.feed)
        self.timeline = Timeline(self.feed, options.snapshot, options.clock_s, options.late)
        self._changes = ChangeAnswers(self.feed, self.timeline, options.window)
        self._live = LiveFeed(self.feed, self._changes) if options.live else None
        self._prefix = options.prefix.rstrip("/")
        self._cars_path = self._prefix + "/cars"
        self._removals_path = self._prefix + "/archived-lots"
        self.door = Door(options.auth, options.key, options.access_token_life_s)
        self._pages = PageCache(self.feed, with_meta=options.with_meta)
        self.lie(*options.lies)
        self.reset()

    def lie(self, *names: str) -> None:
        """Lie in these ways from now on, and in no other; `KeyError` where there is no such lie."""
        if unknown := set(names) - PAGE_LIES.keys() - CAR_LIES.keys() - CHANGE_LIES.keys():
            raise KeyError(unknown.pop())
        page_lies = [PAGE_LIES[name] for name in names if name in PAGE_LIES]
        car_lies = [CAR_LIES[name] for name in names if name in CAR_LIES]
        self._page_lie: PageLie | None = page_lies[-1] if page_lies else None
        self._car_lie: CarLie | None = car_lies[-1] if car_lies else None
        self._changes.lies = frozenset(CHANGE_LIES.keys() & names)
        self._pages_asked = 0

    @property
    def snapshot(self) -> FeedSnapshot:
        """The cars that are listed now."""
        return self.timeline.shown

    def listing(self) -> Listing:
        """Return the records that are listed now, as pages show them."""
        kind = SnapshotListing if self._live is None else LotListing
        return kind(self.feed, self.snapshot)

    def show(self, number: int) -> None:
        """List the cars of snapshot `number` (0 or more) from now on."""
        self.timeline.jump(number)

    def reset(self) -> None:
        """Forget arrivals, attempts and the rate limit's past; the snapshot stays."""
        options = self.options
        burst = options.burst if options.burst is not None else max(1, math.ceil(2 * options.rate))
        self._limit: ArrivalLimit | WindowLimit = ArrivalLimit(options.rate, burst)
        if options.rate_headers is not None:
            count = max(1, round(options.rate * options.rate_window_s))
            self._limit = WindowLimit(count, options.rate_window_s, options.rate_headers)
        self._faults = Faults(options.feed.seed, self._shares)
        self.log: list[tuple[float, str, int]] = []

    def _shares(self) -> FaultShares:
        now = self.options
        return FaultShares(now.error_share, now.html_share, now.cut_share, now.broken_share)

    def warm(self) -> int:
        """Build all pages of the present snapshot at the default page size; return their number.

        To be called before serving.
        """
        return self._pages.warm(self.snapshot, self.options.page_size)

    def truth(self, number: int | None = None, since: int | None = None) -> dict[str, Any]:
        """Return `Feed.truth` as JSON-ready data, with the pages that are always broken."""
        shown = self.snapshot.ids if number is None else None
        number = self.snapshot.number if number is None else number
        pages = self.feed.page_count(self.feed.at(number), self.options.page_size)
        truth = asdict(self.feed.truth(number, since))
        truth["ids"] = truth["ids"] if shown is None else tuple(shown)
        truth["broken_pages"] = [
            page for page in range(1, pages + 1) if self._faults.is_broken(page)
        ]
        return truth

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3.0, HTTP connection scope)."""
        path: str = scope["path"]
        if path.startswith("/_sim/"):
            query = params_in_query(scope)
            await respond(send, scope, answer_control(self, scope["method"], path, query))
            return
        arrived_s = time.monotonic()
        raw_query: bytes = scope["query_string"]
        target = f"{path}?{raw_query.decode('latin-1')}" if raw_query else path
        wait_s = self._limit.admit(arrived_s)
        if wait_s:
            retry_after = ((b"retry-after", b"%d" % wait_s),)
            answer = replace(error(429, "too many requests"), headers=retry_after)
        else:
            body = await read_body(receive) if scope["method"] == "POST" else b""
            answer = self._answer(scope, path, body)
        if isinstance(self._limit, WindowLimit):
            told = self._limit.headers(arrived_s, time.time())
            answer = replace(answer, headers=(*answer.headers, *told))
        if (date := self._changes.date()) is not None:
            answer = replace(answer, headers=(*answer.headers, (b"date", date.encode())))
        self.log.append((arrived_s, target, answer.status))
        low_ms, high_ms = self.options.latency_ms
        if high_ms > 0 and not wait_s:
            draw = random.Random(f"{self.options.feed.seed}:{len(self.log)}:latency").random()
            await asyncio.sleep((low_ms + (high_ms - low_ms) * draw) / 1000)
        if path == self._removals_path and "removals-hang" in self._changes.lies:
            await asyncio.sleep(HANG_S)
        await respond(send, scope, answer)

    def _answer(self, scope: Message, path: str, body: bytes) -> SimulatedAnswer:
        is_search = scope["method"] == "POST" and path == self._cars_path
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        if self.door.token_path is not None and path == self._prefix + self.door.token_path:
            status, given = self.door.give(headers, params_in_body(scope, body))
            return as_json(given, status)
        if scope["method"] != "GET" and not is_search:
            return error(405, "only GET is answered here")
        query = params_in_query(scope)
        if (words := self.door.refuse(headers, query)) is not None:
            return error(401, words)
        try:
            return self._route(scope, path, query | params_in_body(scope, body))
        except WindowRefusedError as exc:
            return error(exc.status, str(exc))

    def _route(self, scope: Message, path: str, query: dict[str, str]) -> SimulatedAnswer:
        for status in (404, 500):
            if path == self._removals_path and f"removals-{status}" in self._changes.lies:
                return error(status, "no tombstones today")
        if self._live is not None:
            return self._answer_live(self._live, path, query, self._address(scope))
        if path == self._cars_path:
            wanted = self._wanted(query)
            if missing := [name for name, value in wanted.items() if not value]:
                return error(400, f"the parameter {missing[0]} is missing")
            if any(value in self.options.broken_lists for value in wanted.values()):
                return error(500, "internal server error")
            if self.options.paging == "page":
                return self._answer_page(query)
            return self._answer_cut(scope, query, SnapshotListing(self.feed, self._listed(query)))
        if path == self._removals_path:
            return self._answer_cut(scope, query, self._changes.removed(query))
        if path.startswith(self._cars_path + "/"):
            return self._answer_car(path.removeprefix(self._cars_path + "/"))
        return error(404, "no such route")

    def _wanted(self, query: dict[str, str]) -> dict[str, str]:
        return {name: query.get(name, "") for name in self.options.list_params}

    def _listed(self, query: dict[str, str]) -> FeedSnapshot:
        wanted, listed = self._wanted(query), self._changes.listed(query)
        return self.feed.list_where(listed, wanted) if wanted else listed

    def _answer_live(
        self, live: LiveFeed, path: str, query: dict[str, str], address: str
    ) -> SimulatedAnswer:
        sizes = self.options.page_size, self.options.max_page_size
        route = path.removeprefix(self._prefix)
        said = live.answer(self.snapshot, route, query, address, *sizes)
        return self._faults.spoil(f"{path} {query.get('page', '')}", answer_of(said))

    def _address(self, scope: Message) -> str:
        host = (header(scope, b"host") or b"").decode("latin-1")
        return f"http://{host}{scope['path']}"

    def _answer_page(self, query: dict[str, str]) -> SimulatedAnswer:
        try:
            page = int(query.get("page", 1))
            page_size = int(query.get("per_page", self.options.page_size))
        except ValueError:
            return error(422, "page and per_page must be whole numbers")
        if self._page_lie is not None and page >= 0 and page_size > 0:
            return self._lie_of_page(self._page_lie, self._listed(query), page, page_size)
        if page < 1 or page_size < 1:
            return error(422, "page and per_page start at 1")
        page_size = min(page_size, self.options.max_page_size)
        if self._faults.is_broken(page):
            return error(500, "internal server error")
        if self.options.empty_from is not None and page >= self.options.empty_from:
            return SimulatedAnswer(200, b'{"data":[]}')
        values = tuple(self._wanted(query).values())
        body = self._pages.page(page, page_size, self._listed(query), values)
        subject = " ".join(["page", str(page), *values])
        return self._faults.spoil(subject, SimulatedAnswer(200, body, gzipped=True))

    def _answer_cut(
        self, scope: Message, query: dict[str, str], listing: Listing
    ) -> SimulatedAnswer:
        """Answer a request for a page that is none of the cache."""
        options = self.options
        life_s, now_s = options.token_life_s, time.monotonic()
        try:
            cut = read_cut(options.paging, query, options.page_size, options.max_page_size)
        except ValueError:
            return error(422, "the place and the size of a page must be whole numbers")
        if life_s is not None and cut.born_s is not None and now_s > cut.born_s + life_s:
            return error(410, "the cursor has expired")
        if self._faults.is_broken(cut.page):
            return error(500, "internal server error")
        stop = len(listing) if options.paging == "none" else cut.start + cut.size
        param = options.window.param
        window = {param: query[param]} if param in query else {}
        kept = urlencode({**self._wanted(query), **window})
        kept = f"{'&' if self.door.echo else '?'}{kept}" if kept else ""
        body, link = shape(
            options.paging,
            cut,
            listing.records(cut.start, stop),
            len(listing),
            f"{self._address(scope)}{self.door.echo}{kept}",
            None if life_s is None else now_s,
        )
        headers = () if link is None else ((b"link", link.encode("latin-1")),)
        return self._faults.spoil(f"page {cut.page}", replace(as_json(body), headers=headers))

    def _answer_car(self, text: str) -> SimulatedAnswer:
        asked = CarAsked(SnapshotListing(self.feed, self.snapshot), text)
        said = asked.answer() if self._car_lie is None else self._car_lie(asked)
        return self._faults.spoil(f"car {text}", answer_of(said))

    def _lie_of_page(
        self, lie: PageLie, listed: FeedSnapshot, page: int, page_size: int
    ) -> SimulatedAnswer:
        self._pages_asked += 1
        listing = SnapshotListing(self.feed, listed)
        size = min(page_size, self.options.max_page_size)
        asked = PageAsked(
            listing, page, size, self._pages_asked, self.options.lie_depth, self.options.with_meta
        )
        return self._faults.spoil(f"page {page}", answer_of(lie(asked)))
