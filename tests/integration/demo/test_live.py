"""The simulated API as the preset's own one is today, over real sockets."""

from __future__ import annotations

from typing import Any

import requests

from carsync.demo.feed import FIRST_ID
from tests.integration.demo.test_simulator import Client, serving


def records(client: Client, query: str) -> Any:
    return client.get(f"/cars?{query}").json()


def test_totals_come_where_they_are_asked_for_and_the_last_page_has_no_next() -> None:
    with serving(25, live=True) as client:
        first = records(client, "per_page=10")
        assert first["links"]["next"] == f"{client.api.base_url}/cars?page=2&per_page=10"
        assert not {"last_page", "total"} & first["meta"].keys()
        assert requests.get(first["links"]["next"], headers=client.session.headers, timeout=9).ok
        last = records(client, "page=3&per_page=10&simple_paginate=0")
        assert (len(last["data"]), last["links"]["next"]) == (5, None)
        assert (last["meta"]["last_page"], last["meta"]["total"]) == (3, 25)
        behind = client.get("/cars?page=9&per_page=10")
        assert (behind.status_code, behind.json()["data"]) == (200, [])
        assert behind.json()["links"]["next"] is None
        assert client.get("/cars?page=0").status_code == 422


def test_a_car_is_found_by_lot_and_vin_and_by_nothing_else() -> None:
    with serving(25, live=True) as client:
        car = records(client, "per_page=1")["data"][0]
        lot = car["lots"][-1]
        by_lot = client.get(f"/search-lot/{lot['lot']}/{lot['domain']['name']}")
        assert by_lot.json() == client.get(f"/search-vin/{car['vin']}").json() == {"data": car}
        for path in (f"search-lot/{lot['lot']}/other", "search-lot/x/iaai_com", "search-vin/x"):
            assert client.get(f"/{path}").status_code == 404
        assert client.get(f"/cars/{car['id']}").status_code == 404


def test_what_left_the_feed_answers_200_and_is_archived() -> None:
    with serving(250, live=True) as client:
        listed = {car["id"]: car for car in records(client, "per_page=300")["data"]}
        client.api.app.show(5)
        left = listed.keys() - {car["id"] for car in records(client, "per_page=300")["data"]}
        assert left
        for car_id in left:
            lot = listed[car_id]["lots"][-1]
            found = client.get(f"/search-lot/{lot['lot']}/{lot['domain']['name']}")
            assert found.status_code == 200
            for sold in found.json()["data"]["lots"]:
                assert (sold["archived"], sold["status"]["name"]) == (True, "sold")


def test_some_cars_have_two_lots_and_some_prices_are_wrapped() -> None:
    with serving(140, live=True) as client:
        cars = records(client, "per_page=140")["data"]
        two = [car for car in cars if len(car["lots"]) == 2]
        assert len(two) == 10
        for car in two:
            assert [lot["status"]["name"] for lot in car["lots"]] == ["sold", "sale"]
        prices = [car["lots"][-1]["buy_now"] for car in cars if car["id"] % 10 == 0]
        assert any(isinstance(price, dict) and price["value"] % 1 for price in prices)
        assert cars[0]["id"] == FIRST_ID
