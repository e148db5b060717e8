"""What a feed says of itself is tried before anything rests on it: totals, ends, pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Fill
from tests.support.fake_api import Reply
from tests.support.quick_site import QuickSite
from tests.support.runbook_runner import Operator
from tests.support.site import ask
from tests.support.small_feed import Meta, SmallFeed, SmallSite, car

CAPPED = {"total": 10}


@pytest.fixture
def feed() -> Iterator[SmallFeed]:
    with SmallFeed() as feed:
        yield feed


@pytest.fixture
def site(feed: SmallFeed, dsn: str, tmp_path: Path) -> Iterator[SmallSite]:
    """A site for runs without processes; who looks at a run while its process lives starts one."""
    site = QuickSite(feed, dsn, tmp_path)
    yield site
    site.close()


def _without_path(site: SmallSite, has_path: bool) -> None:
    if not has_path:
        site.settings["api.record"] = None


def _operator(site: SmallSite) -> Operator:
    operator = Operator(site)  # type: ignore[arg-type]  # needs no simulator
    for key, value in site.settings.items():
        operator.configure(key, value)
    return operator


# ── totals ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [404, pytest.param(400, marks=pytest.mark.long)])
def test_a_feed_that_loses_pages_while_it_is_read_is_read_whole(
    feed: SmallFeed, site: SmallSite, fill: Fill, status: int
) -> None:
    """The pages that it no longer has answer as an API without a page behind its end does."""
    feed.ids, feed.tell = list(range(1, 31)), feed.honest_record
    fill(site)

    def shrink(page: int) -> Reply:
        if page == 3:
            feed.ids = list(range(1, 21))
        is_there = page <= len(feed.ids)
        return feed.honest_page(page) if is_there else Reply(status, {"message": "no such page"})

    feed.show = shrink
    ended = site.sync(sync__deactivate__max_share=0.5)
    assert site.living() == set(range(1, 21))
    assert ended.report["figures"]["pages_given_up"] == 0
    assert "the feed shrank from 30 pages to 20 while it was read" in ended.said


@pytest.mark.parametrize(
    ("meta", "has_path"),
    [
        pytest.param(CAPPED, False, id="no by-id", marks=pytest.mark.long),
        pytest.param(CAPPED, True, id="404 to every id"),
        ({**CAPPED, "last_page": 10}, True),
        pytest.param({"last_page": 10}, False, marks=pytest.mark.long),
    ],
)
def test_a_capped_total_hides_no_car(
    feed: SmallFeed, site: SmallSite, fill: Fill, meta: Meta, has_path: bool
) -> None:
    _without_path(site, has_path)
    fill(site)
    feed.meta = lambda page: meta
    site.sync()
    assert site.living() == set(range(1, 12))


@pytest.mark.parametrize(
    "meta",
    [
        {"total": 1},
        pytest.param({"total": 1, "last_page": None}, marks=pytest.mark.long),
    ],
)
def test_a_total_that_is_only_the_pages_is_not_the_feeds(
    feed: SmallFeed, site: SmallSite, meta: Meta
) -> None:
    feed.ids = [1, 2]
    feed.meta = lambda page: meta
    site.sync()
    assert site.living() == {1, 2}


def test_a_last_page_counted_from_0_loses_no_page(feed: SmallFeed, site: SmallSite) -> None:
    feed.meta = lambda page: {"last_page": len(feed.ids) - 1}
    site.sync()
    assert site.living() == set(feed.ids)


@pytest.mark.parametrize("total", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_page_size_that_the_api_lowers_loses_no_page(
    feed: SmallFeed, site: SmallSite, total: bool
) -> None:
    site.variables["PAGE_SIZE"] = "4"
    feed.meta = lambda page: {"total": len(feed.ids)} if total else None
    site.sync()
    assert site.living() == set(feed.ids)


def test_pages_that_count_from_0_and_are_read_from_1_are_told(
    feed: SmallFeed, site: SmallSite
) -> None:
    """A Spring Slice: no total, and page 0 is the first one."""
    feed.show = lambda page: Reply(body={"data": feed.records(page + 1)})
    ended = site.sync(expect=2)
    assert "api.pagination.first_page" in ended.said
    assert site.rows() == []


# ── ends ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("has_totals", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_feed_cut_at_the_same_depth_every_night_lets_nobody_go(
    feed: SmallFeed, site: SmallSite, has_totals: bool
) -> None:
    """The tail is missing in each run alike, so that a second absence proves nothing."""
    site.settings["api.record"] = None
    feed.size, feed.ids = 500, list(range(1, 2501))
    site.variables["PAGE_SIZE"] = "500"
    if not has_totals:
        feed.meta = lambda page: None
    site.sync()
    cut = {"total": 2000, "last_page": 4} if has_totals else None
    feed.show = lambda page: Reply(
        body={"data": feed.records(page) if page < 5 else [], "meta": cut}
    )
    for _ in range(3):
        ended = site.sync(expect=6, sync__deactivate__max_share=1)
    assert site.inactive() == set()
    assert "cut" in ended.said


def test_one_car_listed_twice_holds_nobody_where_by_id_tells(
    feed: SmallFeed, site: SmallSite
) -> None:
    feed.size, feed.ids = 50, list(range(1, 200))
    site.variables["PAGE_SIZE"] = "50"
    feed.tell = feed.honest_record
    site.sync()
    feed.ids = [*range(1, 199), 7]  # 199 is sold
    site.sync()
    assert site.inactive() == {"199"}


def test_a_total_one_too_high_is_no_failure(feed: SmallFeed, site: SmallSite) -> None:
    feed.ids = [1]
    feed.meta = lambda page: {"total": 2}
    site.sync(acceptance__max_error_rate=1)  # the empty page is asked for again
    assert site.living() == {1}


@pytest.mark.parametrize("is_gone", [True, pytest.param(False, marks=pytest.mark.long)])
def test_what_the_cap_holds_is_asked_for_by_id(
    feed: SmallFeed, site: SmallSite, fill: Fill, is_gone: bool
) -> None:
    """Of the cars over the cap those that live are not shown for approval."""
    feed.tell = feed.honest_record
    fill(site)
    listed = [1, 2, 3, 4, 5, 6]
    if is_gone:
        feed.ids = listed
    else:
        feed.show = lambda page: Reply(
            body={
                "data": [car(i) for i in listed[page - 1 : page]],
                "meta": {"total": len(listed), "last_page": len(listed)},
            }
        )
    ended = site.sync(expect=6)
    assert ended.counts.get("held", 0) == (5 if is_gone else 0)
    words = "the feed was read incompletely: 6 of 11 cars; nothing was deactivated"
    assert is_gone or words in ended.said
    if not is_gone:
        refused = site.run("approve", str(ended.report["run_id"])).said
        assert "holds no cars, so there is nothing to approve" in refused
        assert words in refused
        shown = _operator(site).open("held").said
        assert words in shown
        assert "Nothing is held" in shown
    assert site.living() == set(range(1, 12))


ENDS = {
    "400": Reply(400, {"message": "page out of range"}),
    "204": Reply(204, b""),
    "null": Reply(body=None),
    "null for the records": Reply(body={"data": None}),
    "an error with 200": Reply(body={"error": "no such page"}),
}
LIKE_400 = [Reply(416, b""), Reply(422, {"detail": "page"})]


@pytest.mark.parametrize(
    "end",
    [pytest.param(end, id=name) for name, end in ENDS.items()]
    + [pytest.param(end, marks=pytest.mark.long) for end in LIKE_400],
)
def test_an_end_that_is_an_error_is_named_with_its_cure(
    feed: SmallFeed, site: SmallSite, end: Reply
) -> None:
    feed.meta = lambda page: None
    feed.show = lambda page: feed.honest_page(page) if page <= len(feed.ids) else end
    site.settings |= {"limits.retry.max_attempts": 2, "acceptance.max_error_rate": None}
    site.settings["api.pagination.stop_after_empty_pages"] = 2
    ended = site.sync(expect=5)
    cure = [404, end.status]
    assert f"set api.pagination.end_status: {cure}" in ended.said
    assert "no page of the feed could be read" not in ended.said
    site.sync(api__pagination__end_status=cure)
    assert site.living() == set(feed.ids)


# ── the same page ────────────────────────────────────────────────────────────


def test_the_last_page_repeated_for_ever_is_the_end(feed: SmallFeed, site: SmallSite) -> None:
    feed.show = lambda page: Reply(body={"data": feed.records(min(page, len(feed.ids)))})
    ended = site.sync()
    assert site.living() == set(feed.ids)
    assert "lists the same records as page" in ended.said
    assert len(feed.arrivals) < 30


@pytest.mark.parametrize("has_totals", [pytest.param(False, marks=pytest.mark.long), True])
def test_the_first_page_for_every_number_stops_the_run(
    feed: SmallFeed, site: SmallSite, has_totals: bool
) -> None:
    meta = feed.honest_meta(1) if has_totals else None
    feed.show = lambda page: Reply(body={"data": feed.records(1), "meta": meta})
    ended = site.sync(expect=2)
    assert "api.pagination.page_param" in ended.said
    assert site.rows() == []
    assert len(feed.arrivals) < 30
    feed.show = feed.honest_page
    site.sync()
    assert site.living() == set(feed.ids)


@pytest.mark.parametrize("has_totals", [pytest.param(False, marks=pytest.mark.long), True])
def test_everything_in_one_answer_is_one_page(
    feed: SmallFeed, site: SmallSite, has_totals: bool
) -> None:
    everything = [car(i) for i in range(1, 5001)]
    feed.ids = list(range(1, 5001))
    meta = {"total": 5000, "last_page": 5000} if has_totals else None
    feed.show = lambda page: Reply(body={"data": everything, "meta": meta})
    site.sync()
    assert len(site.active()) == 5000
    assert len(feed.arrivals) < 30


# ── by id ────────────────────────────────────────────────────────────────────


def test_a_sold_car_that_is_answered_200_is_named_and_then_read_by_the_rule(
    feed: SmallFeed, site: SmallSite, fill: Fill
) -> None:
    def tell(number: int) -> Reply:
        known = {"data": car(number, archived=number not in feed.ids)}
        return Reply(body=known) if number <= 11 else Reply(404, {})

    feed.tell = tell
    fill(site)
    feed.ids.remove(7)
    ended = site.sync()  # by its 200 it is alive
    assert "set api.record.gone_when: {.archived: true}" in ended.said
    assert site.inactive() == set()
    site.sync(api__record__gone_when={".archived": True})
    assert site.inactive() == {"7"}


@pytest.mark.parametrize("is_same", [True, False], ids=["same form", "another form"])
def test_a_listed_car_that_slipped_between_pages_is_read_by_id_or_told(
    feed: SmallFeed, site: SmallSite, fill: Fill, is_same: bool
) -> None:
    """Car 1 is sold while page 2 is read: car 11, with a new price, moves up to that page."""
    feed.size, feed.ids = 5, list(range(1, 31))
    site.variables["PAGE_SIZE"] = "5"
    prices: dict[int, int] = {}

    def record(number: int) -> Meta:
        return car(number, lots=[{"buy_now": prices.get(number, 1000)}])

    def show(page: int) -> Reply:
        body = {"data": [record(i) for i in feed.ids[5 * page - 5 : 5 * page]]}
        if page == 2 and prices and 1 in feed.ids:
            feed.ids.remove(1)
        return Reply(body={**body, "meta": feed.meta(page)})

    def tell(number: int) -> Reply:
        body = {"data": record(number) if is_same else car(number)}
        return Reply(body=body) if number in feed.ids else Reply(404, {})

    feed.show, feed.tell = show, tell
    fill(site)
    prices[11] = 2000
    if is_same:
        site.variables["CARSYNC_FAILPOINT"] = f"sync.decided=die@{site.folder / 'dead'}"
        dead = site.start("sync", limits__concurrency=1).end()
        assert "1 car was on no page that was read, and could be read by id" in dead.said
        feed.arrivals.clear()
    ended = site.sync(expect=0 if is_same else 5, limits__concurrency=1)
    assert site.inactive() == set(), "it was on page 1"
    query = "SELECT price::int FROM public.cars WHERE id = '11'"
    assert ask(site.dsn, query) == [(2000 if is_same else 1000,)]
    if is_same:
        assert feed.pages_asked() == [7], "the run was resumed"
    else:
        assert "1 listed car was on no page that was read" in ended.said


@pytest.mark.parametrize(
    ("answer", "words", "rule"),
    [
        (Reply(body=None), "holds nothing; {}: [404, 410, 200]", {"gone_status": [404, 410, 200]}),
        pytest.param(
            Reply(204, b""),
            "HTTP 204; {}: [404, 410, 204]",
            {"gone_status": [404, 410, 204]},
            marks=pytest.mark.long,
        ),
        pytest.param(
            Reply(400, {}),
            "HTTP 400; {}: [404, 410, 400]",
            {"gone_status": [404, 410, 400]},
            marks=pytest.mark.long,
        ),
        (
            Reply(body={"error": "unknown"}),
            'an error object; {}: {{.error: "unknown"}}',
            {"gone_when": {".error": "unknown"}},
        ),
        (Reply(body=[]), "holds nothing; {}: [404, 410, 200]", {"gone_status": [200]}),
        (Reply(301, b"", {"Location": "/cars/7/"}), "redirects (HTTP 301) to /cars/7/", {}),
    ],
)
def test_an_unclear_answer_by_id_is_named_with_the_rule_that_reads_it(
    feed: SmallFeed, site: SmallSite, fill: Fill, answer: Reply, words: str, rule: dict[str, Any]
) -> None:
    feed.tell = lambda i: Reply(body={"data": car(i)}) if i in feed.ids else answer
    fill(site)
    feed.ids.remove(7)
    said = site.sync(expect=6).said
    for key, value in rule.items():
        named = f"if it means that the car is gone, set api.record.{key}"
        assert words.format(named) in said
        site.sync(**{f"api__record__{key}": value})
        assert site.inactive() == {"7"}
    assert rule or words in said


# ── a quota ──────────────────────────────────────────────────────────────────


def test_a_quota_that_is_gone_ends_the_run_and_names_the_hour(
    feed: SmallFeed, site: SmallSite
) -> None:
    refusal = Reply(429, {"message": "monthly quota exceeded"}, {"Retry-After": "86500"})
    feed.show = lambda page: feed.honest_page(page) if page < 5 else refusal
    ended = site.check(site.start("sync", "--json"), 3)
    assert "the API asks to wait" in ended.said
    assert "monthly quota exceeded" in ended.said
    assert "the API asks to wait" in json.dumps(site.status())
    assert len(feed.arrivals) < 20
    feed.show = feed.honest_page
    site.sync()
    assert site.living() == set(feed.ids)


# ── values ───────────────────────────────────────────────────────────────────


def test_a_photo_that_comes_a_day_later_is_written(
    feed: SmallFeed, site: SmallSite, fill: Fill
) -> None:
    fill(site)
    photos = [{"images": {"normal": ["https://img.test/1.jpg"]}}]

    def show(page: int) -> Reply:
        shown = [car(i, lots=photos if i < 4 else []) for i in feed.ids[page - 1 : page]]
        return Reply(body={"data": shown, "meta": feed.meta(page)})

    feed.show = show
    ended = site.sync()
    assert ended.counts["updated"] == 3
    assert sum("1.jpg" in row for row in site.rows()) == 3


def test_a_number_out_of_range_costs_the_default_not_the_car(
    feed: SmallFeed, site: SmallSite
) -> None:
    feed.ids = [1]
    odd = car(1, lots=[{"odometer": {"km": 2553571660}}])
    feed.show = lambda page: Reply(body={"data": [odd][page - 1 :], "meta": {"total": "1"}})
    ended = site.sync()
    assert ended.counts == {"seen": 1, "inserted": 1}


EMPTIED = {
    "the key has another name": {"buy_price": 1000},
    "the value became an object": {"buy_now": {"amount": 1000}},
    "the value became a text": {"buy_now": "1,000"},
}


def _priced(feed: SmallFeed, lot: dict[str, object]) -> None:
    feed.size = 20
    feed.ids = list(range(1, 41))
    feed.show = lambda page: Reply(
        body={
            "data": [{**record, "lots": [lot]} for record in feed.records(page)],
            "meta": feed.meta(page),
        }
    )


@pytest.fixture
def forty_priced_cars(feed: SmallFeed, site: SmallSite, fill: Fill) -> None:
    """Forty cars with a price, twenty to a page, which a first run brought into the table."""
    site.variables["PAGE_SIZE"] = "20"
    _priced(feed, {"buy_now": 1000})
    fill(site)


@pytest.mark.usefixtures("forty_priced_cars")
@pytest.mark.parametrize("lot", EMPTIED.values(), ids=EMPTIED)
def test_a_value_that_turned_into_a_default_is_held_until_a_person_has_looked(
    feed: SmallFeed, site: SmallSite, lot: dict[str, object]
) -> None:
    before = site.rows()
    _priced(feed, lot)
    ended = site.sync(expect=6)
    assert site.rows() == before
    assert "price would become empty, or its default, in 40 of 40 known cars" in ended.said


@pytest.mark.usefixtures("forty_priced_cars")
def test_a_run_that_was_held_whole_is_looked_at_approved_and_taken_back(
    feed: SmallFeed, site: SmallSite
) -> None:
    before = site.rows()
    _priced(feed, {"buy_price": 1000})
    run_id = site.check(site.start("sync", "--json"), 6).report["run_id"]
    shown = site.run("approve", str(run_id), "--dry-run")
    assert "price: 40 cars would change; in 40 the value would become empty" in shown.said
    assert "1 1000 → 0" in shown.said
    assert site.rows() == before
    approved = site.run("approve", str(run_id), "--yes", "--json")
    assert approved.exit_code == 0, approved
    assert approved.report["merged"]["updated"] == 40
    assert site.rows() != before
    told = site.run("runs", "show", str(run_id)).out
    assert re.search(r"outcome +complete \(exit 0\)", told)
    assert re.search(r"updated +40", told)
    assert re.search(r"approved +20.* by ", told)
    site.sync()
    assert site.run("revert", str(run_id), "--yes").exit_code == 0


@pytest.mark.usefixtures("forty_priced_cars")
def test_ids_of_another_form_would_show_every_car_twice_and_are_held(
    feed: SmallFeed, site: SmallSite
) -> None:
    feed.show = lambda page: Reply(
        body={
            "data": [car(record["id"] + 1000) for record in feed.records(page)],
            "meta": feed.meta(page),
        }
    )
    ended = site.sync(expect=6)
    assert "as if each car had another id" in ended.said
    assert site.living() == set(feed.ids)
    site.sync(expect=6, sync__plausible=None)  # then the cap holds the missing ones
    assert len(site.living()) == 80


@pytest.mark.usefixtures("forty_priced_cars")
def test_a_change_of_the_mapping_is_announced_and_not_held(site: SmallSite) -> None:
    site.sync(mapping__columns__price={"constant": 7, "type": "numeric"})
    assert len(site.active()) == 40


@pytest.mark.usefixtures("forty_priced_cars")
def test_a_held_run_is_replaced_by_the_next_one(feed: SmallFeed, site: SmallSite) -> None:
    _priced(feed, {})
    held = site.sync(expect=6).report["run_id"]
    _priced(feed, {"buy_now": 1000})
    site.sync()
    refused = site.run("approve", str(held), "--yes")
    assert refused.exit_code == 2
    assert "is gone" in refused.err


@pytest.mark.usefixtures("forty_priced_cars")
def test_a_held_run_whose_unchanged_cars_are_gone_is_approved_no_more(
    feed: SmallFeed, site: SmallSite
) -> None:
    priced = feed.show
    _priced(feed, {})
    empty = feed.show
    feed.show = lambda page: (priced if page == 1 else empty)(page)
    held = site.sync(expect=6).report["run_id"]
    ask(site.dsn, "DELETE FROM public.cars WHERE id = '1'")
    refused = site.run("approve", str(held), "--yes")
    assert refused.exit_code == 2
    assert f"has changed since run {held} read the feed" in refused.err


@pytest.mark.usefixtures("forty_priced_cars")
def test_the_runbook_shows_and_merges_a_run_that_was_held_whole(
    feed: SmallFeed, site: SmallSite
) -> None:
    before = site.rows()
    _priced(feed, {})
    site.check(site.start("sync", "--json"), 6)
    operator = _operator(site)
    asked = operator.refuse("held")
    assert "price: 40 cars would change; in 40 the value would become empty" in asked.said
    assert site.rows() == before
    operator.open("held", "--yes")
    assert site.rows() != before


def test_an_end_that_cannot_be_tried_is_no_end_where_the_last_page_is_full(
    feed: SmallFeed, site: SmallSite
) -> None:
    """The total is only the page's, and the API fails behind each page that it reports last."""
    feed.ids, failing = [1, 2, 3], Reply(500, {"message": "offset too large"})
    feed.meta = lambda page: {"total": 1, "last_page": 1}
    feed.show = lambda page: feed.honest_page(page) if page == 1 else failing
    site.settings["limits.retry.max_attempts"] = 2
    ended = site.sync(expect=6)
    assert "page 2 may hold more records" in ended.said
    feed.show = feed.honest_page
    site.sync()
    assert site.living() == {1, 2, 3}
