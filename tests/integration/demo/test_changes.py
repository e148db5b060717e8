"""What the simulated API tells of changes, over real sockets: windows, tombstones, dates, lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from carsync.demo.changes.window import Window
from carsync.demo.feed import FeedOptions
from tests.integration.demo.test_simulator import Client, serving

NOON = "2026-01-15T12:00:00Z"
NOON_S = 1_768_478_400.0
SIZE = {"offset": "limit"}
CHANGES = {"changed_share": 0.05, "removed_share": 0.03, "added_share": 0.02}


@pytest.fixture(scope="module")
def live() -> Iterator[Client]:
    """The live API at two o'clock, two hours after its clock began."""
    feed = FeedOptions(cars=400, seed=5, relisted_share=0.005, **CHANGES)
    with serving(feed=feed, live=True, clock_s=NOON_S) as client:
        client.control("POST", "advance?hours=2")
        yield client


def ids(answer: requests.Response) -> set[int]:
    """Return the ids of a page's records."""
    return {record["id"] for record in answer.json()["data"]}


def all_records(client: Client, path: str, **query: Any) -> list[Any]:
    """Read a list page by page, by its links."""
    link = f"{client.api.base_url}{path}?{urlencode({**query, 'per_page': 7})}"
    found = []
    while link:
        body = client.session.get(link, timeout=10).json()
        found += body["data"]
        link = body["links"]["next"]
    return found


def test_a_window_lists_what_the_hours_changed_by_pages_that_keep_it(live: Client) -> None:
    before, after = (
        {car["id"]: car for car in live.api.app.feed.records(live.api.app.feed.at(n), slice(None))}
        for n in (1, 2)
    )
    window = all_records(live, "/cars", minutes=60)
    new = {i for i in after if i not in before or before[i]["lots"] != after[i]["lots"]}
    assert {car["id"] for car in window} == new
    assert len(window) == len(new) > 20
    assert all("2026-01-15T13:" in car["updated_at"] or car["updated_at"] > NOON for car in window)
    assert {car["id"] for car in all_records(live, "/cars", minutes=4320)} > new
    for minutes in ("4321", "0", "-1", "x", ""):
        assert live.get(f"/cars?minutes={minutes}").status_code == 422
        assert live.get(f"/archived-lots?minutes={minutes}").status_code == 422


def test_tombstones_are_flat_and_say_who_left_and_when(live: Client) -> None:
    feed = live.api.app.feed
    left = set(feed.at(1).ids) - set(feed.at(2).ids)
    tombstones = all_records(live, "/archived-lots", minutes=60)
    assert {each["car_id"] for each in tombstones} == left
    first = tombstones[0]
    assert first.keys() == {
        *("lot_id", "car_id", "lot", "domain", "vin", "status", "archived_at"),
        *("bid", "final_bid", "sale_date"),
    }
    assert first["archived_at"].startswith("2026-01-15T13:")
    assert first["domain"].keys() == {"id", "name"}
    assert [each["archived_at"] for each in tombstones] == sorted(
        each["archived_at"] for each in tombstones
    )
    for each in tombstones:
        car = live.get(f"/search-lot/{each['lot']}/{each['domain']['name']}").json()["data"]
        assert (car["id"], car["vin"]) == (each["car_id"], each["vin"])
        is_sold = each["status"]["name"] == "sold"
        final = car["lots"][-1]["final_bid"] if is_sold else None
        assert each["final_bid"] == {"value": final, "updated_at": each["archived_at"]}
    assert len(all_records(live, "/archived-lots")) > len(tombstones)


def test_the_clock_is_told_set_and_moved_both_ways(live: Client) -> None:
    assert live.get("/cars?minutes=5").headers["Date"] == "Thu, 15 Jan 2026 14:00:00 GMT"
    try:
        assert live.control("POST", "clock?by=-90")["clock"] == "2026-01-15T12:30:00.000000Z"
        assert live.get("/cars").headers["Date"] == "Thu, 15 Jan 2026 12:30:00 GMT"
        assert len(ids(live.get("/cars?minutes=1&per_page=400"))) > 20
    finally:
        live.control("POST", "clock?at=2026-01-15T14:00:00Z")


def test_the_truth_is_what_is_listed_now_and_costs_no_request(live: Client) -> None:
    live.control("POST", "reset")
    truth = live.control("GET", "truth")
    shown = [
        car for n in (1, 2) for car in live.control("GET", f"cars?page={n}&per_page=300")["data"]
    ]
    assert [car["id"] for car in shown] == truth["ids"]
    assert live.control("GET", "log") == []
    assert live.get("/cars?per_page=300").json()["data"] == shown[:300]


