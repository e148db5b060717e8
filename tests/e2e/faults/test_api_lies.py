"""An API that lies about its feed and its cars: nobody is falsely gone, and every run ends."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from carsync.demo.asgi import SimulatedAnswer
from carsync.demo.feed import FIRST_ID, FeedOptions
from tests.e2e.conftest import Fill, OpenSite
from tests.support.effort import trials
from tests.support.fake_api import Reply, ScriptedApi, page_reply
from tests.support.lying_api import LyingApi, answer_with, body_of
from tests.support.oracle import Oracle
from tests.support.quick_site import QuickSimulatedSite
from tests.support.site import PAGE_SIZE, Ended, SimulatedSite, Site, await_that

PAGES = 15
CARS = PAGES * PAGE_SIZE
HTML = b"<!doctype html><html><body>Sorry</body></html>"


class Liar:
    """A site whose API lies, its table full and the oracle watching."""

    def __init__(self, site: SimulatedSite, fill: Fill) -> None:
        assert isinstance(site.api, LyingApi)
        self.site = site
        self.api: LyingApi = site.api
        self.oracle = Oracle(site)
        self.starts_processes = False
        fill(site)

    def sync(self, expect: int, **settings: Any) -> Ended:
        """Run against the lies and judge; the table must hold what the API really lists."""
        oracle = Oracle(self.site)
        self.api.reset()
        if self.starts_processes:
            ended = self.site.check(self.site.start("sync", "--json", **settings), expect)
        else:
            ended = self.site.sync(expect=expect, **settings)
        oracle.judge(ended)
        assert self.site.inactive() == set()
        assert len(self.api.log) < 20 * PAGES, "a bounded number of requests"
        return ended


@pytest.fixture
def liar(open_site: OpenSite, fill: Fill) -> Liar:
    return Liar(open_site(FeedOptions(cars=CARS), api=LyingApi, site=QuickSimulatedSite), fill)


def edited(
    edit: Callable[[int, dict[str, Any]], Any],
) -> Callable[[int, SimulatedAnswer], SimulatedAnswer]:
    """Make a lie of a function that takes page and decoded body and changes or replaces it."""

    def lie(page: int, answer: SimulatedAnswer) -> SimulatedAnswer:
        body = body_of(answer)
        changed = edit(page, body)
        return answer_with(body if changed is None else changed)

    return lie


# ── totals ───────────────────────────────────────────────────────────────────


@pytest.mark.long
def test_a_feed_that_shows_a_part_of_itself_as_if_it_were_all(liar: Liar) -> None:
    """Caps stop the large lies; what passes them is asked for by id, and is there."""
    liar.starts_processes = True  # they stage what is read by id
    shares = {0.0: 6, 0.94: 0, 0.5: 6, 0.99: 0}
    for share, exit_code in list(shares.items())[: trials(2, len(shares))]:
        shown = round(CARS * share)

        def show(page: int, body: dict[str, Any], shown: int = shown) -> None:
            body["data"] = body["data"][: max(0, shown - (page - 1) * PAGE_SIZE)]
            body["meta"].update(total=shown, last_page=max(1, -(-shown // PAGE_SIZE)))

        liar.api.page_lie = edited(show)
        ended = liar.sync(exit_code)
        if exit_code:
            assert "sync.deactivate.max_share" in ended.said
        else:
            assert f"{CARS - shown} still in the feed" in ended.said


def test_a_feed_that_loses_cars_but_not_their_count(liar: Liar) -> None:
    shares = {0.5: 5, 0.94: 6, 0.99: 6}
    for share, exit_code in list(shares.items())[: trials(2, len(shares))]:

        def lose(page: int, body: dict[str, Any], share: float = share) -> None:
            body["data"] = body["data"][: max(0, round(CARS * share) - (page - 1) * PAGE_SIZE)]

        liar.api.page_lie = edited(lose)
        liar.sync(exit_code, sync__deactivate__second_proof="none")
    liar.api.be_honest()
    liar.oracle.recover()


@pytest.mark.long
def test_totals_that_lie(liar: Liar) -> None:
    draw = random.Random(7)
    lies: dict[str, tuple[int, Callable[[], dict[str, Any]]]] = {
        "higher": (6, lambda: {"total": CARS + 100}),
        "lower": (0, lambda: {"total": CARS - 100}),
        "no numbers": (0, lambda: {"total": -CARS, "last_page": "many"}),
        "moving": (0, lambda: {"total": draw.randrange(CARS - 50, CARS)}),
        "beyond": (5, lambda: {"last_page": PAGES + 3}),
        "a word": (0, lambda: {"total": "many"}),
        "negative": (0, lambda: {"total": -CARS}),
        "both negative": (0, lambda: {"total": -1, "last_page": -1}),
        "absent": (0, lambda: {"total": None, "last_page": None}),
        "fractions": (0, lambda: {"total": CARS + 0.5, "last_page": PAGES + 0.5}),
        "an abyss": (3, lambda: {"total": 10**30}),
    }
    for what, (exit_code, meta) in list(lies.items())[: trials(5, len(lies))]:

        def tell(
            page: int, body: dict[str, Any], meta: Callable[[], dict[str, Any]] = meta
        ) -> None:
            body["meta"].update(meta())

        liar.api.page_lie = edited(tell)
        try:
            liar.sync(exit_code)
        except AssertionError as exc:
            raise AssertionError(f"totals: {what}") from exc


@pytest.mark.parametrize("total", [None, pytest.param(CARS * 100, marks=pytest.mark.long)])
def test_a_last_page_that_moves_on_with_each_page_ends(liar: Liar, total: int | None) -> None:
    """Each page says that there is one more, and holds cars."""
    real = liar.api._answer_page

    def more(page: int, answer: SimulatedAnswer) -> SimulatedAnswer:
        if not (body := body_of(answer))["data"]:
            liar.api.page_lie = None
            body = body_of(real({"page": str(1 + page % PAGES), "per_page": str(PAGE_SIZE)}))
            liar.api.page_lie = more
        body["meta"].update(last_page=page + 1, total=total)
        return answer_with(body)

    liar.api.page_lie = more
    ended = liar.sync(6, api__pagination__max_pages=40)
    assert max(liar.api.pages_asked()) <= 40
    assert "max_pages" in ended.said or "of them were seen" in ended.said


@pytest.mark.parametrize("with_totals", [True, pytest.param(False, marks=pytest.mark.long)])
def test_page_1_for_every_page_number_ends_and_names_the_key(liar: Liar, with_totals: bool) -> None:
    first = body_of(liar.api._answer_page({"page": "1", "per_page": str(PAGE_SIZE)}))
    liar.api.page_lie = edited(lambda *_: first if with_totals else {"data": first["data"]})
    ended = liar.sync(2, api__pagination__max_pages=40)
    assert "api.pagination.page_param" in ended.said
    assert max(liar.api.pages_asked()) <= 40


# ── shapes ───────────────────────────────────────────────────────────────────


def test_answers_of_a_wrong_shape_are_no_pages(liar: Liar) -> None:
    """Each page has another one; what is left is read, and nobody is deactivated."""
    shapes: list[Any] = [
        [],
        {"data": {"7": {}}, "meta": {"total": CARS, "last_page": PAGES}},
        {"data": None},
        None,
        17,
        "gone fishing",
        {"error": {"code": 500, "message": "internal"}},
        {"data": {"error": {"code": 1}}},
        {"data": [], "error": "try again later"},
        b"[" * 100_000,
        b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"",
        b"\xff\xfe{}",
    ]

    def spoil(page: int, answer: SimulatedAnswer) -> SimulatedAnswer:
        return answer_with(shapes[page - 2]) if 2 <= page < 2 + len(shapes) else answer

    liar.api.page_lie = spoil
    ended = liar.sync(5)
    assert f"{len(shapes)} of {PAGES} pages could not be read" in ended.said
    liar.api.be_honest()
    liar.oracle.recover()


@pytest.mark.long
def test_ids_as_floats_and_records_out_of_all_bounds(liar: Liar) -> None:
    huge, deep = "1" * 5000, "[" * 100_000 + "]" * 100_000

    def spoil(page: int, answer: SimulatedAnswer) -> SimulatedAnswer:
        body = body_of(answer)
        cars = body["data"]
        if not cars:  # behind the last page
            return answer
        cars[0]["id"] = float(cars[0]["id"])
        cars[1]["id"] = str(cars[1]["id"])
        cars[2]["unmapped"] = "DEEP"
        cars[3]["year"] = "HUGE" if page == 2 else cars[3]["year"]
        text = answer_with(body).body.replace(b'"DEEP"', deep.encode())
        return answer_with(text.replace(b'"HUGE"', huge.encode()))

    liar.api.page_lie = spoil
    oracle = Oracle(liar.site)
    ended = liar.site.sync()
    oracle.judge(ended, rejected=[str(FIRST_ID + PAGE_SIZE + 3)])
    assert liar.site.inactive() == set()
    assert ended.report["counts"]["inserted"] == 0, "each id is read as it was before"


def _car(number: int, model: str = "K5") -> dict[str, Any]:
    return {"id": number, "manufacturer": {"name": "Kia"}, "model": {"name": model}}


@pytest.mark.parametrize("late", [1, pytest.param(3, marks=pytest.mark.long)])
def test_of_a_car_listed_on_two_pages_the_same_one_wins_in_any_order(
    scripted_api: ScriptedApi, scripted_site: Site, fill: Fill, late: int
) -> None:
    """On one page the last, of several pages the highest, whichever came first."""
    pages = [[_car(n) for n in range(first, first + 20)] for first in (0, 20, 40)]
    for number in (1, 2, 3):
        scripted_api.on("/cars", page_reply(pages[number - 1], number, 3, 60), page=number)
    fill(scripted_site, [car for page in pages for car in page])
    pages[1][0], pages[2][0] = _car(7, "second"), _car(7, "third")
    pages[0][3] = _car(5, "first of one page")
    for number in (1, 2, 3):
        delay_s = 0.5 if number == late else 0.0
        reply = page_reply(pages[number - 1], number, 3, 60)
        scripted_api.on("/cars", Reply(body=reply.body, delay_s=delay_s), page=number)
    for lost in (3, 20, 40):  # they gave way to the others' second line, and are there
        scripted_api.on(f"/cars/{lost}", Reply(body=_car(lost)))
    for number in set(range(60)) - {3, 20, 40}:
        scripted_api.on(f"/cars/{number}", Reply(body={"data": _car(number)}))
    scripted_site.sync(sync__deactivate__max_share=1, sync__deactivate__min_seen_share=0.9)
    assert scripted_site.inactive() == set()
    rows = {row.split(",")[0].strip("("): row for row in scripted_site.rows()}
    assert "third" in rows["7"]
    assert "K5" in rows["5"]


# ── storms ───────────────────────────────────────────────────────────────────

HOSTILE = ["-5", "0", "0.3", "soon", "", " ", "1, 2", "nan", "\u00b2", "-0"]
HOSTILE += ["Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 0000 00:00:00 GMT", "31 Feb"]


def test_a_storm_of_refusals_with_hostile_retry_after_is_ridden_out_politely(
    open_site: OpenSite,
) -> None:
    site = open_site(FeedOptions(cars=CARS), api=LyingApi)
    assert isinstance(site.api, LyingApi)
    site.widen()
    site.variables["RPS"] = "40"
    oracle = Oracle(site)
    refused: set[tuple[int, int]] = set()

    def storm(page: int, answer: SimulatedAnswer) -> SimulatedAnswer:
        attempt = sum((page, n) in refused for n in (1, 2))
        if attempt == 2:
            return answer
        refused.add((page, attempt + 1))
        value = HOSTILE[len(refused) % len(HOSTILE)].encode("latin-1")
        headers = [(b"retry-after", value)] * (1 + len(refused) % 3)
        return SimulatedAnswer(429 if len(refused) % 2 else 503, b"", headers=tuple(headers))

    site.api.page_lie = storm
    # What refuses each page twice is no limiter: asking slower would only take longer.
    ended = site.sync(acceptance__max_error_rate=1, limits__adaptive=False)
    oracle.judge(ended)
    assert len(refused) == 2 * (PAGES + 1), "the page behind the last one too"


def test_a_retry_after_of_days_silences_all_and_a_signal_ends_the_run(open_site: OpenSite) -> None:
    site = open_site(FeedOptions(cars=CARS), api=LyingApi)
    assert isinstance(site.api, LyingApi)
    site.widen()
    oracle = Oracle(site)
    site.api.page_lie = lambda page, answer: (
        SimulatedAnswer(429, b"", headers=((b"retry-after", b"900000"),)) if page > 5 else answer
    )
    running = site.start("sync", "--json", limits__max_wait_s=1e6)
    site.await_staged(1)  # more, where page 6 is not the first to be answered
    await_that(lambda: any(status == 429 for *_, status in list(site.api.log)), "a refusal")
    # Those under way or granted just before may still arrive; then there is silence.
    last = await_that(lambda: _quiet_since(site, 1.0), "silence")
    running.signal(signal.SIGTERM)
    ended = site.check(running, 143)
    assert last == len(site.api.log) <= 5 + 8
    oracle.judge(ended)
    site.api.be_honest()
    oracle.recover()


def _quiet_since(site: SimulatedSite, seconds: float) -> int:
    """Return the number of arrivals once there was none for so long."""
    newest = max(arrived_s for arrived_s, *_ in list(site.api.log))
    return len(site.api.log) if time.monotonic() - newest > seconds else 0


# ── by id ────────────────────────────────────────────────────────────────────


def _echo(car: str, answer: SimulatedAnswer) -> SimulatedAnswer:
    return answer_with({"data": _car(int(car))})


def _another(car: str, answer: SimulatedAnswer) -> SimulatedAnswer:
    return answer_with({"data": _car(1)})


def _redirect(car: str, answer: SimulatedAnswer) -> SimulatedAnswer:
    return SimulatedAnswer(302, b"", headers=((b"location", b"/api/cars"),))


def _half_known(car: str, answer: SimulatedAnswer) -> SimulatedAnswer:
    return SimulatedAnswer(404, b"{}") if int(car) % 2 else answer


def _bare(car: str, answer: SimulatedAnswer) -> SimulatedAnswer:
    return answer_with(body_of(answer)["data"]) if answer.status == 200 else answer


def _without(*slipped: int) -> Callable[[int, SimulatedAnswer], SimulatedAnswer]:
    """Leave cars of the last page out, as if the feed had never listed them."""

    def leave_out(page: int, body: dict[str, Any]) -> None:
        body["data"] = [car for car in body["data"] if car["id"] not in slipped]
        body["meta"]["total"] -= len(slipped)

    return edited(leave_out)


LAST_PAGE = range(FIRST_ID + CARS - PAGE_SIZE, FIRST_ID + CARS)
BY_ID_LIES: dict[str, tuple[int, Callable[[str, SimulatedAnswer], SimulatedAnswer]]] = {
    "nothing": (0, lambda car, answer: answer),
    "404": (6, lambda car, answer: SimulatedAnswer(404, b"")),
    "404 for those it does not know": (6, _half_known),
    "200 for all": (6, _echo),
    "another car": (6, _another),
    "html": (6, lambda car, answer: answer_with(HTML)),
    "bare": (0, _bare),
    "410": (6, lambda car, answer: SimulatedAnswer(410, b"")),
    "500": (6, lambda car, answer: SimulatedAnswer(500, b"")),
    "redirect": (6, _redirect),
    "empty": (6, lambda car, answer: answer_with({})),
    "refused": (6, lambda car, answer: SimulatedAnswer(401, b"")),
}
"""In CI the first few, with `--long` all."""


@pytest.mark.long
def test_a_by_id_endpoint_that_lies_costs_no_car(liar: Liar) -> None:
    """Each run misses another car, without any sign: one that is listed all the same."""
    count = trials(7, len(BY_ID_LIES))
    liar.starts_processes = True  # only they keep to a rate
    liar.site.variables["RPS"] = "60"  # by-id requests count too
    liar.site.settings["limits.burst"] = 30
    for turn, (what, (exit_code, lie)) in list(enumerate(BY_ID_LIES.items()))[:count]:
        liar.api.page_lie = _without(LAST_PAGE[turn])
        liar.api.car_lie = lie
        try:
            liar.sync(exit_code)
        except AssertionError as exc:
            raise AssertionError(f"by id: {what}") from exc


def test_a_by_id_endpoint_that_is_slow_is_waited_for_within_bounds(liar: Liar) -> None:
    liar.api.page_lie = _without(*LAST_PAGE[:10])
    liar.api.car_delay_s = 30
    liar.sync(6, api__timeout__total_s=0.3, api__timeout__read_s=0.3)


# ── elsewhere ────────────────────────────────────────────────────────────────


def test_nothing_that_an_answer_names_is_followed(
    scripted_api: ScriptedApi, scripted_site: Site
) -> None:
    """Neither redirects nor next-links, be they in headers or bodies; the key stays at home."""
    with ScriptedApi() as canary:
        elsewhere = f"{canary.base_url}/cars?page=2"
        headers = {"Link": f'<{elsewhere}>; rel="next"', "Content-Location": elsewhere}
        headers |= {"Refresh": f"0; url={elsewhere}", "Set-Cookie": "session=1"}
        for page in (1, 2, 3):
            reply = page_reply([_car(n) for n in range(page * 20, page * 20 + 20)], page, 3, 60)
            body = {**reply.body, "links": {"next": elsewhere}, "next": elsewhere}
            body["meta"]["next_page_url"] = elsewhere
            scripted_api.on("/cars", Reply(body=body, headers=headers), page=page)
        redirect = Reply(307, b"", {"Location": elsewhere, **headers})
        scripted_api.on("/cars", redirect, page=2)
        ended = scripted_site.sync(expect=5)
        assert "redirects are refused" in ended.said
        assert canary.connections == 0
    assert all("cookie" not in arrival.headers for arrival in scripted_api.arrivals)


def test_connections_closed_after_each_third_answer_cost_no_page(
    scripted_api: ScriptedApi, scripted_site: Site
) -> None:
    for page in range(1, 31):
        records = [_car(n) for n in range(page * 20, page * 20 + 20)]
        reply = page_reply(records, page, 30, 600)
        size = len(reply.encode()[0])
        closes = Reply(body=reply.body, cut_after=size) if page % 3 == 0 else reply
        scripted_api.on("/cars", closes, page=page)
    # A request that crosses the closing on its way costs an attempt.
    scripted_site.sync(acceptance__max_error_rate=1)
    assert len(scripted_site.active()) == 600
    assert scripted_api.connections >= 5
