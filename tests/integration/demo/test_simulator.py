"""The simulated API over real sockets: pages, key, limit, faults, control routes, command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from carsync.demo.feed import FeedOptions
from carsync.demo.server import RunningSimulator, running
from carsync.demo.simulator import Simulator, SimulatorOptions

KEY = {"X-API-Key": "demo"}


class Client:
    """A session with the key that talks to one simulator."""

    def __init__(self, api: RunningSimulator, session: requests.Session) -> None:
        self.api = api
        self.session = session

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.api.base_url + path, timeout=10, **options)

    def page(self, page: int, **options: Any) -> requests.Response:
        return self.get(f"/cars?page={page}", **options)

    def control(self, method: str, path: str) -> Any:
        answer = self.session.request(method, f"{self.api.origin}/_sim/{path}", timeout=10)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def serving(cars: int = 250, **options: Any) -> Iterator[Client]:
    feed = options.pop("feed", FeedOptions(cars=cars, seed=5))
    app = Simulator(SimulatorOptions(feed=feed, **options))
    with running(app) as api, requests.Session() as session:
        session.headers.update(KEY)
        yield Client(api, session)


@pytest.fixture(scope="module")
def plain() -> Iterator[Client]:
    with serving() as client:
        yield client


def test_a_page_is_the_feeds_own_gzipped_or_not_as_the_client_asks(plain: Client) -> None:
    feed = plain.api.app.feed
    expected = feed.page_body(feed.at(0), 2, 100)
    packed = plain.page(2)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(expected) / 5
    identity = plain.page(2, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in identity.headers
    assert packed.content == identity.content == expected


def test_the_page_size_is_the_clients_up_to_a_maximum(plain: Client) -> None:
    body = plain.get("/cars?page=3&per_page=20").json()
    assert len(body["data"]) == 20
    assert body["meta"] == {"current_page": 3, "last_page": 13, "per_page": 20, "total": 250}
    with serving(max_page_size=50) as clamping:
        assert clamping.get("/cars?per_page=100").json()["meta"]["per_page"] == 50


def test_a_page_past_the_last_is_empty(plain: Client) -> None:
    assert plain.page(4).json()["data"] == []


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=0"])
def test_a_query_that_makes_no_sense_is_refused(plain: Client, query: str) -> None:
    assert plain.get(f"/cars?{query}").status_code == 422


def test_a_car_is_found_by_id_and_a_missing_one_is_404(plain: Client) -> None:
    record = plain.page(1).json()["data"][0]
    found = plain.get(f"/cars/{record['id']}")
    assert (found.status_code, found.json()) == (200, {"data": record})
    for missing in ("1", "x", "9" * 30):
        assert plain.get(f"/cars/{missing}").status_code == 404


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_missing_or_wrong_key_is_401(plain: Client, key: str | None) -> None:
    assert plain.page(1, headers={"X-API-Key": key}).status_code == 401


def test_without_a_key_everyone_is_let_in() -> None:
    with serving(key=None) as client:
        assert client.page(1, headers={"X-API-Key": None}).status_code == 200


def test_without_meta_a_page_holds_data_alone() -> None:
    with serving(with_meta=False) as client:
        assert client.page(1).json().keys() == {"data"}


def test_the_rate_limit_answers_429_with_a_retry_after() -> None:
    with serving(rate=0.5, burst=3) as client:
        answers = [client.page(1) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 3
    assert {answer.headers.get("Retry-After") for answer in answers[3:]} == {"2"}


def test_the_burst_is_twice_the_rate_by_default() -> None:
    with serving(rate=1.0) as client:
        assert [client.page(1).status_code for _ in range(3)] == [200, 200, 429]


def test_latency_is_drawn_from_its_range() -> None:
    with serving(latency_ms=(60.0, 90.0)) as client:
        assert all(client.page(1).elapsed.total_seconds() >= 0.06 for _ in range(3))


def attempts(client: Client, page: int, count: int) -> list[str]:
    """Name the outcome of `count` attempts at `page`."""
    outcomes = []
    for _ in range(count):
        try:
            answer = client.page(page)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            outcomes.append("cut")
            continue
        html = answer.headers["Content-Type"] == "text/html"
        outcomes.append("html" if html else str(answer.status_code))
    return outcomes


def test_faults_come_at_their_shares_and_again_after_a_reset() -> None:
    with serving(error_share=0.2, html_share=0.2, cut_share=0.2) as client:
        first = {page: attempts(client, page, 40) for page in (1, 2, 3)}
        client.control("POST", "reset")
        again = {page: attempts(client, page, 40) for page in (3, 1, 2)}
    assert first == again
    assert first[1] != first[2]
    outcomes = [outcome for page in first.values() for outcome in page]
    for fault in ("500", "html", "cut"):
        assert 0.1 < outcomes.count(fault) / len(outcomes) < 0.3
    assert outcomes.count("200") > 0.25 * len(outcomes)


def test_broken_pages_answer_500_for_good_and_the_truth_names_them() -> None:
    with serving(cars=200, page_size=2, broken_share=0.1) as client:
        broken = client.control("GET", "truth")["broken_pages"]
        assert 2 <= len(broken) <= 25
        for _ in range(2):
            refused = [page for page in range(1, 101) if client.page(page).status_code == 500]
            assert refused == broken


def test_a_half_empty_feed_answers_data_alone_from_a_page_on() -> None:
    with serving(empty_from=2) as client:
        assert len(client.page(1).json()["data"]) == 100
        assert client.page(2).json() == {"data": []}
        assert client.page(3).json() == {"data": []}


def test_another_snapshot_is_listed_as_the_truth_says() -> None:
    with serving(cars=1000) as client:
        client.page(1)
        assert client.control("POST", "snapshot?n=1")["snapshot"] == 1
        truth = client.control("GET", "truth")
        ids = [car["id"] for page in range(1, 11) for car in client.page(page).json()["data"]]
        assert truth["ids"] == ids
        assert (truth["added"], truth["removed"], truth["changed"]) == (5, 5, 10)
        gone = next(i for i in client.control("GET", "truth?n=0")["ids"] if i not in set(ids))
        assert client.get(f"/cars/{gone}").status_code == 404
        client.control("POST", "snapshot?n=0")
        assert client.get(f"/cars/{gone}").status_code == 200


def test_the_log_holds_every_arrival_but_the_control_routes() -> None:
    with serving(rate=0.5, burst=2) as client:
        for _ in range(3):
            client.page(1)
            client.control("GET", "truth")
        log = client.control("GET", "log")
        assert [(line["path"], line["status"]) for line in log] == [
            ("/api/cars?page=1", 200),
            ("/api/cars?page=1", 200),
            ("/api/cars?page=1", 429),
        ]
        assert [line["t"] for line in log] == sorted(line["t"] for line in log)
        client.control("POST", "reset")
        assert client.control("GET", "log") == []
        assert client.page(1).status_code == 200  # the bucket is full again


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "snapshot?n=-1", 422), ("POST", "snapshot?n=x", 422), ("POST", "snapshot", 404)],
)
def test_a_control_call_that_makes_no_sense_is_refused(
    plain: Client, method: str, path: str, status: int
) -> None:
    answer = plain.session.request(method, f"{plain.api.origin}/_sim/{path}", timeout=10)
    assert answer.status_code == status


def test_warm_pages_are_served_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Simulator(SimulatorOptions(feed=FeedOptions(cars=250)))
    assert app.warm() == 3
    monkeypatch.setattr(app.feed, "page_body", None)  # building one now would fail
    with running(app) as api:
        for page in (1, 2, 3):
            answer = requests.get(f"{api.base_url}/cars?page={page}", headers=KEY, timeout=10)
            assert answer.json()["meta"]["current_page"] == page


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carsync.demo.page_cache.CACHE_BYTES", 100_000)
    with serving(cars=1000) as client:
        assert [len(client.page(page).json()["data"]) for page in range(1, 11)] == [100] * 10
        cached = client.api.app._pages._bodies
        assert 0 < sum(map(len, cached.values())) <= 100_000


def test_lies_are_told_from_the_start_or_by_name_later() -> None:
    with serving(lies=("total-of-page", "by-id-404"), lie_depth=2) as lying:
        first = lying.api.app.snapshot.ids[0]
        assert lying.page(3).json()["meta"]["total"] == 50
        assert lying.get(f"/cars/{first}").status_code == 404
        assert lying.control("POST", "lie?name=quota-gone") == {"lies": ["quota-gone"]}
        refused = lying.page(3)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "86500")
        assert lying.get(f"/cars/{first}").status_code == 200
        lying.control("POST", "lie")
        assert lying.page(3).json()["meta"]["total"] == 250
        with pytest.raises(requests.HTTPError, match="422"):
            lying.control("POST", "lie?name=unknown")


def test_a_feed_by_lists_wants_the_parameter_and_lists_the_cars_that_have_its_value() -> None:
    with serving(list_params=("make", "year"), broken_lists=("BMW",)) as client:
        assert client.get("/cars?make=Kia").status_code == 400
        page = client.get("/cars?make=Kia&year=2015").json()
        assert page["meta"]["total"] == len(page["data"]) > 0
        assert {(car["manufacturer"]["name"], car["year"]) for car in page["data"]} == {
            ("Kia", 2015)
        }
        assert client.get("/cars?make=BMW&year=2015").status_code == 500
        assert client.get("/cars?make=None&year=2015").json()["data"] == []
