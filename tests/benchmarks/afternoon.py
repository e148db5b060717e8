"""The script a good engineer writes in an afternoon: what carsync is measured against.

Eight threads of requests, `json`, `execute_values` of 1,000 rows with ON CONFLICT DO
UPDATE, one connection. No limiter, no ledger, no deactivation, no resume.

    python -m tests.benchmarks.afternoon BASE_URL DSN
"""

from __future__ import annotations

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import requests
from psycopg2.extras import execute_values

COLUMNS = tuple(
    "id external_id make model year price mileage title vin color fuel transmission condition "
    "location lot_number current_bid buy_now_price image_url images source_api domain_name "
    "status is_active is_live is_archived keys_available data_hash".split()
)
HASHED = tuple(
    "make model year price mileage vin color fuel transmission condition lot_number "
    "current_bid buy_now_price is_live keys_available".split()
)
UPSERT = (
    f"INSERT INTO public.cars ({', '.join(COLUMNS)}, created_at, updated_at, last_synced_at) "
    "VALUES %s ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{c} = EXCLUDED.{c}" for c in COLUMNS[1:])
    + ", updated_at = now(), last_synced_at = now()"
)
TEMPLATE = f"({', '.join(['%s'] * len(COLUMNS))}, now(), now(), now())"


def name_of(value: dict[str, Any] | None) -> str | None:
    return value["name"].strip() if value and value.get("name") else None


def number(value: Any) -> float:
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0.0


def to_row(record: dict[str, Any]) -> tuple[Any, ...]:
    lot = (record.get("lots") or [{}])[0]
    images = (lot.get("images") or {}).get("normal") or []
    price = number(lot.get("buy_now"))
    row = {
        "id": str(record["id"]),
        "external_id": str(record["id"]),
        "make": name_of(record["manufacturer"]),
        "model": name_of(record["model"]),
        "year": int(record.get("year") or 2020),
        "price": max(price, 0),
        "mileage": int((lot.get("odometer") or {}).get("km") or 0),
        "title": record.get("title"),
        "vin": (record.get("vin") or "").strip() or None,
        "color": name_of(record.get("color")),
        "fuel": name_of(record.get("fuel")),
        "transmission": name_of(record.get("transmission")),
        "condition": name_of(lot.get("condition")) or "good",
        "location": "South Korea",
        "lot_number": str(lot["lot"]) if lot.get("lot") else None,
        "current_bid": number(lot.get("bid")),
        "buy_now_price": price,
        "image_url": images[0] if images else None,
        "images": json.dumps(images),
        "source_api": "external",
        "domain_name": "external_api",
        "status": "active",
        "is_active": True,
        "is_live": name_of(lot.get("status")) == "sale",
        "is_archived": False,
        "keys_available": lot.get("keys_available") is not False,
    }
    hashed = json.dumps({k: row[k] for k in HASHED}, sort_keys=True, separators=(",", ":"))
    row["data_hash"] = hashlib.md5(hashed.encode()).hexdigest()
    return tuple(row[c] for c in COLUMNS)


def main(base_url: str, dsn: str) -> None:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))

    def fetch(page: int) -> tuple[list[tuple[Any, ...]], int]:
        answer = session.get(f"{base_url}/cars", params={"page": page, "per_page": 100}, timeout=30)
        answer.raise_for_status()
        body = answer.json()
        return [to_row(r) for r in body["data"]], body["meta"]["last_page"]

    connection = psycopg2.connect(dsn)
    cursor = connection.cursor()
    batch, last_page = fetch(1)

    def flush() -> None:
        execute_values(cursor, UPSERT, batch, template=TEMPLATE, page_size=1000)
        connection.commit()
        batch.clear()

    with ThreadPoolExecutor(8) as pool:
        for rows, _ in pool.map(fetch, range(2, last_page + 1)):
            batch.extend(rows)
            if len(batch) >= 1000:
                flush()
    if batch:
        flush()
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
