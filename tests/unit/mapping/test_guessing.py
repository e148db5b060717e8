"""Which field of unknown records fits which column."""

from __future__ import annotations

from carsync.mapping.guessing import guess_columns


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