@pytest.mark.parametrize(
    ("lie", "path", "status"),
    [
        ("window-small", "/cars?minutes=61", 400),
        ("window-small", "/archived-lots?minutes=61", 400),
        ("window-small", "/cars?minutes=60", 200),
        ("removals-404", "/archived-lots", 404),
        ("removals-500", "/archived-lots", 500),
        ("removals-500", "/cars", 200),
    ],
)
def test_a_lie_refuses_what_it_says(live: Client, lie: str, path: str, status: int) -> None:
    live.control("POST", f"lie?name={lie}")
    assert live.get(path).status_code == status
    live.control("POST", "lie")
    assert live.get(path).status_code == 200


def test_lies_of_windows_dates_and_tombstones(live: Client) -> None:
    whole, window = (ids(live.get(f"/cars?{q}per_page=400")) for q in ("", "minutes=60&"))
    live.control("POST", "lie?name=window-ignored,date-ahead,tombstones-unknown,tombstones-older")
    answer = live.get("/cars?minutes=60&per_page=400")
    assert ids(answer) == whole
    assert answer.headers["Date"] == "Thu, 15 Jan 2026 15:00:00 GMT"
    tombstones = live.get("/archived-lots?minutes=60&per_page=400").json()["data"]
    buried = {each["car_id"]: each["archived_at"] for each in tombstones}
    assert buried.keys() - set(range(live.api.app.snapshot.next_id)) == {
        *(999_000_001, 999_000_002, 999_000_003)
    }
    alive = {c["id"]: c["updated_at"] for c in answer.json()["data"] if c["id"] in buried}
    assert len(alive) > len(window) / 2
    assert all(buried[car_id] < alive[car_id] for car_id in alive)
    live.control("POST", "lie?name=tombstones-other-lot")
    *_, last = live.get("/archived-lots?minutes=5&per_page=400").json()["data"]
    lots = live.get(f"/search-vin/{last['vin']}").json()["data"]["lots"]
    assert [lot["lot"] == last["lot"] for lot in lots] == [True, False]
    assert (lots[0]["id"], last["car_id"] in whole) == (last["lot_id"], True)
    for lie, date in (("date-behind", "Thu, 15 Jan 2026 13:00:00 GMT"), ("date-missing", None)):
        live.control("POST", f"lie?name={lie}")
        assert live.get("/cars").headers.get("Date") == date
    live.control("POST", "lie?name=removals-hang")
    with pytest.raises(requests.ReadTimeout):
        live.session.get(f"{live.api.base_url}/archived-lots", timeout=0.3)
    live.control("POST", "lie")


@pytest.mark.parametrize(
    ("window", "text", "paging"),
    [
        (Window(), "60", "offset"),
        (Window("since", "seconds"), "3600", "cursor"),
        (Window("since", "iso8601"), "2026-01-15T13:00:00+00:00", "link_header"),
        (Window("since", "iso8601", "Asia/Seoul"), "2026-01-15T22:00:00", "next_link"),
        (Window("from", "epoch_s"), str(int(NOON_S) + 3600), "page"),
        (Window("from", "epoch_ms"), str(1000 * int(NOON_S) + 3_600_000), "page"),
        (Window("after", "%m/%d/%Y %H:%M", "America/New_York"), "01/15/2026 08:00", "page"),
    ],
)
def test_other_feeds_have_windows_of_other_formats(window: Window, text: str, paging: str) -> None:
    feed = FeedOptions(cars=100, seed=5, **CHANGES)
    with serving(feed=feed, clock_s=NOON_S, window=window, paging=paging) as client:
        client.api.app.timeline.advance(2)
        shown = client.api.app.timeline.changed_since(NOON_S + 3600)
        answer = client.get("/cars", params={window.param: text})
        records = answer.json() if paging == "link_header" else answer.json()["data"]
        assert [car["id"] for car in records] == list(shown.ids) != []
        answer = client.get(
            "/archived-lots", params={window.param: text, SIZE.get(paging, "per_page"): 2}
        )
        tombstones = answer.json() if paging == "link_header" else answer.json()["data"]
        assert len(tombstones) == 2
        assert all(each["archived_at"] > "2026-01-15T13" for each in tombstones)
        if paging == "link_header":
            assert urlencode({window.param: text}) in answer.headers["Link"]
        assert client.get("/cars", params={window.param: "no time"}).status_code == 422
