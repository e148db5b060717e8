"""What the doctor tries by a few more requests: the feed's ends, and answers by id."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from carsync.config.parser import parse
from carsync.doctor import examine, feed_checks
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import Finding, Level
from tests.support.fake_api import Arrival, Reply
from tests.support.findings import bad, by_name
from tests.support.small_feed import SmallFeed, car

NO_TOTALS = "api: {pagination: {total_pages: null, total_records: null}}"


@pytest.fixture
def feed() -> Iterator[SmallFeed]:
    with SmallFeed(is_by_id=True) as feed:
        yield feed


def examine_feed(feed: SmallFeed, text: str = "", **variables: str) -> dict[str, Finding]:
    environ = {"API_BASE_URL": feed.base_url, "PAGE_SIZE": str(feed.size), **variables}
    config = parse(text, environ, ["api.auth.type=none"])
    return by_name(examine.examine(config, Origin(None), None, lambda _: None), "API")


def test_an_honest_feed_is_asked_five_times_and_nothing_is_wrong(feed: SmallFeed) -> None:
    found = examine_feed(feed)
    assert bad(list(found.values())) == {}
    assert feed.pages_asked() == [1, 12, 0]
    assert [*found][-len(feed_checks.CLAIMS) - 1 :] == [*feed_checks.CLAIMS, "requests"]
    assert found["requests"].seen == "the API was asked 5 times"
    assert len(feed.arrivals) == 5
    assert found["by id"].seen == "/cars/{id} gives the car 1; an id that cannot exist: HTTP 404"


def test_requests_beyond_the_first_keep_to_the_rate(feed: SmallFeed) -> None:
    started_s = time.monotonic()
    examine_feed(feed, "limits: {requests_per_second: 5, burst: 1}")
    assert time.monotonic() - started_s >= 0.7, "four more than the first, 0.2 s apart"
    slow = examine_feed(feed, "limits: {requests_per_second: 0.01, burst: 1}")
    assert "the rate limit" in slow["end"].seen
    assert "the API was asked 1 time" in slow["requests"].seen


# ── ends ─────────────────────────────────────────────────────────────────────


def _repeat(feed: SmallFeed, last: int) -> Callable[[int], Reply]:
    return lambda page: feed.honest_page(min(page, last))


ENDS: list[tuple[str, Callable[[SmallFeed], dict[str, Any]], str, str]] = [
    ("capped", lambda f: {"meta": lambda page: {"total": 10}}, "page 11", "total_records"),
    ("page's", lambda f: {"meta": lambda page: {"total": 1}}, "lists 1 record more", "or to null"),
    ("from 0", lambda f: {"meta": lambda page: {"last_page": 10}}, "page 11", "total_pages"),
    ("same", lambda f: {"show": _repeat(f, 1)}, "every page lists the records of", "page_param"),
    ("500", lambda f: {"show": lambda p: f.honest_page(p) if p < 12 else Reply(500)}, "500", ""),
]


@pytest.mark.parametrize(("change", "seen", "fix"), [end[1:] for end in ENDS])
def test_totals_that_the_page_behind_them_disproves_are_told(
    feed: SmallFeed, change: Callable[[SmallFeed], dict[str, Any]], seen: str, fix: str
) -> None:
    for name, value in change(feed).items():
        setattr(feed, name, value)
    end = examine_feed(feed)["end"]
    assert end.level is Level.WARNING
    assert seen in end.seen
    assert fix in end.fix
    assert len(feed.pages_asked()) <= 4


@pytest.mark.parametrize(
    ("answer", "fix"),
    [
        (Reply(400, {"message": "no such page"}), "end_status: [404, 400]"),
        (Reply(204, b""), "end_status: [404, 204]"),
        (Reply(body=None), "end_status: [404, 200]"),
        (Reply(body={"error": "no such page"}), "end_status: [404, 200]"),
        (Reply(404, {}), ""),
        (Reply(body={"data": []}), ""),
    ],
)
def test_the_status_at_a_feed_s_end_is_named(feed: SmallFeed, answer: Reply, fix: str) -> None:
    feed.meta = lambda page: None
    feed.show = lambda page: feed.honest_page(page) if page < 12 else answer
    end = examine_feed(feed, NO_TOTALS)["end"]
    assert fix in end.fix
    assert (end.level is Level.OK) is not bool(fix)


def test_a_feed_without_totals_that_repeats_is_longer_or_begins_earlier_is_told_apart(
    feed: SmallFeed,
) -> None:
    feed.meta = lambda page: None
    feed.show = _repeat(feed, 11)
    assert "known records again" in examine_feed(feed, NO_TOTALS)["end"].seen
    feed.show = _repeat(feed, 1)
    assert "page_param" in examine_feed(feed, NO_TOTALS)["end"].fix
    feed.show = lambda page: Reply(body={"data": feed.records(page + 1)})
    begin = examine_feed(feed, NO_TOTALS)["begin"]
    assert begin.fix == "set api.pagination.first_page: 0, if the feed begins there"
    short = "api: {pagination: {total_pages: null, total_records: null, max_pages: 5}}"
    assert "max_pages" in examine_feed(feed, short)["end"].fix


# ── by id ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "seen", "fix"),
    [
        (Reply(body=None), "holds nothing", "gone_status: [404, 410, 200]"),
        (Reply(body={"data": None}), "holds nothing", "gone_status: [404, 410, 200]"),
        (Reply(204, b""), "HTTP 204", "gone_status: [404, 410, 204]"),
        (Reply(400, {}), "HTTP 400", "gone_status: [404, 410, 400]"),
        (
            Reply(body={"error": "no such car"}),
            "error object",
            'gone_when: {.error: "no such car"}',
        ),
        (Reply(body={"data": car(3)}), "not the record asked for", "api.record: null"),
        (Reply(500), "HTTP 500", "api.record: null"),
        (Reply(429), "slow down", ""),
    ],
)
def test_the_rule_that_reads_an_id_that_cannot_exist_is_named(
    feed: SmallFeed, answer: Reply, seen: str, fix: str
) -> None:
    feed.tell = lambda i: feed.honest_record(i) if i in feed.ids else answer
    found = examine_feed(feed)["by id"]
    assert found.level is Level.WARNING
    assert seen in found.seen
    assert fix in found.fix
    assert "cannot exist" in found.seen or answer.status == 429
    rule = found.fix.partition("api.record.")[2]
    if "gone" in rule:
        again = examine_feed(feed, f"api: {{record: {{{rule}}}}}")["by id"]
        assert again.level is Level.OK, "the rule that was named reads the answer"


def test_a_record_for_any_id_proves_nothing(feed: SmallFeed) -> None:
    feed.tell = lambda i: Reply(body={"data": car(i)})
    assert "no 200 counts" in examine_feed(feed)["by id"].seen


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (Reply(404, {}), "which the first page lists: HTTP 404"),
        (Reply(body=[car(1)]), "the answer is a list of 1"),
        (Reply(301, b"", {"Location": "/car/1"}), "redirects (HTTP 301) to /car/1"),
        (Reply(body={"data": car(1, archived=True)}), "is gone: api.record.gone_when says so"),
    ],
)
def test_a_listed_car_that_cannot_be_read_by_id_is_told(
    feed: SmallFeed, answer: Reply, seen: str
) -> None:
    feed.tell = lambda i: answer
    found = examine_feed(feed, "api: {record: {gone_when: {.archived: true}}}")["by id"]
    assert found.level is Level.WARNING
    assert seen in found.seen
    assert "api.record" in found.fix


@pytest.mark.parametrize("has_slash", [True, False])
@pytest.mark.parametrize("refusal", [Reply(301, b"", {"Location": "/elsewhere"}), Reply(404, {})])
def test_the_slash_that_a_record_s_path_lacks_or_has_too_much_is_found(
    feed: SmallFeed, refusal: Reply, has_slash: bool
) -> None:
    right, wrong = ("/cars/{id}/", "/cars/{id}") if has_slash else ("/cars/{id}", "/cars/{id}/")

    class Strict(SmallFeed):
        def answer(self, arrival: Arrival) -> Reply:
            if arrival.page is None and arrival.path.endswith("/") is not has_slash:
                return refusal
            return super().answer(replace(arrival, path=arrival.path.rstrip("/")))

    feed.__class__ = Strict
    found = examine_feed(feed, f"api: {{record: {{path: '{wrong}'}}}}")["by id"]
    assert found.fix == f'set api.record.path: "{right}"'
    assert examine_feed(feed, f"api: {{record: {{path: '{right}'}}}}")["by id"].level is Level.OK


BY_LOT = """
api: {record: {path: "/lot/{lot_number}/{domain_name}"}}
mapping: {columns: {domain_name: {path: domain}}}
"""


class LotFeed(SmallFeed):
    """Knows its cars by their lots; the first car has none."""

    def records(self, page: int) -> list[dict[str, Any]]:
        return [self.car(i) for i in self.ids]

    def car(self, number: int) -> dict[str, Any]:
        lots = [{"lot": f"{number}/a"}] if number > 1 else []
        return car(number, domain="iaai", lots=lots)

    def answer(self, arrival: Arrival) -> Reply:
        _, _, *lot = arrival.path.split("/")
        if arrival.page is not None or len(lot) != 2:
            return super().answer(arrival)
        self.arrivals.append(arrival)
        number = lot[0].removesuffix("%2Fa")
        is_known = number in map(str, self.ids) and lot[1] == "iaai"
        return Reply(body={"data": self.car(int(number))}) if is_known else Reply(404, {})


def test_a_car_is_asked_for_by_the_columns_that_its_path_names(feed: SmallFeed) -> None:
    feed.__class__ = LotFeed
    found = examine_feed(feed, BY_LOT)["by id"]
    assert found.level is Level.OK
    said = "/lot/{lot_number}/{domain_name} gives the car 2; an id that cannot exist: HTTP 404"
    assert found.seen == said
    feed.ids = [1]
    assert "no record of the first page has all values" in examine_feed(feed, BY_LOT)["by id"].seen


def test_times_without_an_offset_are_told_with_the_zone_that_they_are_given(
    feed: SmallFeed,
) -> None:
    feed.show = lambda page: Reply(body={"data": [car(1, at="2024-05-01 12:00")]})
    columns = "sale_date: {path: at, type: timestamptz, zone: Asia/Seoul}"
    found = examine_feed(feed, f"mapping: {{columns: {{{columns}}}}}")["times"]
    assert found.seen.endswith("sale_date in Asia/Seoul")
    feed.show = lambda page: Reply(body={"data": [car(1, at="2024-05-01 12:00Z")]})
    assert "times" not in examine_feed(feed, f"mapping: {{columns: {{{columns}}}}}")


# ── fields ───────────────────────────────────────────────────────────────────


def test_fields_that_are_missing_and_fields_without_a_column_are_named(feed: SmallFeed) -> None:
    feed.size = 20
    feed.ids = list(range(1, 21))
    feed.show = lambda page: Reply(
        body={"data": [car(i, Price=7, doors=5) for i in feed.ids], "meta": {"total": 20}}
    )
    columns = "mapping: {columns: {price: {path: price, type: numeric, default: 0}}}"
    found = examine_feed(feed, columns)["fields"]
    assert found.level is Level.WARNING
    assert "price (price)" in found.seen
    assert "no column reads Price, doors" in found.seen
    feed.ids = feed.ids[:5]
    few = examine_feed(feed, columns)["fields"]
    assert few.level is Level.OK, "a few records say nothing of rare fields"
