"""Which field of unknown records fits which column."""

from __future__ import annotations

from typing import Any

from carsync.mapping.guessing import guess_columns, list_unused


def test_columns_are_found_by_name_and_value() -> None:
    records = [
        {
            "ref": f"R{n}",
            "seller": {"id": 7, "city": "Seoul"},
            "brand": {"id": n % 2, "name": "Kia"},
            "modelName": "Ceed",
            "model_year": 2010 + n,
            "price": {"amount": f"{n}00.50", "currency": "EUR"},
            "odometer": {"km": n * 1000},
            "year": "n/a",
            "photos": [{"url": "https://x.test/1.jpg"}],
            "fuel-type": "",
            "vin": f"V{n}",
            "sold_at": "2026-01-02T03:04:05Z",
        }
        for n in range(12)
    ]
    found = {guess.column: (guess.path, guess.type) for guess in guess_columns(records)}
    assert found == {
        "id": ("ref", "text"),
        "make": ("brand.name", "text"),
        "model": ("modelName", "text"),
        "year": ("model_year", "integer"),
        "price": ("price.amount", "numeric"),
        "mileage": ("odometer.km", "integer"),
        "vin": ("vin", "text"),
        "location": ("seller.city", "text"),
        "sale_date": ("sold_at", "timestamptz"),
        "image_url": ("photos.0.url", "text"),
        "images": ("photos", "jsonb"),
    }


def test_an_id_is_in_every_record_and_never_twice() -> None:
    twice = [{"id": 1, "slug": "a"}, {"id": 1, "slug": "b"}]
    assert guess_columns(twice)[0].path == "slug"
    assert [g for g in guess_columns([{"make": "Kia"}, {"make": "Kia"}]) if g.column == "id"] == []


def test_a_guess_says_whether_every_record_has_the_field_and_shows_one() -> None:
    records = [
        {"id": n, "make": "Kia\n\x1b[2J" + "x" * 40, "color": ["", "red"][n]} for n in (0, 1)
    ]
    by_column = {guess.column: guess for guess in guess_columns(records)}
    assert by_column["make"].always
    assert not by_column["color"].always
    assert by_column["make"].example.isprintable()
    assert len(by_column["make"].example) == 30


def test_one_value_that_does_not_fit_rules_a_field_out() -> None:
    records = [{"id": n, "year": 2019} for n in range(5)]
    assert [guess.column for guess in guess_columns(records)] == ["id", "year"]
    records[3] = {"id": 3, "year": 20190501}
    assert [guess.column for guess in guess_columns(records)] == ["id"]


def test_fields_without_a_column_are_listed_by_their_first_name() -> None:
    first: dict[str, Any] = {"id": 1, "hp": 90, "seller": {"name": "A"}, "a.b": 1}
    records: list[dict[str, Any]] = [first, {"id": 2, "doors": 5}]
    assert list_unused(records, ["id"]) == ["hp", "seller", "doors"]
